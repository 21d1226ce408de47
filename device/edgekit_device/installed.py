"""The models that are kept on the device, and how the daemon asks root to exchange them.

    model.tflite, previous.tflite   links to the one that runs, and to the one before
    names/NAME                      links to those that somebody gave a name
    rolled-back                     how many upgrades were rolled back

The daemon may only read them. What it wants changed it writes into its runtime folder, where a unit
of root's looks for it; what became of it comes back in a file of root's.
"""

import contextlib
import os
import re
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgekit.files import read_bounded
from edgekit_device.control import Outcome
from edgekit_device.folders import ANSWERS_FOLDER, MODELS_FOLDER
from edgekit_device.health import runtime_folder, shown

CURRENT, PREVIOUS, NAMES = "model.tflite", "previous.tflite", "names"
ROLLED_BACK, CONFIG_ROLLED_BACK = "rolled-back", "configuration-rolled-back"
# Bytes; it holds a number.
_ROLLED_BACK_LIMIT = 32
REQUEST_FILE, ANSWER_FILE = "request.json", "answer.json"
# Bytes; a request has a few hundred, an answer a few thousand.
REQUEST_LIMIT, _ANSWER_LIMIT = 4096, 1 << 16
# Letters of who asked; it comes from the network.
LONGEST_ASKER = 200
# What stands for a model that nobody gave a name: the beginning of its hash. No name looks like it.
_SHORT = 12
_NAME = re.compile(r"(?![0-9a-f]{12,64}\Z)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = (
    "a name has at most 64 letters, digits, dots, - and _, begins with a letter or a digit, and "
    "is no hash"
)
_HASH = re.compile("[0-9a-f]{64}")
Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]

# Seconds in which root's unit has to take a request up: it starts a Python, on a busy board.
_TAKEN_WITHIN = 30.0
# Seconds for a change: a model's probation, and that of the one before where it has to come back.
_DONE_WITHIN = 600.0
_POLL = 0.2
_asking = threading.Lock()


class InstalledModel(msgspec.Struct, frozen=True):
    """A model that is kept on the device.

    Attributes:
        name: that somebody gave it; the first digits of its hash for one without.
        sha256: of its file, in hexadecimal.
        added: when, RFC 3339 in UTC, to the second.
        current: whether it is the one that the service is to run.
        previous: whether it is the one before, which a rollback brings back.
    """

    name: str
    sha256: str
    added: str
    current: bool
    previous: bool


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the daemon asks root for.

    Attributes:
        id: made up for this request; the answer names it.
        kind: another model, or the one before.
        sha256: of the model; None for the one before.
        asked_by: who asked the daemon, in its words.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    kind: Literal["model", "rollback"]
    sha256: Hash | None
    asked_by: Annotated[str, msgspec.Meta(max_length=LONGEST_ASKER)]


class Answer(msgspec.Struct, frozen=True):
    """What became of a request.

    Attributes:
        id: of the request.
        state: `working` until it is known.
        message: what was done, or why it was not.
    """

    id: str
    state: Literal["working", "done", "failed"]
    message: str = ""


def is_name(text: str) -> bool:
    """Whether a model may have this name."""
    return _NAME.fullmatch(text) is not None


def target(link: Path) -> str | None:
    """Hash of the model that a link points to; None where there is no such link."""
    try:
        sha256 = link.readlink().stem
    except OSError:
        return None
    return sha256 if _HASH.fullmatch(sha256) else None


def added_at(path: Path) -> str | None:
    """When a link or a file was put there, RFC 3339 in UTC, to the second; None for none."""
    try:
        seconds = int(path.lstat().st_mtime)
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OSError, ValueError, OverflowError):
        return None


