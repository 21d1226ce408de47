"""Who signed a model: OpenSSH's `ssh-keygen` signs, and says whether a signature is good.

Of what it prints nothing is believed: its exit code decides, for the keys that it was given.
"""

import datetime
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit import child
from edgekit.errors import ConfigurationError, SettingsError, SignatureError
from edgekit.files import read_bounded
from edgekit.model.container import ModelFile
from edgekit.model.signature import (
    NAMESPACE,
    Key,
    Signature,
    read_signature,
    signed_text,
    with_signature,
)
from edgekit.text import last_line, one_line

UNSIGNED = "unsigned"
# Seconds, of which a board under load needs one.
_TIMEOUT = 10.0
# Bytes of a file of keys: thousands of them.
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Signer:
    """Who signed a model.

    Attributes:
        key: that the signature names.
        principal: whose key that is, by the allowed signers; None where they were not asked.
    """

    key: Key
    principal: str | None = None

    def __str__(self) -> str:
        if self.principal is None:
            return f"{self.key}, not checked"
        return f"{one_line(self.principal, 100)}, {self.key}"


def unchecked(model: ModelFile) -> Signer | None:
    """Who a model's signature says that it is by; None where it has none."""
    return Signer(model.signature.key) if model.signature else None


@dataclass(frozen=True)
class AllowedSigners:
    """The keys that may sign, as they were read, once.

    Attributes:
        path: of the file, in the format of OpenSSH's `allowed_signers`.
        content: its bytes.
    """

    path: Path
    content: bytes

    @classmethod
    def read(cls, path: Path) -> "AllowedSigners":
        """Read a file of allowed signers.

        Raises:
            ConfigurationError: there is none, it is no regular file, far too large, or empty.
        """
        try:
            content = read_bounded(path.resolve(), _LARGEST)
        except (OSError, RuntimeError) as error:  # a RuntimeError for links that go in circles
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"cannot read the allowed signers {path}: {reason}") from error
        lines = [line.strip() for line in content.splitlines()]
        if not any(line and not line.startswith(b"#") for line in lines):
            raise ConfigurationError(
                f"the allowed signers {path} name nobody; a line is a name and a public key"
            )
        return cls(path, content)

    def check(self, model: ModelFile) -> Signer:
        """Who signed a model, where that is somebody who may.

        Raises:
            SignatureError: it is not signed, its signature is not over this file, or nobody vouches
                for the key now.
            SettingsError: see `run_ssh_keygen`.
        """
        signature = _signature(model)
        with _folder(signature=signature.raw, allowed=self.content) as folder:
            given, allowed = str(folder / "signature"), str(folder / "allowed")
            done = run_ssh_keygen("find-principals", "-s", given, "-f", allowed)
            names = done.stdout.splitlines() if done.returncode == 0 else []
            # A pattern behind `!` says who is not meant.
            for name in (name for name in names if not name.startswith(b"!")):
                done = run_ssh_keygen(
                    "verify", "-s", given, "-f", allowed, "-n", NAMESPACE, "-I", os.fsdecode(name),
                    over=signature.text,
                )  # fmt: skip
                if done.returncode == 0:
                    return Signer(signature.key, name.decode("utf-8", "replace"))
        check_intact(model)
        raise SignatureError(
            f"{model.path} is signed by {signature.key}, for which {self.path} does not vouch"
            f"{_reason(done.stderr, allowed)}"
        )


def _reason(stderr: bytes, allowed: str) -> str:
    """What ssh-keygen said of a line of the allowed signers, for people; often nothing."""
    said = stderr.decode("utf-8", "replace").splitlines()
    lines = [line.removeprefix(f"{allowed}:") for line in said if line.startswith(f"{allowed}:")]
    if not lines:
        return ""
    now = datetime.datetime.now(datetime.UTC)
    timed = "expired" in lines[-1] or "not yet valid" in lines[-1]
    clock = f"; the clock here says {now:%Y-%m-%d %H:%M} UTC" if timed else ""
    return f" (line {one_line(lines[-1], 300)}{clock})"


