"""The events that a recording is known to give, and how others differ from them."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import msgspec

from edgekit.errors import GoldenError
from edgekit.files import Layout, decode_json, read_file, write_atomically
from edgekit.text import listed, one_line
from edgekit.vision.view import ViewSettings

SCHEMA = 1
# Of a diff; more would not be read.
_MAXIMUM_LINES = 60
# Settings that are named where they differ.
_NAMED = 6


class Change(msgspec.Struct, frozen=True):
    """A change of the decided label.

    Attributes:
        frame: its place in the recording, from 0.
        time: in seconds, as the recording has it.
        label: decided from here on.
        score: its smoothed score.
    """

    frame: int
    time: float
    label: str
    score: float


class Golden(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A golden file.

    Attributes:
        schema: version of this layout.
        recording, recording_sha256: name of the recording, and the hash of its content.
        model, model_sha256: name of the model file, and the SHA-256 of its bytes.
        decision: the settings that made labels of scores.
        frames: number of frames.
        changes: what was decided, in order.
        view: how frames were turned and masked, and where in them the model looked.
    """

    schema: int
    recording: str
    recording_sha256: str
    model: str
    model_sha256: str
    decision: dict[str, Any]
    frames: int
    changes: list[Change]
    view: ViewSettings = ViewSettings()


def read_golden(path: Path) -> Golden:
    """Read a golden file.

    Raises:
        GoldenError: it is missing, or none.
    """
    content = read_file(path, GoldenError, "golden file", remedy="--update writes one")
    return parse_golden(path, content)


def parse_golden(path: Path, content: bytes) -> Golden:
    """Understand a golden file; `path` is for messages.

    Raises:
        GoldenError: it is none, or of a later layout.
    """
    try:
        if decode_json(content, Layout).schema > SCHEMA:
            raise GoldenError(f"{path} was written by a later edgekit; install that one")
        return decode_json(content, Golden)
    except ValueError as error:
        raise GoldenError(
            f"{path} is not a golden file: {error}; --update writes it anew"
        ) from error


def write_golden(path: Path, golden: Golden) -> None:
    """Write a golden file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_atomically(path, golden_bytes(golden))


def golden_bytes(golden: Golden) -> bytes:
    """The content of a golden file."""
    return msgspec.json.format(msgspec.json.encode(golden), indent=2) + b"\n"


def check_same(path: Path, golden: Golden, now: Golden, any_model: bool) -> None:
    """Refuse to compare what cannot be alike.

    Args:
        path: of the golden file.
        golden: its content.
        now: what is replayed; its frames and changes do not count.
        any_model: accept another model.

    Raises:
        GoldenError: recording, model, decision settings or view are others.
    """
    if golden.recording_sha256 != now.recording_sha256:
        raise GoldenError(
            f"{path} belongs to another recording: {golden.recording} "
            f"({golden.recording_sha256[:12]}), not {now.recording} ({now.recording_sha256[:12]})"
        )
    if golden.model_sha256 != now.model_sha256 and not any_model:
        raise GoldenError(
            f"{path} was made with another model: {golden.model} ({golden.model_sha256[:12]}), "
            f"not {now.model} ({now.model_sha256[:12]}); --any-model compares all the same"
        )
    for what, before, after in (
        ("decision settings", golden.decision, now.decision),
        ("settings of the view", _plain(golden.view), _plain(now.view)),
    ):
        if before != after:
            said = _differing(_flat(before), _flat(after))
            raise GoldenError(
                f"{path} was made with other {what}: {one_line(said)}; set those, or --update"
            )


def _plain(view: ViewSettings) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(view)
    return plain


def _differing(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Settings that differ, as far as they are named."""
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return listed(
        [f"{name} {before.get(name)}, not {after.get(name)}" for name in differing], _NAMED
    )


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their path: those of a label are `labels.NAME.enter`."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inner = isinstance(value, dict)
        found |= _flat(value, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return found


def differences(
    expected: Sequence[Change], found: Sequence[Change], *, tolerance: float, frames: int
) -> list[str]:
    """Compare changes, and describe what differs.

    Args:
        expected, found: changes in order.
        tolerance: maximum difference of scores.
        frames: maximum number of frames that a change may come early or late.

    Returns:
        Lines of a diff; none when the changes agree.
    """
    lines = []
    matcher = SequenceMatcher(
        None, [one.label for one in expected], [one.label for one in found], autojunk=False
    )
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(expected[i:j], found[k:m], strict=True):
                lines += _shifted(one, other, tolerance, frames)
            continue
        lines += [f"- {shown(one)}   expected" for one in expected[i:j]]
        lines += [f"+ {shown(other)}   not expected" for other in found[k:m]]
    if len(lines) > _MAXIMUM_LINES:
        rest = len(lines) - _MAXIMUM_LINES
        lines = [*lines[:_MAXIMUM_LINES], f"… and {rest} more differences"]
    return lines


def _shifted(one: Change, other: Change, tolerance: float, frames: int) -> list[str]:
    reasons = []
    late = other.frame - one.frame
    if abs(late) > frames:
        many = "frame" if abs(late) == 1 else "frames"
        reasons.append(f"{abs(late)} {many} {'late' if late > 0 else 'early'}")
    # Scores are rounded to six digits; so is their difference.
    if round(abs(other.score - one.score), 6) > tolerance:
        reasons.append(f"score was {one.score:.3f}")
    return [f"~ {shown(other)}   {', '.join(reasons)}"] if reasons else []


def shown(change: Change) -> str:
    """A line about a change."""
    label = one_line(change.label)
    return f"frame {change.frame:>6} {change.time:>9.2f} s  {change.score:.3f}  {label}"
