"""`edgekit evaluate`: how right a model is, on pictures and on recordings."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from edgekit.inference.classifier import Classifier
from edgekit.model.manifest import Confidence
from edgekit.model.settled import Settled
from edgekit.offline.calibration import in_lines
from edgekit.offline.decision_settings import Recorded, decision_settings, view_settings
from edgekit.offline.decisions_used import summary
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.drift_course import in_lines as drift_lines
from edgekit.offline.evaluation import RecordingEvaluation, evaluate_recording
from edgekit.offline.folder_evaluation import class_order, evaluate
from edgekit.offline.folder_figures import FolderEvaluation
from edgekit.offline.folder_table import table
from edgekit.offline.labelled_pictures import LabelledPictures
from edgekit.offline.pages import provenance, render_evaluation
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.statistics import in_words
from edgekit.offline.truth import Truth, read_truth
from edgekit.text import listed, percent

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


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
    help="Write a page: figures, confusion, calibration or timeline, and pictures of mistakes.",
)
@click.option(
    "--pictures",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Most mistakes that are shown; the surest go first, and of a recording the longest.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="A second model, B, that answers the same pictures.",
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
    compare: Path | None,
    opening: Opening,
    class_offset: int,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure how right MODEL is on labelled pictures, or on a labelled recording.

    Without --truth, DIR holds a folder per class, named as the classes are, or a table labels.tsv
    with a line "file<TAB>class_index" (or a class's name) for each picture. Pictures are prepared
    and classified exactly as on the device, one at a time. With --compare, a second model with the
    same classes answers them, too. They are taken as they are, upright, like those that `edgekit
    collect` keeps; where the device looks at a region of its frames, give it as --view-region.

    With --truth, RECORDING is a clip, a video or an image folder, and goes through the daemon's
    own pipeline, decision included. The truth is CSV with the columns start,end,label, where
    times are seconds or minutes:seconds, or start_frame,end_frame,label; or a JSON list of
    objects with those keys, or of one label for each frame. A label is a class of the model, or
    `unknown`; what lies in no interval is not judged.

    \b
    Examples:
      edgekit evaluate resnet18-int8.tflite photos/
      edgekit evaluate mobilenet.tflite photos/ --labels names.txt --class-offset 1
      edgekit evaluate now.tflite photos/ --compare new.tflite --report photos.html
      edgekit evaluate resnet18-int8.tflite door.clip --truth door.csv --report door.html
    """
    options = given(Recorded, values)
    if truth is None and not path.is_dir() and path.exists():
        raise click.UsageError(f"{path} is no folder of pictures; --truth says what it shows")
    if truth is None and (config or options.keys() - {"view.region"}):
        raise click.UsageError(
            "--config, --decision-*, and of --view-* all but --view-region, need a recording and "
            "--truth"
        )
    if truth is not None and compare is not None:
        raise click.UsageError(
            "--compare is for labelled pictures; two models on a recording: edgekit compare"
        )
    check_outputs([report], [model, compare, truth, opening.labels, config])
    view = view_settings(config, options)
    classifier = opening.open(model, config)
    if truth is None:
        other = opening.open(compare) if compare else None
        if other is not None:
            class_order(classifier, other)  # which is asked before anything is read
        labelled = LabelledPictures.in_folder(
            path, classifier.labels, class_offset, notify, view.looks_at
        )
        check_outputs([report], labelled.files)
        measured = _measured(classifier, other, labelled, pictures, hidden=as_json)
        if report is not None:
            measured.save_report(report)
        if as_json:
            click.echo(msgspec.json.encode(measured.summary()).decode())
            return
        click.echo(table(measured))
        _print_report(report)
        return
    recording = Recording(path, view)
    check_outputs([report], recording.files)
    settled = decision_settings(config, options, recording.header, classifier)
    notify(f"decision: {settled}")
    intervals = read_truth(truth, classifier.labels)
    ignored = _ignored(intervals, settled, truth.name)
    for note in ignored:
        notify(note)
    player = Player(recording.name, recording.header, classifier, settled.settings)
    prepared = progress(recording, "evaluating", player.prepare, hidden=as_json)
    begun = time.monotonic()
    played = map(player.play, prepared)
    result = evaluate_recording(played, intervals, classifier, pictures if report else 0)
    seconds = time.monotonic() - begun
    _check_judged(result, intervals, truth)
    _notify_of_other_length(result, truth)
    if player.look is not None and player.look.is_worth_telling:
        notify(f"view: the model {player.look}")
    if report is not None:
        facts = {
            "Model": f"{model.name}, SHA-256 {classifier.sha256}",
            "Runtime": f"{classifier.runtime_name} on {classifier.accelerator}",
            "Truth": truth.name,
            "The model": str(player.look),
            **provenance([str(settled)], [*recording.notes, *ignored], result.span, seconds),
        }
        if classifier.confidence is not None:
            facts["Calibration in the file"] = str(classifier.confidence)
        page = render_evaluation(result, settled, player.drift, recording.name, model.name, facts)
        write_atomically(report, page.encode())
    if as_json:
        told = {
            "file_confidence": classifier.confidence,
            "decision": summary(settled),
            "view": recording.view,
            "sees": None if player.look is None else player.look.sees,
            "drift": player.drift.summary(),
        }
        timing = {"seconds": round(seconds, 3), "runtime": classifier.runtime_name}
        click.echo(msgspec.json.encode({**result.summary(), **told, **timing}).decode())
        return
    _print_recording(result, classifier.confidence, player.drift)
    _print_report(report)


