"""`edgekit evaluate`: how right a model is, on pictures and on recordings."""

import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from edgekit import __version__
from edgekit.commands.options import (
    class_offset_option,
    config_option,
    given,
    json_option,
    runtime_options,
    settings_of,
)
from edgekit.commands.recordings import Recorded, decision_settings
from edgekit.errors import DatasetError
from edgekit.files import check_writable, write_atomically
from edgekit.inference.classifier import Classifier, top_k
from edgekit.inference.decision import DecisionSettings
from edgekit.inference.events import timestamp
from edgekit.offline.evaluation import VideoEvaluation, evaluate_video
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.report import Context, percent, render
from edgekit.offline.statistics import Share
from edgekit.offline.truth import Truth, read_truth
from edgekit.vision.dataset import LabelledImage, labelled_images
from edgekit.vision.pictures import read_image


class Evaluation(msgspec.Struct, frozen=True):
    """Result of `evaluate_images`.

    Attributes:
        images: number of pictures.
        top1, top5: accuracy in [0, 1].
        latency_ms: median of preprocessing plus inference, in milliseconds.
        runtime: the runtime that ran the model.
    """

    images: int
    top1: float
    top5: float
    latency_ms: float
    runtime: str


def evaluate_images(classifier: Classifier, images: Iterable[LabelledImage]) -> Evaluation:
    """Classify labelled pictures one by one, as the device does.

    Raises:
        ImageError: a picture cannot be read.
    """
    hits: list[tuple[bool, bool]] = []
    seconds: list[float] = []
    for image in images:
        frame = read_image(image.path)
        start = time.perf_counter()
        scores = classifier.classify(frame)
        seconds.append(time.perf_counter() - start)
        best = [index for index, _ in top_k(scores, 5)]
        hits.append((best[0] == image.index, image.index in best))
    top1, top5 = np.mean(hits, axis=0)
    return Evaluation(
        images=len(hits),
        top1=round(float(top1), 6),
        top5=round(float(top5), 6),
        latency_ms=round(1000 * statistics.median(seconds), 3),
        runtime=classifier.runtime_name,
    )


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
    labels: Path | None,
    runtime: str,
    threads: int,
    class_offset: int,
    config: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Measure how right MODEL is on labelled pictures, or on a labelled recording.

    Without --truth, DIR holds a folder per class, named as the classes are, or a table labels.tsv
    with a line "file<TAB>class_index" for each picture. Pictures are prepared and classified
    exactly as on the device, one at a time.

    With --truth, RECORDING is a clip, a video or an image folder, and goes through the daemon's
    own pipeline, decision included. The truth is CSV with the columns start,end,label, where
    times are seconds or minutes:seconds, or start_frame,end_frame,label; or a JSON list of
    objects with those keys. A label is a class of the model, or `unknown`; what lies in no
    interval is not judged.

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
    classifier = Classifier.open(model, labels=labels, runtime=runtime, threads=threads)
    if truth is None:
        images = labelled_images(path, classifier.labels, class_offset)
        with click.progressbar(images, label="evaluating", file=sys.stderr, hidden=as_json) as bar:
            _print_images(evaluate_images(classifier, bar), as_json)
        return
    if report is not None:
        check_writable(report)
    recording = Recording(path)
    decision = decision_settings(config, options, recording.header)
    intervals = read_truth(truth, classifier.labels)
    begun = time.monotonic()
    player = Player(recording.name, recording.header, classifier, decision)
    prepared = progress(recording, "evaluating", player.prepare, hidden=as_json)
    result = evaluate_video(map(player.play, prepared), intervals, pictures if report else 0)
    seconds = time.monotonic() - begun
    _check_judged(result, intervals, truth)
    if report is not None:
        context = _context(recording, classifier, decision, truth, seconds, result)
        write_atomically(report, render(result, context).encode())
    _print_video(result, intervals, seconds, classifier, as_json)
    if report is not None and not as_json:
        click.echo(f"report      {report}")