def list_models(folder: Path) -> list[InstalledModel]:
    """The models below a folder: those with a name in its order, then the one that runs and the
    one before, where they have none. Those whose file is gone are left out.
    """
    links = {path.name: path for path in sorted(_entries(folder / NAMES)) if is_name(path.name)}
    named = {target(path) for path in links.values()}
    current, previous = target(folder / CURRENT), target(folder / PREVIOUS)
    for sha256 in (current, previous):
        if sha256 and sha256 not in named:
            links.setdefault(sha256[:_SHORT], folder / "models" / f"{sha256}.tflite")
    models = []
    for name, path in links.items():
        sha256 = target(path) or path.stem
        added = added_at(path)
        if added and (folder / "models" / f"{sha256}.tflite").is_file():
            models.append(
                InstalledModel(name, sha256, added, sha256 == current, sha256 == previous)
            )
    return models


def installed_models() -> list[InstalledModel]:
    """The models that the service of this process may change to; none outside the service."""
    return list_models(MODELS_FOLDER) if runtime_folder() else []


def count_rollbacks(folder: Path, kind: str = ROLLED_BACK) -> int | None:
    """How many upgrades below a folder were rolled back; None where that cannot be read.

    Args:
        folder: of the models.
        kind: `ROLLED_BACK` for models, `CONFIG_ROLLED_BACK` for configurations.
    """
    try:
        content = read_bounded(folder / kind, _ROLLED_BACK_LIMIT)
        return max(0, msgspec.json.decode(content, type=int))
    except FileNotFoundError:
        return 0
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def request_change(
    kind: Literal["model", "rollback"], sha256: str | None, asked_by: str
) -> Outcome:
    """Ask root for another model, and wait for what becomes of it: 15 to 20 seconds mostly.

    May be called from any thread, but not from one that has something else to do: a model that
    fails, and one before that does so too, take minutes. It may be that this process ends before.

    Args:
        kind: `model` for the one with the hash, `rollback` for the one before.
        sha256: of an installed model; None for `rollback`.
        asked_by: who wants it, in words; for the journal.
    """
    folder = runtime_folder()
    if folder is None:
        return Outcome(
            False, "only the service keeps several models; give this daemon another with --model"
        )
    if not _asking.acquire(blocking=False):
        return Outcome(False, "another change of the model is at work; wait for its end")
    try:
        request = Request(secrets.token_hex(16), kind, sha256, shown(asked_by)[:LONGEST_ASKER])
        return _ask(folder, request)
    finally:
        _asking.release()


def _ask(folder: Path, request: Request) -> Outcome:
    path = folder / REQUEST_FILE
    temporary = path.with_name(f".{REQUEST_FILE}.new")
    try:
        temporary.write_bytes(msgspec.json.encode(request))
        # Whole from one moment to the next; in memory, so that there is nothing to sync.
        temporary.replace(path)
    except OSError as error:
        return Outcome(False, f"cannot write {path}: {error.strerror or error}")
    answer = _wait(request.id, _TAKEN_WITHIN, until_done=False)
    if answer is None:
        # Nobody is to do it later, when it is no longer expected; it may have been taken up just
        # now.
        with contextlib.suppress(OSError):
            path.unlink()
        answer = _wait(request.id, 0.0, until_done=False)
    if answer is None:
        return Outcome(
            False,
            f"nobody took the request up within {_TAKEN_WITHIN:g} s; sudo systemctl reload "
            "edgekit, and see `edgekit doctor`",
        )
    if answer.state == "working":
        answer = _wait(request.id, _DONE_WITHIN, until_done=True) or answer
    if answer.state == "working":
        return Outcome(
            False,
            f"no end of it within {_DONE_WITHIN:g} s; see `edgekit service logs`",
        )
    return Outcome(answer.state == "done", shown(answer.message))


def _wait(id: str, seconds: float, *, until_done: bool) -> Answer | None:
    """The answer to a request, within so many seconds; None where there is none.

    Args:
        id: of the request.
        seconds: for how long; it looks once in any case.
        until_done: whether an answer that says `working` is none.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = _read_answer()
        if answer and answer.id == id and not (until_done and answer.state == "working"):
            return answer
        if time.monotonic() >= deadline:
            return None
        time.sleep(_POLL)


def _read_answer() -> Answer | None:
    try:
        content = read_bounded(ANSWERS_FOLDER / ANSWER_FILE, _ANSWER_LIMIT)
        return msgspec.json.decode(content, type=Answer)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _entries(folder: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except OSError:
        return []
