"""`edgekit compare`: where two models answer the same frames differently."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.commands.options import (
    NumberRange,
    Opening,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.errors import LabelsError, ModelsDifferError, OutputError
from edgekit.files import check_outputs, write_atomically
from edgekit.inference.classifier import Classifier
from edgekit.inference.frame import Frame
from edgekit.offline.comparison import Comparer, Comparison, recordings_in
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.decisions_used import DecisionsUsed
from edgekit.offline.drift_course import in_lines as drift_lines
from edgekit.offline.lettering import is_written, plain
from edgekit.offline.pages import provenance, render_comparison
from edgekit.offline.player import Played, Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.sheet import contact_sheet
from edgekit.offline.statistics import in_words
from edgekit.text import percent

_MAX_PICTURES = 24


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
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page: both models, where they agree, and pictures of what they disagree on.",
)
@click.option(
    "--min-agreement",
    type=NumberRange(0, 1),
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
    report: Path | None,
    min_agreement: float | None,
    opening: Opening,
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
      edgekit compare door.clip --model now.tflite --model new.tflite --report differences.html
      edgekit compare clips/ --model now.tflite --model new.tflite --min-agreement 0.99
    """
    if len(models) != 2:
        raise click.UsageError("give --model twice: the one in use, then the new one")
    options = given(Recorded, values)
    recordings, left_out = recordings_in(path, view_settings(config, options))
    if left_out:
        notify(f"{path.name}: {left_out}")
    frames = [file for recording in recordings for file in recording.files]
    check_outputs([sheet, report], [*models, opening.labels, config, *frames])
    for one in recordings:
        if sheet and one.path.is_dir() and sheet.resolve().is_relative_to(one.path.resolve()):
            raise OutputError(
                f"{sheet} would be one of the pictures in {one.path}; choose another folder"
            )
    a, b = (opening.open(model, config) for model in models)
    if not set(a.labels) & set(b.labels):
        raise LabelsError(f"{models[0]} and {models[1]} have no class in common")
    comparer = Comparer(_MAX_PICTURES if sheet or report else 0)
    used = DecisionsUsed()
    players = []
    for recording in recordings:
        header, in_both = recording.header, []
        for name, which in (("A", a), ("B", b)):
            settled = decision_settings(config, options, header, which)
            used.add(f"{name} on {recording.name}", settled)
            in_both.append(Player(recording.name, header, which, settled.settings))
        players.append(in_both)
    for line in used.lines():
        notify(f"decision: {line}")
    begun = time.monotonic()
    for recording, (in_a, in_b) in zip(recordings, players, strict=True):
        pairs = _pairs(recording, in_a, in_b, hidden=as_json)
        comparer.compare(recording.name, pairs, (in_a.drift, in_b.drift))
    result = comparer.finish()
    if sheet is not None:
        write_atomically(sheet, _sheet(result, a, b))
        _notify_of_letters(sheet, result, a, b)
    if report is not None:
        notes = [left_out] if left_out else []
        notes += [f"{one.name}: {note}" for one in recordings for note in one.notes]
        facts = provenance(used.lines(), notes, result.span, time.monotonic() - begun)
        write_atomically(
            report,
            render_comparison(result, used.different, path.resolve().name, a, b, facts).encode(),
        )
    if as_json:
        click.echo(
            msgspec.json.encode({**result.summary(a, b), "decisions": used.summary()}).decode()
        )
    else:
        _print(result, a, b)
    if min_agreement is not None and result.decided.value < min_agreement:
        raise ModelsDifferError(
            f"{b.path.name} decides as {a.path.name} does for {percent(result.decided.value)} of "
            f"the frames only, not {percent(min_agreement)}"
        )


def _pairs(
    recording: Recording, a: Player, b: Player, hidden: bool
) -> Iterator[tuple[Played, Played]]:
    def prepare(frame: Frame) -> tuple[Frame, Frame]:
        return a.prepare(frame), b.prepare(frame)

    for in_a, in_b in progress(recording, f"comparing on {recording.name}", prepare, hidden):
        yield a.play(in_a), b.play(in_b)


def _sheet(result: Comparison, a: Classifier, b: Classifier) -> bytes:
    title = f"A {a.path.name}   B {b.path.name}"
    shown = len(result.disagreements)
    note = (
        f"{shown} of {result.disagreement_count} disagreements, the longest, in their order; "
        f"the same answer to {percent(result.model.value)} of {result.frames} frames"
    )
    return contact_sheet(result.disagreements, title, note)


def _notify_of_letters(sheet: Path, result: Comparison, a: Classifier, b: Classifier) -> None:
    names = {a.path.name, b.path.name}
    for one in result.disagreements:
        names |= {one.a[0], one.b[0], one.recording}
    others = sorted(name for name in names if not is_written(name))
    if others:
        notify(
            f"{sheet}: {others[0]} is written {plain(others[0])}, and so on for "
            f"{len(others)} of {len(names)} names: that takes Pillow, fontconfig and a font with "
            "their letters; --report shows them all"
        )


def _print(result: Comparison, a: Classifier, b: Classifier) -> None:
    click.echo(f"A        {a.path.name} ({a.sha256[:12]}), {result.changes[0]} changes")
    click.echo(f"B        {b.path.name} ({b.sha256[:12]}), {result.changes[1]} changes")
    click.echo(f"frames   {result.frames}, {result.disagreement_count} disagreements")
    for name, fraction in (("model", result.model), ("decided", result.decided)):
        interval = in_words(fraction.interval())
        click.echo(f"{name:<8} the same for {percent(fraction.value)} of frames ({interval})")
    apart = result.mean_apart
    scores = " and ".join(
        f"{name} {mean:.3f}" for name, mean in zip("AB", result.mean_scores, strict=True)
    )
    beside = "" if apart is None else f"; {apart:.3f} apart where the class is the same"
    click.echo(f"scores   {scores} on average, of the best class{beside}")
    for side, name in enumerate("AB"):
        for line in drift_lines({one.name: one.drift[side] for one in result.recordings}):
            click.echo(f"drift    {name}: {line}")
    rows = result.per_class()
    width = max(len(row.label) for row in rows)
    click.echo(f"\n{'class':<{width}} {'A':>8} {'B':>8} {'both':>8}  of either")
    for row in rows:
        counts = f"{row.a:>8} {row.b:>8} {row.both:>8}"
        click.echo(f"{row.label:<{width}} {counts}  {percent(row.of_either):>9}")