def _check_judged(result: VideoEvaluation, truth: Truth, path: Path) -> None:
    if not result.decided.count:
        raise DatasetError(
            f"no frame lies in an interval of {path}: they begin at "
            f"{truth.intervals[0].start:g}, and the recording ends before; are the times seconds?"
        )


def _context(
    recording: Recording,
    classifier: Classifier,
    decision: DecisionSettings,
    truth: Path,
    seconds: float,
    result: VideoEvaluation,
) -> Context:
    settings = msgspec.to_builtins(decision)
    facts = {
        "Model": f"{classifier.path.name}, SHA-256 {classifier.sha256}",
        "Runtime": f"{classifier.runtime_name} on {classifier.accelerator}",
        "Truth": truth.name,
        "Decision": ", ".join(f"{name} {value:g}" for name, value in settings.items()),
        "Took": f"{seconds:.1f} s, {result.span / seconds:.1f} x real time",
        "Made": f"{timestamp()} by edgekit {__version__}",
    }
    if recording.notes:
        facts["Notes"] = "; ".join(recording.notes)
    return Context(recording.name, classifier.path.name, facts)


def _print_images(result: Evaluation, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    click.echo(f"images   {result.images}")
    click.echo(f"top-1    {result.top1:.2%}")
    click.echo(f"top-5    {result.top5:.2%}")
    click.echo(f"latency  {result.latency_ms:.2f} ms a picture, median ({result.runtime})")


def _print_video(
    result: VideoEvaluation, truth: Truth, seconds: float, classifier: Classifier, as_json: bool
) -> None:
    unseen = len(truth.intervals) - len(result.found)
    recall, recall_range = result.recall()
    precision, precision_range = result.precision()
    delay = result.median_delay()
    if as_json:
        summary = {
            "frames": result.frames,
            "span_s": round(result.span, 3),
            "judged": result.decided.count,
            "decided": round(result.decided.part, 6),
            "decided_interval": _rounded(result.decided.interval()),
            "model": round(result.model.part, 6),
            "model_interval": _rounded(result.model.interval()),
            "intervals": len(result.found),
            "intervals_unseen": unseen,
            "found": len(result.delays),
            "recall_interval": _rounded(recall_range),
            "answers": result.answers,
            "right_answers": result.right_answers,
            "precision_interval": _rounded(precision_range),
            "delay_s": None if delay is None else round(delay, 6),
            "slowest_s": result.delays[-1] if delay is not None else None,
            "mistakes": result.mistake_count,
            "confusion": [
                {"truth": a, "answer": b, "frames": n}
                for (a, b), n in sorted(result.confusion.items())
            ],
            "seconds": round(seconds, 3),
            "runtime": classifier.runtime_name,
        }
        click.echo(msgspec.json.encode(summary).decode())
        return
    slowest = "" if delay is None else f", slowest {result.delays[-1]:.2f} s"
    median = "–" if delay is None else f"{delay:.2f} s"
    click.echo(f"frames      {result.frames} ({result.decided.count} judged), {result.span:.1f} s")
    click.echo(f"decided     {percent(result.decided.part)} of frames{_range(result.decided)}")
    click.echo(f"model       {percent(result.model.part)} of frames{_range(result.model)}")
    click.echo(f"intervals   {len(result.delays)} of {len(result.found)} found ({percent(recall)})")
    click.echo(
        f"answers     {result.right_answers} of {result.answers} right ({percent(precision)})"
    )
    click.echo(f"delay       {median}, median{slowest}")
    click.echo(f"mistakes    {result.mistake_count}")
    if unseen:
        click.echo(f"edgekit: {unseen} intervals lie behind the recording's end", err=True)


def _range(share: Share) -> str:
    low, high = share.interval()
    return f" (95% interval {100 * low:.1f} to {100 * high:.1f})"


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 6) for end in interval]
