"""Keys and signed models, made by the real ssh-keygen."""

import io
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekit.model.signature import ENTRY, signed_text, with_signature
from tests.tiny import tiny_flatbuffer, tiny_model

NEEDS_SSH_KEYGEN = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (openssh-client)"
)
NAME = "release@example.com"


@dataclass(frozen=True)
class KeyPair:
    """A key without a passphrase."""

    private: Path

    @classmethod
    def make(cls, folder: Path, name: str = "key", kind: str = "ed25519") -> "KeyPair":
        """Make one."""
        file = folder / name
        keygen("-q", "-t", kind, "-N", "", "-C", "", "-f", str(file))
        return cls(file)

    @property
    def public(self) -> str:
        """As a line of allowed signers has it."""
        return self.private.with_name(f"{self.private.name}.pub").read_text().strip()

    @property
    def fingerprint(self) -> str:
        """Kind and fingerprint, as ssh-keygen itself prints them."""
        _, fingerprint, *_, kind = keygen("-l", "-f", str(self.private)).decode().split()
        return f"{kind.strip('()')} {fingerprint}"

    def allowed(self, file: Path, options: str = "", name: str = NAME) -> Path:
        """A file that lets it sign."""
        file.write_text(f"{name} {options} {self.public}\n")
        return file

    def sign(self, text: bytes, namespace: str = "edgekit-model") -> bytes:
        """A signature by ssh-keygen alone."""
        return keygen("-q", "-Y", "sign", "-n", namespace, "-f", str(self.private), input=text)

    def signed(self, path: Path, content: bytes | None = None) -> Path:
        """A model that it has signed, a tiny one by default."""
        content = tiny_model(path).read_bytes() if content is None else content
        path.write_bytes(with_signature(content, self.sign(signed_text(content))))
        return path


def keygen(*words: str, input: bytes = b"") -> bytes:
    """What ssh-keygen prints."""
    done = subprocess.run(["ssh-keygen", *words], input=input, capture_output=True, check=True)
    return done.stdout


def entries(model: Path) -> dict[str, bytes]:
    """The entries of a model's zip."""
    with zipfile.ZipFile(model) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], flatbuffer: bytes | None = None, comment: bytes = b"") -> bytes:
    """A model file of a flatbuffer, a tiny one by default, and whatever entries."""
    file = io.BytesIO(tiny_flatbuffer() if flatbuffer is None else flatbuffer)
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = comment
    return file.getvalue()


def resigned(model: Path, **changes: bytes) -> bytes:
    """A signed model whose entries were changed; the signature stays what it is."""
    kept = entries(model)
    signature = kept.pop(ENTRY)
    return packed({**kept, **changes, ENTRY: signature})