def check_intact(model: ModelFile) -> Signature:
    """The signature of a model that is signed, by whoever, and was not changed since.

    Raises:
        SignatureError: it is not signed, or its signature is not over this file.
        SettingsError: see `run_ssh_keygen`.
    """
    signature = _signature(model)
    if not _is_intact(signature):
        raise SignatureError(
            f"{model.path} is not what its signature is over: it was changed after it was signed, "
            "or the signature is another file's"
        )
    return signature


def _signature(model: ModelFile) -> Signature:
    if model.signature is None:
        raise SignatureError(f"{model.path} is not signed; `edgekit sign MODEL KEY` signs it")
    return model.signature


def _is_intact(signature: Signature) -> bool:
    with _folder(signature=signature.raw) as folder:
        given = str(folder / "signature")
        words = ("check-novalidate", "-n", NAMESPACE, "-s", given)
        return run_ssh_keygen(*words, over=signature.text).returncode == 0


def sign(content: bytes, key: Path) -> bytes:
    """A model file with a signature, in place of the one that it may have.

    ssh-keygen itself asks for a passphrase, a PIN or a touch, on the terminal.

    Args:
        content: of the model file.
        key: of OpenSSH; a public one where an agent has the private one.

    Raises:
        SignatureError: the key does not sign, or something in the file would not be covered.
        SettingsError: see `run_ssh_keygen`.
    """
    signed = with_signature(content, _sign(signed_text(content), key))
    signature = read_signature(signed)
    assert signature is not None
    if not _is_intact(signature):
        raise SignatureError(f"what ssh-keygen signed with {key} is not good; try again")
    return signed


def check_key(key: Path) -> None:
    """Let a key sign a few words, before long work whose result it is to sign.

    Raises:
        SignatureError: it does not.
        SettingsError: see `run_ssh_keygen`.
    """
    _sign(b"edgekit: does this key sign?\n", key)


def _sign(text: bytes, key: Path) -> bytes:
    with _folder(text=text) as folder:
        file = folder / "text"
        command = [*_command("sign"), "-n", NAMESPACE, "-f", str(key.absolute()), str(file)]
        # What it asks and says then is for the person there.
        seen = sys.stderr.isatty()
        done = subprocess.run(
            command,
            cwd=child.WORKING_FOLDER,
            stdin=None if seen else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if seen else subprocess.PIPE,
            check=False,
        )
        if done.returncode == 0:
            return file.with_name("text.sig").read_bytes()
    reason = "see above" if seen else one_line(last_line(done.stderr), 300)
    raise SignatureError(
        f"ssh-keygen does not sign with {key} ({reason}); a passphrase is asked on a terminal, "
        "elsewhere an agent has to hold the key (ssh-add)"
    )


def run_ssh_keygen(what: str, *words: str, over: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `ssh-keygen -Y what`, and wait for its end.

    Args:
        what: to do: `verify`, say.
        words: its options.
        over: what is signed.

    Raises:
        SettingsError: it is not there, does not end, or does not work for this account.
    """
    command = [*_command(what), *words]
    try:
        return child.run(command, timeout=_TIMEOUT, environment={"LC_ALL": "C"}, input=over)
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"ssh-keygen did not end within {_TIMEOUT:g} s") from error


def _command(what: str) -> list[str]:
    program = child.find("ssh-keygen")
    if program is None:
        raise SettingsError(
            "there is no ssh-keygen here, which signatures need: sudo apt install openssh-client"
        )
    try:
        pwd.getpwuid(os.getuid())
    except KeyError as error:
        raise SettingsError(
            f"ssh-keygen does not work for an account without a name, as number {os.getuid()} is; "
            "a service's gets one with: sudo apt install libnss-systemd"
        ) from error
    return [str(program), "-q", "-Y", what]


@contextmanager
def _folder(**files: bytes) -> Iterator[Path]:
    """A folder with files for ssh-keygen, which nobody else may read."""
    try:
        with tempfile.TemporaryDirectory(prefix="edgekit-") as name:
            folder = Path(name)
            for file, content in files.items():
                (folder / file).write_bytes(content)
            yield folder
    except OSError as error:
        raise SettingsError(f"cannot keep files for ssh-keygen: {error}") from error
