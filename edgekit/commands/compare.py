"""`edgekit compare`: where two models answer the same frames differently."""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.options import config_option, given, json_option, runtime_options, settings_of
from edgekit.commands.recordings import Recorded, decision_settings
from edgekit.errors import LabelsError, ModelsDifferError
from edgekit.files import check_writable, write_atomically
from edgekit.inference.classifier import Classifier
from edgekit.inference.frame import Frame
from edgekit.offline.clip import is_clip
from edgekit.offline.player import Played, Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.report import percent
from edgekit.offline.sheet import Card, contact_sheet, thumbnail
from edgekit.offline.statistics import Share
from edgekit.offline.timeline import clock
from edgekit.vision.pictures import IMAGE_SUFFIXES

_CARDS = 24
# Between recordings, so that none shares a cluster of frames with another.
_APART = 1000.0


@dataclass
class Disagreement:
    """Consecutive frames on which the models' own answers are the same two different ones.

    Attributes:
        a, b: the answers and their scores, where they were surest.
        recording: its name.
        time: seconds, of that frame.
        frames: their number.
        card: that frame, small, with the answers.
    """

    a: tuple[str, float]
    b: tuple[str, float]
    recording: str
    time: float
    frames: int = 0
    card: Card | None = None

    @property
    def sureness(self) -> float:
        """Of both answers together."""
        return self.a[1] + self.b[1]


@dataclass
class Comparison:
    """How two models answered the same frames.

    Attributes:
        frames: their number.
        model: share of frames with the same best class.
        decided: share of frames with the same decided label.
        answers: frames by both models' best classes.
        changes: number of changes that each decided.
        disagreements: the longest, in order.
        disagreement_count: how many there are.
    """

    frames: int = 0
    model: Share = field(default_factory=Share)
    decided: Share = field(default_factory=Share)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: list[int] = field(default_factory=lambda: [0, 0])
    disagreements: list[Disagreement] = field(default_factory=list)
    disagreement_count: int = 0


class Comparer:
    """Gathers the comparison; memory does not grow with the recordings.

    Args:
        cards: disagreements to keep with their pictures, the longest first.
    """

    def __init__(self, cards: int = _CARDS) -> None:
        self.result = Comparison()
        self._cards = cards
        self._kept: list[tuple[int, float, int, Disagreement]] = []
        self._now: Disagreement | None = None
        self._offset = 0.0

    def compare(self, recording: str, pairs: Iterable[tuple[Played, Played]]) -> None:
        """Take a recording's frames, answered by both."""
        result, time = self.result, 0.0
        for a, b in pairs:
            time = a.frame.time
            same = a.scores[0][0] == b.scores[0][0]
            result.frames += 1
            result.model.add(same, self._offset + time)
            result.decided.add(a.result.label == b.result.label, self._offset + time)
            result.answers[a.scores[0][0], b.scores[0][0]] += 1
            for side, one in enumerate((a, b)):
                result.changes[side] += one.event is not None and one.event.event == "change"
            if same:
                self._end()
            else:
                self._disagree(recording, a, b)
        self._end()
        self._offset += time + _APART

    def finish(self) -> Comparison:
        """What was found."""
        ordered = sorted(self._kept, key=lambda entry: -entry[2])
        self.result.disagreements = [entry[3] for entry in ordered]
        return self.result

    def _disagree(self, recording: str, a: Played, b: Played) -> None:
        best = a.scores[0], b.scores[0]
        if self._now and (self._now.a[0], self._now.b[0]) != (best[0][0], best[1][0]):
            self._end()
        if self._now is None:
            self._now = Disagreement(*best, recording, a.frame.time)
        now = self._now
        if now.card is None or best[0][1] + best[1][1] > now.sureness:
            now.a, now.b, now.time = *best, a.frame.time
            note = f"{recording}, {clock(a.frame.time, fine=True)}"
            now.card = Card(thumbnail(a.frame.pixels), *best, note)
        now.frames += 1

    def _end(self) -> None:
        now, self._now = self._now, None
        if now is None:
            return
        self.result.disagreement_count += 1
        entry = (now.frames, now.sureness, -self.result.disagreement_count, now)
        if len(self._kept) < self._cards:
            heapq.heappush(self._kept, entry)
        elif self._kept:
            heapq.heappushpop(self._kept, entry)


def recordings_in(path: Path) -> list[Recording]:
    """A recording; or every clip of a folder that holds clips and no pictures.

    Raises:
        SourceError, ImageError: there is none.
    """
    if path.is_dir():
        children = sorted(path.iterdir())
        if not any(child.suffix.lower() in IMAGE_SUFFIXES for child in children):
            clips = [child for child in children if child.is_file() and is_clip(child)]
            if clips:
                return [Recording(clip) for clip in clips]
    return [Recording(path)]