def _print_report(report: Path | None) -> None:
    if report is not None:
        click.echo(f"report      {report}")


def _measured(
    model: Classifier,
    compare: Classifier | None,
    pictures: LabelledPictures,
    max_pictures: int,
    hidden: bool,
) -> FolderEvaluation:
    notes: list[str] = []
    bar: ProgressBar[int] = click.progressbar(
        length=pictures.length,
        label="evaluating",
        file=sys.stderr,
        hidden=hidden,
        update_min_steps=max(1, (pictures.length or 0) // 500),
    )
    with bar:
        measured = evaluate(
            model,
            pictures,
            compare=compare,
            max_pictures=max_pictures,
            notify=notes.append,
            progress=lambda _, done, __: bar.update(done - bar.pos),
        )
    for note in notes:
        notify(note)
    return measured


def _check_judged(result: RecordingEvaluation, truth: Truth, path: Path) -> None:
    if not result.decided.count:
        raise DatasetError(
            f"no frame lies in an interval of {path}: they begin at "
            f"{truth.intervals[0].start:g}, and the recording ends before; are the times seconds?"
        )


def _ignored(truth: Truth, settled: Settled, name: str) -> list[str]:
    """A note about labels of the truth that are never decided; none where there are none."""
    shown = dict.fromkeys(one.label for one in truth.intervals)
    ignored = [label for label in shown if settled.settings.of(label).ignore]
    if not ignored:
        return []
    return [f"{name} shows {listed(ignored, 5)}, which the decision ignores: always a mistake"]


def _notify_of_other_length(result: RecordingEvaluation, truth: Path) -> None:
    if result.unseen:
        notify(f"{result.unseen} intervals lie behind the recording's end")
    if result.beyond < 0:
        notify(f"{truth} has no label for {-result.beyond:.0f} of {result.frames} frames")
    elif result.beyond >= 1:
        unit = "frames" if result.in_frames else "s"
        notify(f"{truth} goes on for {result.beyond:g} {unit} behind the recording's end")


def _print_recording(
    result: RecordingEvaluation, confidence: Confidence | None, drift: DriftCourse
) -> None:
    recall, precision, delay = result.recall()[0], result.precision()[0], result.median_delay()
    slowest = "" if delay is None else f", slowest {result.delays[-1]:.2f} s"
    median = "–" if delay is None else f"{delay:.2f} s"
    click.echo(f"frames      {result.frames} ({result.decided.count} judged), {result.span:.1f} s")
    for name, fraction in (("decided", result.decided), ("model", result.model)):
        interval = in_words(fraction.interval())
        click.echo(f"{name:<11} {percent(fraction.value)} of frames ({interval})")
    for line in in_lines(result.calibration, result.uncalibrated, confidence):
        click.echo(line)
    click.echo(f"intervals   {len(result.delays)} of {len(result.found)} found ({percent(recall)})")
    click.echo(
        f"answers     {result.right_answers} of {result.answers} right ({percent(precision)})"
    )
    click.echo(f"delay       {median}, median{slowest}")
    click.echo(f"mistakes    {result.mistake_count}")
    for line in drift_lines({"": drift}):
        click.echo(f"drift       {line}")
