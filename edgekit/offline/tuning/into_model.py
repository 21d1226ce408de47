"""Puts settings into a model file as its recommendation; all else in it stays as it is."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import ModelFileError, OutputError, SignatureError
from edgekit.files import check_writable, read_bounded, write_atomically
from edgekit.model import limits
from edgekit.model.archive import take_apart
from edgekit.model.container import LABELS, MANIFEST, ModelFile, pack, parse_model
from edgekit.model.decision import Recommendation
from edgekit.model.labels import distinct
from edgekit.model.manifest import SCHEMA_VERSION
from edgekit.model.signature import ENTRY
from edgekit.model.signers import check_key, sign


@dataclass(frozen=True)
class Target:
    """A model file that is to be written with a recommendation.

    Attributes:
        model: as it was read.
        into: the file to write: the model's own, or a new one.
        key: that signs it; None for nobody.
        mode: permissions of the model's file.
    """

    model: ModelFile
    into: Path
    key: Path | None
    mode: int

    @classmethod
    def check(cls, path: Path, into: Path, key: Path | None, drop_signature: bool) -> "Target":
        """Read a model, and see that it can be written with a recommendation, before long work.

        Args:
            path: of the model.
            into: the file to write.
            key: of OpenSSH, to sign with.
            drop_signature: whether a signature may be lost.

        Raises:
            ModelFileError: it cannot be read, or has no manifest to carry a recommendation.
            SignatureError: it is signed, and `key` is None; or the key does not sign.
            OutputError: the file cannot be written, or is another model's.
            SettingsError: there is no ssh-keygen.
        """
        own, place = path.resolve(), into.resolve()  # a link stays one
        check_writable(place)
        try:
            content = read_bounded(path, limits.FILE_BYTES, follow=True)
            mode = stat.S_IMODE(own.stat().st_mode)
        except OSError as error:
            raise ModelFileError(f"cannot read the model {path}: {error.strerror}") from error
        model = parse_model(path, content)
        if place.exists() and place != own:
            raise OutputError(f"{into} is there already; name {path} itself, or a new file")
        if model.manifest is None:
            raise ModelFileError(
                f"{path} was not made by edgekit, and carries no recommendation; put the settings "
                "into the configuration (--output)"
            )
        if others := set(take_apart(content).names) - {MANIFEST, LABELS, ENTRY}:
            raise ModelFileError(
                f"the zip in {path} has {sorted(others)[0]!r}, which would be lost; put the "
                "settings into the configuration (--output)"
            )
        if model.signature and key is None and not drop_signature:
            raise SignatureError(
                f"{path} is signed, and its signature would no longer hold; sign it again with "
                "--sign KEY, or leave it unsigned with --drop-signature"
            )
        if key is not None:
            check_key(key)
        return cls(model, place, key, mode)

    @property
    def sibling(self) -> Path | None:
        """The file beside it that was compiled for the Edge TPU, if there is one."""
        file = self.into.with_name(f"{self.into.stem}_edgetpu{self.into.suffix}")
        return file if file.exists() else None

    def write(self, recommendation: Recommendation, names: Sequence[str]) -> None:
        """Write it, whole or not at all.

        Args:
            recommendation: what is found.
            names: what its labels are called there, by class index; the file may spell them
                otherwise.

        Raises:
            ModelFileError: the model's file is another one than was read.
            OutputError: it cannot be written.
            SignatureError: the key does not sign.
        """
        model, labels = self.model, self.model.labels
        assert model.manifest is not None
        assert labels is not None
        spelt = dict(zip(names, distinct(labels), strict=True))
        decision = recommendation.decision.renamed(spelt.__getitem__)
        manifest = msgspec.structs.replace(
            model.manifest,
            schema=SCHEMA_VERSION,
            decision=msgspec.structs.replace(recommendation, decision=decision),
        )
        content = pack(model.flatbuffer, manifest, labels)
        parse_model(self.into, content)
        if self.key is not None:
            content = sign(content, self.key)
        if self.into.exists():
            now = parse_model(self.into, read_bounded(self.into, limits.FILE_BYTES))
            if now.sha256 != model.sha256:
                raise ModelFileError(f"{self.into} was replaced meanwhile; tune the new one")
        write_atomically(self.into, content, self.mode)
