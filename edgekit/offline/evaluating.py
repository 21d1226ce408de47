"""Evaluations of one labelled recording or of many, and what is told of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from edgekit.errors import DatasetError
from edgekit.inference.classifier import Classifier
from edgekit.model.labels import Notify, ignore
from edgekit.model.manifest import Confidence
from edgekit.model.settled import Settled
from edgekit.offline.calibration import in_lines
from edgekit.offline.decisions_used import summary
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.drift_course import in_lines as drift_lines
from edgekit.offline.evaluation import RecordingEvaluation, evaluate_recording
from edgekit.offline.jobs.model_source import ModelSource
from edgekit.offline.pages import provenance, render_evaluation
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.recordings import Place
from edgekit.offline.statistics import in_words
from edgekit.offline.told import Told
from edgekit.offline.truth import Truth
from edgekit.text import listed, percent


class Labelled(NamedTuple):
    """What is evaluated on a recording, and how.

    Attributes:
        settled: how it is decided.
        truth, file: what it shows, and the file that says so.
        pictures: most mistakes that are shown.
        page: whether a page is made.
    """

    settled: Settled
    truth: Truth
    file: Path
    pictures: int
    page: bool

    @property
    def ignored(self) -> list[str]:
        """A note about labels of the truth that are never decided; none where there are none."""
        shown = dict.fromkeys(one.label for one in self.truth.intervals)
        found = [label for label in shown if self.settled.settings.of(label).ignore]
        if not found:
            return []
        labels = listed(found, 5)
        return [f"{self.file.name} shows {labels}, which the decision ignores: always a mistake"]


class Evaluated(NamedTuple):
    """A recording to be evaluated: where it is, and how."""

    place: Place
    labelled: Labelled

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.place.name


@dataclass(frozen=True)
class Evaluating:
    """Evaluations of recordings by one model: `Work` of `edgekit.offline.jobs`."""

    source: ModelSource

    def open(self) -> Callable[[Evaluated], Told]:
        """What evaluates a recording.

        Raises:
            EdgekitError: the model cannot be opened.
        """
        return partial(_evaluate, self.source.open())


def _evaluate(classifier: Classifier, item: Evaluated) -> Told:
    recording = item.place.open()
    told = evaluate_labelled(recording, classifier, item.labelled, True, ignore)
    return replace(told, before=[*item.labelled.ignored, *recording.notes, *told.before])


def evaluate_labelled(
    recording: Recording,
    classifier: Classifier,
    labelled: Labelled,
    hidden: bool,
    notify: Notify | None = None,
) -> Told:
    """Judge a recording; what is told of it.

    Args:
        recording, classifier, labelled: what is judged, whose answers, and how.
        hidden, notify: as for `progress`.

    Raises:
        DatasetError: no frame lies in an interval of the truth.
        EdgekitError: the recording or the inference failed.
    """
    settled, truth, file = labelled.settled, labelled.truth, labelled.file
    player = Player(recording.name, recording.header, classifier, settled.settings)
    prepared = progress(recording, "evaluating", player.prepare, hidden, notify)
    begun = time.monotonic()
    played = map(player.play, prepared)
    pictures = labelled.pictures if labelled.page else 0
    result = evaluate_recording(played, truth, classifier, pictures)
    seconds = time.monotonic() - begun
    if not result.decided.count:
        raise DatasetError(
            f"no frame lies in an interval of {file}: they begin at "
            f"{truth.intervals[0].start:g}, and the recording ends before; are the times seconds?"
        )
    before = _other_length(result, file)
    if player.look is not None and player.look.is_worth_telling:
        before.append(f"view: the model {player.look}")
    model = classifier.path.name
    page = None
    if labelled.page:
        notes = [*recording.notes, *labelled.ignored]
        facts = {
            "Model": f"{model}, SHA-256 {classifier.sha256}",
            "Runtime": f"{classifier.runtime_name} on {classifier.accelerator}",
            "Truth": file.name,
            "The model": str(player.look),
            **provenance([str(settled)], notes, result.span, seconds),
        }
        if classifier.confidence is not None:
            facts["Calibration in the file"] = str(classifier.confidence)
        page = render_evaluation(result, settled, player.drift, recording.name, model, facts)
    told = {
        "file_confidence": classifier.confidence,
        "decision": summary(settled),
        "view": recording.view,
        "sees": None if player.look is None else player.look.sees,
        "drift": player.drift.summary(),
    }
    timing = {"seconds": round(seconds, 3), "runtime": classifier.runtime_name}
    return Told(
        lines=_lines(result, classifier.confidence, player.drift),
        summary={**result.summary(), **told, **timing},
        before=before,
        counts={
            "frames": result.frames,
            "judged": result.decided.count,
            "decided_right": result.decided.hits,
            "intervals": len(result.found),
            "found": len(result.delays),
            "answers": result.answers,
            "right_answers": result.right_answers,
            "mistakes": result.mistake_count,
        },
        file=None if page is None else page.encode(),
    )


def _other_length(result: RecordingEvaluation, truth: Path) -> list[str]:
    notes = []
    if result.unseen:
        notes.append(f"{result.unseen} intervals lie behind the recording's end")
    if result.beyond < 0:
        notes.append(f"{truth} has no label for {-result.beyond:.0f} of {result.frames} frames")
    elif result.beyond >= 1:
        unit = "frames" if result.in_frames else "s"
        notes.append(f"{truth} goes on for {result.beyond:g} {unit} behind the recording's end")
    return notes


def _lines(
    result: RecordingEvaluation, confidence: Confidence | None, drift: DriftCourse
) -> list[str]:
    recall, precision, delay = result.recall()[0], result.precision()[0], result.median_delay()
    slowest = "" if delay is None else f", slowest {result.delays[-1]:.2f} s"
    median = "–" if delay is None else f"{delay:.2f} s"
    lines = [
        f"frames      {result.frames} ({result.decided.count} judged), {result.span:.1f} s",
    ]
    for name, fraction in (("decided", result.decided), ("model", result.model)):
        interval = in_words(fraction.interval())
        lines.append(f"{name:<11} {percent(fraction.value)} of frames ({interval})")
    return [
        *lines,
        *in_lines(result.calibration, result.uncalibrated, confidence),
        f"intervals   {len(result.delays)} of {len(result.found)} found ({percent(recall)})",
        f"answers     {result.right_answers} of {result.answers} right ({percent(precision)})",
        f"delay       {median}, median{slowest}",
        f"mistakes    {result.mistake_count}",
        *(f"drift       {line}" for line in drift_lines({"": drift})),
    ]
