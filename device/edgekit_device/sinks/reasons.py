"""Why a connection failed, in words."""

import socket
import ssl


def reason(error: Exception) -> str:
    """What an exception says, put behind "cannot reach NAME: "; urllib's are looked into."""
    wrapped = getattr(error, "reason", None)
    if isinstance(wrapped, Exception):
        error = wrapped
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, socket.gaierror):
        return f"its name does not resolve ({error.strerror})"
    if isinstance(error, UnicodeError):
        return "that is no name of a host"
    text = error.strerror if isinstance(error, OSError) else None
    return printable(text or str(error)) or type(error).__name__


def printable(text: str) -> str:
    """Words that may be another machine's, without what is more than that on a terminal."""
    return "".join(letter for letter in text if letter.isprintable())
