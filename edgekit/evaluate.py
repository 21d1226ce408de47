"""Accuracy of a model file with the device's own preprocessing and runtime."""

import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
import numpy as np

from edgekit.cli_options import class_offset_option, json_option, runtime_options
from edgekit.dataset import LabelledImage, labelled_images
from edgekit.frames import read_image
from edgekit.runtime import Classifier, top_k


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


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@runtime_options
@class_offset_option
@json_option
def evaluate(
    model: Path,
    folder: Path,
    labels: Path | None,
    runtime: str,
    threads: int,
    class_offset: int,
    as_json: bool,
) -> None:
    """Measure the accuracy of MODEL on the labelled pictures in DIR.

    DIR holds a folder per class, named as the classes are, or a table labels.tsv with a line
    "file<TAB>class_index" for each picture. Pictures are prepared and classified exactly as on
    the device, one at a time.

    \b
    Examples:
      edgekit evaluate resnet18-int8.tflite photos/
      edgekit evaluate mobilenet.tflite photos/ --labels names.txt --class-offset 1
    """
    classifier = Classifier.open(model, labels=labels, runtime=runtime, threads=threads)
    images = labelled_images(folder, classifier.labels, class_offset)
    with click.progressbar(images, label="evaluating", file=sys.stderr, hidden=as_json) as bar:
        result = evaluate_images(classifier, bar)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    click.echo(f"images   {result.images}")
    click.echo(f"top-1    {result.top1:.2%}")
    click.echo(f"top-5    {result.top5:.2%}")
    click.echo(f"latency  {result.latency_ms:.2f} ms a picture, median ({result.runtime})")
