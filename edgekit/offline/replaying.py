"""Replays of one recording or of many, and what is told of each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from edgekit.inference.classifier import Classifier
from edgekit.model.labels import ignore
from edgekit.model.settled import Settled
from edgekit.offline.decisions_used import summary
from edgekit.offline.drift_course import in_lines
from edgekit.offline.golden import Golden, golden_bytes, shown
from edgekit.offline.jobs.model_source import ModelSource
from edgekit.offline.recording import Recording
from edgekit.offline.recordings import Place
from edgekit.offline.replay import Expectation, Replay, check, golden_of
from edgekit.offline.told import Told


class Replayed(NamedTuple):
    """A recording to be replayed.

    Attributes:
        place: where it is.
        settled: how it is decided.
        expected, known: as for `check`.
    """

    place: Place
    settled: Settled
    expected: Expectation
    known: Golden | None

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.place.name


@dataclass(frozen=True)
class Replaying:
    """Replays of recordings by one model: `Work` of `edgekit.offline.jobs`."""

    source: ModelSource

    def open(self) -> Callable[[Replayed], Told]:
        """What replays a recording.

        Raises:
            EdgekitError: the model cannot be opened.
        """
        return partial(_replay, self.source.open())


def _replay(classifier: Classifier, item: Replayed) -> Told:
    recording, settled = item.place.open(), item.settled
    found, lines = check(
        recording, classifier, settled.settings, item.expected, item.known, True, ignore
    )
    told = tell(recording, classifier, settled, found, lines)
    golden = None
    if item.expected.update:
        golden = golden_bytes(golden_of(recording, classifier, settled.settings, found))
    return replace(told, file=golden, before=[*recording.notes, *told.before])


def tell(
    recording: Recording,
    classifier: Classifier,
    settled: Settled,
    found: Replay,
    lines: list[str] | None,
) -> Told:
    """What is told of a replay.

    Args:
        recording, classifier, settled: what was replayed, by what and how.
        found, lines: what came, as from `check`.
    """
    header, before = recording.header, []
    if header is not None and header.model_sha256 != classifier.sha256:
        before.append(f"recorded with another model: {header.model} ({header.model_sha256[:12]})")
    if found.look is not None and found.look.is_worth_telling:
        before.append(f"view: the model {found.look}")
    if header is not None and header.view.region != recording.view.region:
        before.append("view: it looked elsewhere when this was recorded; inputs are not compared")
    if found.inputs_differ:
        before.append(
            f"the input differs from the recorded one in {found.inputs_differ} of {found.frames} "
            "frames: this OpenCV prepares pictures otherwise than the device's"
        )
    pace = f"{found.span / found.seconds:.1f} x real time, " if found.seconds else ""
    changes = f"{len(found.changes)} changes"
    differs = f"{len(lines)} events differ" if lines else ""
    same = "" if lines is None else f", {differs}" if lines else ", all as expected"
    return Told(
        lines=[shown(change) for change in found.changes] if lines is None else lines,
        before=before,
        after=[f"drift: {line}" for line in in_lines({recording.name: found.drift})],
        pace=f"{found.frames} frames, {found.span:.1f} s in {found.seconds:.1f} s ({pace}"
        f"{classifier.runtime_name}); {changes}{'' if lines else same}",
        heading=f"{found.frames} frames, {changes}{same}",
        summary=_summary(recording, classifier, settled, found, lines),
        differs=differs,
        counts={"frames": found.frames, "changes": len(found.changes)},
    )


def _summary(
    recording: Recording,
    classifier: Classifier,
    settled: Settled,
    found: Replay,
    lines: list[str] | None,
) -> dict[str, Any]:
    return {
        "recording": recording.name,
        "model": classifier.path.name,
        "model_sha256": classifier.sha256,
        "runtime": classifier.runtime_name,
        "decision": summary(settled),
        "view": recording.view,
        "sees": None if found.look is None else found.look.sees,
        "frames": found.frames,
        "span_s": round(found.span, 3),
        "seconds": round(found.seconds, 3),
        "inputs_differ": found.inputs_differ if recording.header else None,
        "changes": found.changes,
        "drift": found.drift.summary(),
        "differences": lines,
        "notes": recording.notes,
    }
