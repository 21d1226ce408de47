"""The models of a device, and which of them runs.

    models/SHA256.tflite    each under its own hash
    models/SHA256.runtimes.json
                            how the runtimes did with it, where that was measured
    model.tflite            link to the one that runs
    previous.tflite         link to the one before, to fall back to
    pending                 an upgrade whose model is on probation
    names/NAME              links to models that are kept whatever runs
    rolled-back             how many upgrades were rolled back

An upgrade writes the model, then `pending`, then switches `model.tflite`, then, once the model has
passed its probation, switches `previous.tflite` and removes `pending`. A power cut between any two
leaves a state that `settle` understands.
"""

import contextlib
import hashlib
from pathlib import Path

import msgspec

from edgekit.errors import ServiceError
from edgekit.files import read_bounded
from edgekit_device.installed import (
    CONFIG_ROLLED_BACK,
    CURRENT,
    NAMES,
    PREVIOUS,
    ROLLED_BACK,
    Hash,
    count_rollbacks,
    is_name,
    target,
)
from edgekit_device.runtime_choice import Measured, record_path
from edgekit_device.service import durable

# Starts after which a model that never passed its probation is given up.
TRIES = 2
_PENDING_LIMIT = 4096


class Pending(msgspec.Struct, frozen=True):
    """An upgrade that is not confirmed.

    Attributes:
        new, old: hashes of the model to try, and of the one to go back to.
        starts: how often the service started since the upgrade itself ended early.
    """

    new: Hash
    old: Hash
    starts: int = 0


class Store:
    """Models below a folder.

    Every change raises ServiceError where it is not possible.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._models = folder / "models"
        self._names = folder / NAMES
        self._current = folder / CURRENT
        self._previous = folder / PREVIOUS
        self._pending = folder / "pending"

    def path(self, sha256: str) -> Path:
        """Where a model lies."""
        return self._models / f"{sha256}.tflite"

    @property
    def current(self) -> str | None:
        """Hash of the model that `model.tflite` points to."""
        return target(self._current)

    @property
    def previous(self) -> str | None:
        """Hash of the model before."""
        return target(self._previous)

    @property
    def before(self) -> str | None:
        """Hash of the model to go back to; one that is on probation has proved nothing."""
        pending = self.pending
        return pending.old if pending else self.previous

    @property
    def names(self) -> dict[str, str]:
        """Hashes of the models that have a name, by name, in its order; their files may be gone."""
        names = sorted(path.name for path in self._names.glob("*") if is_name(path.name))
        found = {name: target(self._names / name) for name in names}
        return {name: sha256 for name, sha256 in found.items() if sha256}

    @property
    def pending(self) -> Pending | None:
        """The upgrade that is not confirmed, if there is one."""
        try:
            return msgspec.json.decode(read_bounded(self._pending, _PENDING_LIMIT), type=Pending)
        # A worn SD card gives any bytes: those that are no UTF-8 are a ValueError.
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def is_whole(self, sha256: str | None) -> bool:
        """Whether a model is there, and is what its name says."""
        if sha256 is None:
            return False
        try:
            with self.path(sha256).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
        except OSError:
            return False

    def add(self, content: bytes, measured: Measured | None = None) -> str:
        """Put a model beside the others, with what was measured; returns its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        if measured is not None:
            durable.write(record_path(self.path(sha256)), msgspec.json.encode(measured))
        if not self.is_whole(sha256):
            durable.write(self.path(sha256), content)
        return sha256

    def name(self, sha256: str, name: str) -> None:
        """Keep a model that is there under a name, whatever runs."""
        durable.make_folder(self._names)
        durable.link(self._names / name, f"../{self._models.name}/{sha256}.tflite")

    def forget(self, name: str) -> None:
        """Keep a model no longer, unless it runs or ran before; other names count."""
        durable.remove(self._names / name)
        self._tidy()

    def use(self, sha256: str) -> None:
        """Switch to a model without further ado; the one before is kept."""
        self._take_back()
        current = self.current
        if current not in (None, sha256):
            self._switch(self._previous, str(current))
        self._switch(self._current, sha256)
        self._tidy()

    def begin(self, sha256: str) -> None:
        """Switch to a model that is on probation."""
        pending = self.pending
        # What an upgrade before did not confirm is nothing to go back to.
        old = pending.old if pending else self.current
        assert old is not None
        self._note(Pending(sha256, old))
        self._switch(self._current, sha256)

    def confirm(self) -> None:
        """The model passed its probation: what ran before is kept, older ones go."""
        pending = self.pending
        if pending is not None:
            if pending.old != pending.new:
                self._switch(self._previous, pending.old)
            durable.remove(self._pending)
        self._tidy()

    def roll_back(self) -> None:
        """The model did not pass its probation: run the one before again."""
        self._take_back()
        # Behind what matters: a full disk must not keep the bad model.
        note_rollback(self.folder, ROLLED_BACK)
        self._tidy()

    def settle(self) -> str | None:
        """Before a start, make sure that what is going to run is whole and worth another try.

        Returns:
            What was changed, in words; None when all was well.
        """
        pending = self.pending
        if pending is None:
            durable.remove(self._pending)
        elif self.current != pending.new:
            self.roll_back()
            return "an upgrade was cut short before its model ran; the model before stays"
        elif pending.starts >= TRIES or not self.is_whole(pending.new):
            self.roll_back()
            return "an upgrade was cut short and its model fails; back to the one before"
        else:
            self._note(Pending(pending.new, pending.old, pending.starts + 1))
        if not self.is_whole(self.current) and self.is_whole(self.previous):
            self._switch(self._current, str(self.previous))
            return "the model is damaged or gone; back to the one before"
        return None

    def clear(self) -> None:
        """Remove every model and link."""
        names = [self._names / name for name in self.names]
        counted = [self.folder / kind for kind in (ROLLED_BACK, CONFIG_ROLLED_BACK)]
        for path in (*names, self._pending, self._current, self._previous, *counted):
            durable.remove(path)
        self._tidy()
        for folder in (self._models, self._names):
            # What is not ours stays, and the folder with it.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _take_back(self) -> None:
        pending = self.pending
        if pending is not None:
            self._switch(self._current, pending.old)
            durable.remove(self._pending)

    def _switch(self, link: Path, sha256: str) -> None:
        durable.link(link, f"{self._models.name}/{sha256}.tflite")

    def _note(self, pending: Pending) -> None:
        durable.write(self._pending, msgspec.json.encode(pending))

    def _tidy(self) -> None:
        """Remove what nothing points to: older models, and what a power cut left half done."""
        pending = self.pending
        wanted = [self.current, self.previous, *self.names.values()]
        wanted += [pending.old, pending.new] if pending else []
        kept = {self.path(sha256) for sha256 in wanted if sha256}
        kept |= {record_path(path) for path in kept}
        for path in (*self._models.glob("*.tflite"), *self._models.glob("*.json")):
            if path not in kept:
                durable.remove(path)
        for folder in (self.folder, self._models, self._names):
            for path in folder.glob(".*.new"):
                durable.remove(path)


def note_rollback(folder: Path, kind: str) -> None:
    """Count what was rolled back, of a kind that `count_rollbacks` has; a full disk does not."""
    with contextlib.suppress(ServiceError):
        durable.write(folder / kind, msgspec.json.encode((count_rollbacks(folder, kind) or 0) + 1))
