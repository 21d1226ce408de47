"""What may be secret is taken out of text before it leaves the program.

Called where text leaves it: by the command line for every error, by the daemon for what it logs and
for its health, by `edgekit service` for what it prints, and for a configuration that is shown.
Secret are user and password of an address, what its query says, and values named like a password.
"""

import re

MARK = "***"
# From here on an address says what may be secret: a query, a fragment, or name=value in its path.
_QUERY = re.compile(r"[?#]|[^/?#]*=")
# With one of these before an @, nobody can tell a password from a query.
_ENDS = re.compile(r"[?#]")
# A word ends at a blank or a quotation mark; an address that is known as a whole does not.
_WORD = r"""[^\s'"<>`]*"""
_FOUND = re.compile(
    rf"""
    (?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z0-9+.-]+):(?P<slashes>/{{1,3}})(?P<rest>{_WORD})
    | (?P<encoded>%3A%2F{_WORD}%40)
    # user:password@host without a scheme, or a query with an @ in it; what is before
    # `v4l2:rtsp://` is no user.
    | (?<![^\s'"<>`/:@(])(?P<bare>[^\s'"<>`/:@(]+:(?!{_WORD}:/)[^\s'"<>`/]{_WORD}@)
      (?P<behind>{_WORD})
    | \b(?P<name>(?:access_?|auth_?|api_?)?(?:token|password|passwd|passphrase|pwd|secret)|api_?key)
      =(?P<value>[^\s'"<>`&;,]+)
    """,
    re.VERBOSE | re.IGNORECASE,
)


# No word of a message is as long; the network may send one, and looking through it takes time.
_ENDLESS = re.compile(r"\S{1024,}")


def redact(text: str) -> str:
    """A text with `***` for whatever may be secret in its addresses."""
    return _FOUND.sub(_without_secrets, _ENDLESS.sub("…", text))


def redact_address(address: str) -> str:
    """A source as it may be shown, with `***` for what may be secret; others than addresses as is.

    Unlike a text, it is an address from its start to its end, with all blanks and quotation marks.
    """
    scheme, separator, rest = address.partition("://")
    if separator:
        return _shown(scheme, separator, rest)
    return redact(address)


def address_name(address: str) -> str:
    """The name of what an address leads to: `redact_address` without the marks."""
    scheme, _, rest = redact_address(address).partition("://")
    visible = rest.removeprefix(f"{MARK}@").removesuffix(f"?{MARK}")
    return f"{scheme.lower()}://{visible}"


def redact_path(address: str) -> str:
    """The scheme and host of a web address, whose path may itself be the secret."""
    host = redact_address(address).partition("://")[2].partition("/")[0].removeprefix(f"{MARK}@")
    return f"{address.partition('://')[0]}://{host.removesuffix(f'?{MARK}')}/{MARK}"


def has_password(address: str) -> bool:
    """Whether `redact_address` would hide more of it than the name of a user."""
    without_user = re.sub("://[^:/?#@]+@", "://", address, count=1)
    return redact_address(without_user) != without_user


def _without_secrets(found: re.Match[str]) -> str:
    if found["scheme"] is not None:
        return _shown(found["scheme"], f":{found['slashes']}", found["rest"])
    if found["encoded"] is not None:
        return f"%3A%2F%2F{MARK}%40"
    if found["bare"] is not None:
        if _ENDS.search(found["bare"]):
            return MARK
        return f"{MARK}@{_FOUND.sub(_without_secrets, found['behind'])}"
    return f"{found['name']}={MARK}"


def _shown(scheme: str, separator: str, rest: str) -> str:
    user, at, host = rest.rpartition("@")
    if _ENDS.search(user):
        # The @ may be one of a query, and what comes behind it the end of a secret.
        return f"{scheme}{separator}{MARK}"
    # A password may hold an unescaped @ or /, so all before the last @ goes. A path whose `//`
    # has become `/` is an address when it has a password; and an account of ssh is no secret.
    password = ":" in user.partition("/")[0]
    if at and (password or (separator != ":/" and scheme.lower() != "ssh")):
        rest = host
    else:
        at = ""
    visible = _QUERY.split(rest, maxsplit=1)[0]
    hidden = f"?{MARK}" if visible != rest else ""
    return f"{scheme}{separator}{f'{MARK}@' if at else ''}{visible}{hidden}"
