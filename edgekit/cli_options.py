"""Options that several commands share, so that they are spelt and explained the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edgekit.runtime import RUNTIMES

_F = TypeVar("_F", bound=Callable[..., Any])

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)
class_offset_option = click.option(
    "--class-offset",
    type=int,
    default=0,
    show_default=True,
    help="Added to each class index of the dataset; 1 for models whose class 0 is 'background'.",
)


def runtime_options(command: _F) -> _F:
    """Add `--labels`, `--runtime` and `--threads`, the arguments of `Classifier.open`."""
    for option in (
        click.option(
            "--threads",
            type=click.IntRange(1),
            default=1,
            show_default=True,
            help="CPU threads for each inference.",
        ),
        click.option(
            "--runtime",
            type=click.Choice(RUNTIMES),
            default="auto",
            show_default=True,
            help="TFLite runtime; auto prefers ai-edge-litert (litert) to tflite-runtime.",
        ),
        click.option(
            "--labels",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Class names, one a line; by default those inside the model file.",
        ),
    ):
        command = option(command)
    return command
