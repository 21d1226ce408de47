"""`edgekit evaluate`: how right a model is, on pictures and on recordings."""

import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.commands.options import (
    Opening,
    class_offset_option,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.errors import DatasetError
from edgekit.files import check_outputs, write_atomically
from edgekit.offline.decision_settings import Recorded, decision_settings
from edgekit.offline.evaluation import (
    ImageEvaluation,
    RecordingEvaluation,
    evaluate_images,
    evaluate_recording,
)
from edgekit.offline.pages import provenance, render_evaluation
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.statistics import in_words
from edgekit.offline.truth import Truth, read_truth
from edgekit.text import percent
from edgekit.vision.dataset import labelled_images
from edgekit.vision.folders import left_out
from edgekit.vision.notes import Notes


@click.command("evaluate")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("path", metavar="DIR|RECORDING", type=click.Path(path_type=Path))
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What a recording shows: CSV with start,end,label (seconds), or JSON.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page about a recording: timeline, confusion, and a picture of every mistake.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Most pictures in the report; the longest mistakes go first.",
)
@runtime_options
@class_offset_option
@config_option
@settings_of(Recorded)
@json_option
def command(
    model: Path,
    path: Path,
    truth: Path | None,
    report: Path | None,
    pictures: int,
    opening: Opening,
    class_offset: int,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure how right MODEL is on labelled pictures, or on a labelled recording.

    Without --truth, DIR holds a folder per class, named as the classes are, or a table labels.tsv
    with a line "file<TAB>class_index" (or a class's name) for each picture. Pictures are prepared
    and classified exactly as on the device, one at a time.

    With --truth, RECORDING is a clip, a video or an image folder, and goes through the daemon's
    own pipeline, decision included. The truth is CSV with the columns start,end,label, where
    times are seconds or minutes:seconds, or start_frame,end_frame,label; or a JSON list of
    objects with those keys, or of one label for each frame. A label is a class of the model, or
    `unknown`; what lies in no interval is not judged.

    \b
    Examples:
      edgekit evaluate resnet18-int8.tflite photos/
      edgekit evaluate mobilenet.tflite photos/ --labels names.txt --class-offset 1
      edgekit evaluate resnet18-int8.tflite door.clip --truth door.csv --report door.html
    """
    options = given(Recorded, values)
    if truth is None and not path.is_dir() and path.exists():
        raise click.UsageError(f"{path} is no folder of pictures; --truth says what it shows")
    if truth is None and (report or config or options):
        raise click.UsageError("--report, --config and --decision-* need a recording and --truth")
    classifier = opening.open(model, config)
    if truth is None:
        images = labelled_images(path, classifier.labels, class_offset, notify)
        notes = Notes(left_out(path))
        with click.progressbar(images, label="evaluating", file=sys.stderr, hidden=as_json) as bar:
            measured = evaluate_images(classifier, bar, notes)
        for note in notes.lines:
            notify(f"{path.name}: {note}")
        _print_images(measured, as_json)
        return
    recording = Recording(path)
    check_outputs([report], [model, truth, opening.labels, config, *recording.files])
    decision = decision_settings(config, options, recording.header)
    intervals = read_truth(truth, classifier.labels)
    player = Player(recording.name, recording.header, classifier, decision)
    prepared = progress(recording, "evaluating", player.prepare, hidden=as_json)
    begun = time.monotonic()
    result = evaluate_recording(map(player.play, prepared), intervals, pictures if report else 0)
    seconds = time.monotonic() - begun
    _check_judged(result, intervals, truth)
    _notify_of_other_length(result, truth)
    if report is not None:
        facts = {
            "Model": f"{model.name}, SHA-256 {classifier.sha256}",
            "Runtime": f"{classifier.runtime_name} on {classifier.accelerator}",
            "Truth": truth.name,
            **provenance([decision], recording.notes, result.span, seconds),
        }
        page = render_evaluation(result, recording.name, model.name, facts)
        write_atomically(report, page.encode())
    if as_json:
        timing = {"seconds": round(seconds, 3), "runtime": classifier.runtime_name}
        click.echo(msgspec.json.encode({**result.summary(), **timing}).decode())
        return
    _print_recording(result)
    if report is not None:
        click.echo(f"report      {report}")


def _check_judged(result: RecordingEvaluation, truth: Truth, path: Path) -> None:
    if not result.decided.count:
        raise DatasetError(
            f"no frame lies in an interval of {path}: they begin at "
            f"{truth.intervals[0].start:g}, and the recording ends before; are the times seconds?"
        )


def _notify_of_other_length(result: RecordingEvaluation, truth: Path) -> None:
    if result.unseen:
        notify(f"{result.unseen} intervals lie behind the recording's end")
    if result.beyond < 0:
        notify(f"{truth} has no label for {-result.beyond:.0f} of {result.frames} frames")
    elif result.beyond >= 1:
        unit = "frames" if result.in_frames else "s"
        notify(f"{truth} goes on for {result.beyond:g} {unit} behind the recording's end")


def _print_images(result: ImageEvaluation, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    click.echo(f"images   {result.images}")
    click.echo(f"top-1    {percent(result.top1, 2)}")
    click.echo(f"top-5    {percent(result.top5, 2)}")
    click.echo(f"latency  {result.latency_ms:.2f} ms a picture, median ({result.runtime})")


def _print_recording(result: RecordingEvaluation) -> None:
    recall, precision, delay = result.recall()[0], result.precision()[0], result.median_delay()
    slowest = "" if delay is None else f", slowest {result.delays[-1]:.2f} s"
    median = "–" if delay is None else f"{delay:.2f} s"
    click.echo(f"frames      {result.frames} ({result.decided.count} judged), {result.span:.1f} s")
    for name, fraction in (("decided", result.decided), ("model", result.model)):
        interval = in_words(fraction.interval())
        click.echo(f"{name:<11} {percent(fraction.value)} of frames ({interval})")
    click.echo(f"intervals   {len(result.delays)} of {len(result.found)} found ({percent(recall)})")
    click.echo(
        f"answers     {result.right_answers} of {result.answers} right ({percent(precision)})"
    )
    click.echo(f"delay       {median}, median{slowest}")
    click.echo(f"mistakes    {result.mistake_count}")
