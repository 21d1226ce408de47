"""Options that several commands share, so that they are spelt and explained the same."""

import functools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.inference.runtimes import choices
from edgekit.model.foreign import Hints
from edgekit.settings import Key, keys, load

if TYPE_CHECKING:
    from edgekit.inference.classifier import Classifier
    from edgekit.offline.jobs.model_source import ModelSource


class NumberRange(click.FloatRange):
    """A range that does not take `nan`, which is neither below a limit nor above it."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; a usage error where it is none, or out of the range."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return found


_HINTS = frozenset(Hints.__struct_fields__)
_F = TypeVar("_F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file (TOML) of the daemon; options win over it.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of text."
)
allowed_signers_option = click.option(
    "--allowed-signers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Who may sign, in the format of OpenSSH's allowed_signers.",
)
class_offset_option = click.option(
    "--class-offset",
    type=int,
    default=0,
    show_default=True,
    help="Added to each class index of the dataset; 1 for models whose class 0 is 'background'.",
)


@dataclass(frozen=True)
class Opening:
    """How a command opens models: what `runtime_options` was given.

    Attributes:
        labels, runtime, threads: as for `Classifier.open`.
        hints: what was given of `Hints`, by key.
    """

    labels: Path | None
    runtime: str
    threads: int
    hints: dict[str, Any]

    def open(self, model: Path, config: Path | None = None) -> "Classifier":
        """Open a model file, and print what was understood or guessed of it.

        Args:
            model: the file.
            config: the daemon's configuration, where the command has one; options win over it.

        Raises:
            EdgekitError: as `Classifier.open`, or the configuration is wrong.
        """
        # OpenCV and the runtime, which other commands with options from here do without.
        from edgekit.inference.classifier import Classifier

        hints = load(Hints, config, self.hints)
        classifier = Classifier.open(
            model, labels=self.labels, hints=hints, runtime=self.runtime, threads=self.threads
        )
        for note in classifier.notes:
            notify(note)
        return classifier

    def source(self, model: Path, config: Path | None = None) -> "ModelSource":
        """Read a model file, for processes of which each opens it.

        Args:
            model, config: as for `open`.

        Raises:
            EdgekitError: it cannot be read, or the configuration is wrong.
        """
        from edgekit.model.container import read_model
        from edgekit.model.labels import LabelFile
        from edgekit.offline.jobs.model_source import ModelSource

        return ModelSource(
            read_model(model),
            None if self.labels is None else LabelFile.read(self.labels),
            load(Hints, config, self.hints),
            self.runtime,
            self.threads,
        )


def runtime_options(command: _F) -> _F:
    """Add the options that say how models are opened; the command gets them as `opening`."""

    @functools.wraps(command)
    def opened(*arguments: Any, **values: Any) -> Any:
        hints = given(Hints, values)
        chosen = {name: values.pop(name) for name in ("labels", "runtime", "threads")}
        rest = {name: value for name, value in values.items() if name not in _HINTS}
        return command(*arguments, opening=Opening(hints=hints, **chosen), **rest)

    decorated: Any = settings_of(Hints)(opened)
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
            type=click.Choice(choices()),
            default="auto",
            show_default=True,
            help="TFLite runtime; auto prefers ai-edge-litert (litert) to tflite-runtime.",
        ),
        click.option(
            "--labels",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Class names, one a line or as trainers write them; by default those inside the "
            "model file.",
        ),
    ):
        decorated = option(decorated)
    return cast(_F, decorated)


def parameter_name(key: Key) -> str:
    """What a command's function gets the option as."""
    return key.path.replace(".", "_").replace("-", "_")


class _Numbers(click.ParamType[list[Any]]):
    """Numbers as 0.5,0,0.5,1, or lists of them as [0,0,1,0.2],[0,0.9,1,0.1].

    The outer brackets that TOML wants are allowed, and a list of lists may be a single one.

    Args:
        depth: 1 for numbers, 2 for lists of them.
        example: what they are, for messages and in place of the value in `--help`.
    """

    name = "numbers"

    def __init__(self, depth: int, example: str) -> None:
        self._depth = depth
        self._example = example

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What stands for the value in `--help`."""
        return self._example

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[Any]:
        text = str(value).strip()
        try:
            found = json.loads(f"[{text}]")
            depth, numbers = _depth(found), [*_flat(found)]
        except (ValueError, RecursionError):
            numbers = [text]
        if not all(isinstance(number, (int, float)) for number in numbers):
            self.fail(f"{text!r} is not {self._example} in numbers like 0.5", param, ctx)
        if depth == self._depth + 1 and len(found) == 1:
            return cast(list[Any], found[0])
        return [found] if found and depth < self._depth else found


def _depth(numbers: Any) -> int:
    """How many lists are in each other, by the first of each."""
    return 1 + (_depth(numbers[0]) if numbers else 0) if isinstance(numbers, list) else 0


def _flat(numbers: Any) -> Iterator[Any]:
    """What lists of lists hold."""
    if not isinstance(numbers, list):
        yield numbers
        return
    for one in numbers:
        yield from _flat(one)


def _type(key: Key) -> Any:
    low, high, open_low = key.meta.ge, key.meta.le, key.meta.gt is not None
    if open_low:
        low = key.meta.gt
    if key.type is int:
        return click.IntRange(
            None if low is None else int(low), None if high is None else int(high)
        )
    if key.type is float:
        return NumberRange(low, high, min_open=open_low)
    if key.type is Path:
        return click.Path(path_type=Path)
    if get_origin(key.type) is tuple:
        depth = 2 if get_origin(get_args(key.type)[0]) is tuple else 1
        return _Numbers(depth, str((key.meta.examples or ["NUMBERS"])[0]))
    return click.Choice(get_args(key.type)) if get_args(key.type) else str


def option_for(key: Key) -> Callable[[_F], _F]:
    """The option of a key; its value is None unless it was given."""
    text = key.meta.description or ""
    if key.type is bool:
        names = f"{key.option}/--no-{key.option.removeprefix('--')}"
        return click.option(names, parameter_name(key), default=None, help=text)
    if key.default is not None:
        shown = f"{key.default:g}" if isinstance(key.default, float) else key.default
        text += f"  [default: {shown}]" if shown not in ("", ()) else ""
    elif key.unset:
        text += f"  [default: {key.unset}]"
    return click.option(key.option, parameter_name(key), type=_type(key), default=None, help=text)


def settings_of(schema: type[msgspec.Struct], *wanted: str) -> Callable[[_F], _F]:
    """Add an option for each key of a schema, or only for some keys or sections of it."""

    def decorate(command: _F) -> _F:
        chosen = [k for k in keys(schema) if not wanted or k.path in wanted or k.section in wanted]
        for key in reversed(chosen):
            command = option_for(key)(command)
        return command

    return decorate


def given(schema: type[msgspec.Struct], values: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's values that were given, by key path."""
    named = {key.path: values.get(parameter_name(key)) for key in keys(schema)}
    return {path: value for path, value in named.items() if value is not None}