@click.command("compare")
@click.argument("path", metavar="RECORDING", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Model file; given twice: the one in use, then the new one.",
)
@click.option(
    "--sheet",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a contact sheet (PNG) of what they disagree on, the longest first.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Fail when they decide the same for fewer frames than this, 0.99 say.",
)
@runtime_options
@config_option
@settings_of(Recorded)
@json_option
def command(
    path: Path,
    models: tuple[Path, ...],
    sheet: Path | None,
    min_agreement: float | None,
    labels: Path | None,
    runtime: str,
    threads: int,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Say where two models, A and B, answer the frames of RECORDING differently.

    RECORDING is a clip, a video, an image folder, or a folder of clips. Every frame goes through
    the daemon's own pipeline with both models. Intervals take into account that neighbouring
    frames are alike.

    \b
    Examples:
      edgekit compare door.clip --model now.tflite --model new.tflite --sheet differences.png
      edgekit compare clips/ --model now.tflite --model new.tflite --min-agreement 0.99
    """
    if len(models) != 2:
        raise click.UsageError("give --model twice: the one in use, then the new one")
    if sheet is not None:
        check_writable(sheet)
    recordings = recordings_in(path)
    a, b = (
        Classifier.open(model, labels=labels, runtime=runtime, threads=threads) for model in models
    )
    if not set(a.labels) & set(b.labels):
        raise LabelsError(f"{models[0]} and {models[1]} have no class in common")
    comparer = Comparer(_CARDS if sheet else 0)
    for recording in recordings:
        decision = decision_settings(config, given(Recorded, values), recording.header)
        in_a, in_b = (Player(recording.name, recording.header, one, decision) for one in (a, b))
        comparer.compare(recording.name, _pairs(recording, in_a, in_b, hidden=as_json))
    result = comparer.finish()
    if sheet is not None:
        write_atomically(sheet, _sheet(result, a, b))
    if as_json:
        click.echo(msgspec.json.encode(_summary(result, a, b)).decode())
    else:
        _print(result, a, b)
    if min_agreement is not None and result.decided.part < min_agreement:
        raise ModelsDifferError(
            f"{b.path.name} decides as {a.path.name} does for {percent(result.decided.part)} of "
            f"the frames only, not {percent(min_agreement)}"
        )


def _pairs(
    recording: Recording, a: Player, b: Player, hidden: bool
) -> Iterator[tuple[Played, Played]]:
    def prepare(frame: Frame) -> tuple[Frame, Frame]:
        return a.prepare(frame), b.prepare(frame)

    for in_a, in_b in progress(recording, f"comparing on {recording.name}", prepare, hidden):
        yield a.play(in_a), b.play(in_b)


def per_class(result: Comparison) -> list[tuple[str, int, int, int]]:
    """For each class: frames that A, B and both say it for; the most frequent first."""
    rows: dict[str, list[int]] = {}
    for (a, b), count in result.answers.items():
        rows.setdefault(a, [0, 0, 0])[0] += count
        rows.setdefault(b, [0, 0, 0])[1] += count
        if a == b:
            rows[a][2] += count
    counted = [(label, in_a, in_b, both) for label, (in_a, in_b, both) in rows.items()]
    return sorted(counted, key=lambda row: -row[1] - row[2])


def _sheet(result: Comparison, a: Classifier, b: Classifier) -> bytes:
    cards = [one.card for one in result.disagreements if one.card is not None]
    title = f"A {a.path.name}   B {b.path.name}"
    note = (
        f"{len(cards)} of {result.disagreement_count} disagreements, the longest, in their order; "
        f"the same answer to {percent(result.model.part)} of {result.frames} frames"
    )
    return contact_sheet(cards, title, note)


def _summary(result: Comparison, a: Classifier, b: Classifier) -> dict[str, Any]:
    return {
        "a": {"model": a.path.name, "sha256": a.sha256, "changes": result.changes[0]},
        "b": {"model": b.path.name, "sha256": b.sha256, "changes": result.changes[1]},
        "frames": result.frames,
        "model": round(result.model.part, 6),
        "model_interval": [round(end, 6) for end in result.model.interval()],
        "decided": round(result.decided.part, 6),
        "decided_interval": [round(end, 6) for end in result.decided.interval()],
        "disagreements": result.disagreement_count,
        "classes": [
            {"label": label, "a": in_a, "b": in_b, "both": both}
            for label, in_a, in_b, both in per_class(result)
        ],
    }


def _print(result: Comparison, a: Classifier, b: Classifier) -> None:
    click.echo(f"A        {a.path.name} ({a.sha256[:12]}), {result.changes[0]} changes")
    click.echo(f"B        {b.path.name} ({b.sha256[:12]}), {result.changes[1]} changes")
    click.echo(f"frames   {result.frames}, {result.disagreement_count} disagreements")
    for name, share in (("model", result.model), ("decided", result.decided)):
        low, high = share.interval()
        click.echo(
            f"{name:<8} the same for {percent(share.part)} of frames (95% interval "
            f"{100 * low:.1f} to {100 * high:.1f})"
        )
    rows = per_class(result)
    width = max(len(label) for label, *_ in rows)
    click.echo(f"\n{'class':<{width}} {'A':>8} {'B':>8} {'both':>8}  of either")
    for label, in_a, in_b, both in rows:
        either = in_a + in_b - both
        click.echo(f"{label:<{width}} {in_a:>8} {in_b:>8} {both:>8}  {percent(both / either):>9}")
