"""What a conversion may be asked for: types and defaults that the command line and Python share."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, NamedTuple

import click

from edgekit.commands.options import NumberRange
from edgekit.errors import ConfigurationError
from edgekit.model.architectures import ARCHITECTURES
from edgekit_convert.option_types import Head, Memory, RegionType, Triple
from edgekit_convert.target.memory import TARGETS
from edgekit_convert.verify.fidelity import Thresholds
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD

_KEPT = Thresholds()


class Argument(NamedTuple):
    """An option of the command line, and an argument of `edgekit_convert.convert`.

    Attributes:
        type: what reads and checks its value.
        default: where it is not given.
    """

    type: click.ParamType[Any]
    default: Any = None


ARGUMENTS = {
    "arch": Argument(click.Choice(list(ARCHITECTURES))),
    "head": Argument(Head()),
    "view_region": Argument(RegionType()),
    "size": Argument(click.IntRange(32, 1024), 224),
    "crop": Argument(NumberRange(0, 1, min_open=True)),
    "mean": Argument(Triple(), IMAGENET_MEAN),
    "std": Argument(Triple(positive=True), IMAGENET_STD),
    "io": Argument(click.Choice(("uint8", "int8", "float32")), "uint8"),
    "target": Argument(click.Choice(list(TARGETS))),
    "device_memory": Argument(Memory()),
    "min_kept": Argument(NumberRange(0, 1), _KEPT.kept),
    "min_agreement": Argument(NumberRange(0, 1), _KEPT.agreement),
    "min_snr": Argument(NumberRange(-200, 200), _KEPT.snr_db),
    "max_score_change": Argument(NumberRange(0, 1), _KEPT.score_change),
    "seed": Argument(click.IntRange(0, 2**32 - 1), 0),
}


def checked(name: str, value: Any) -> Any:
    """A value that was given in Python, as the command line reads it.

    Args:
        name: of the argument.
        value: what was given; None for nothing.

    Raises:
        ConfigurationError: the command line would refuse it.
    """
    kind, default = ARGUMENTS[name]
    if value is None:
        if default is not None:
            raise ConfigurationError(f"{name} is None; leave it out for {default}")
        return None
    if hasattr(value, "tolist"):  # of NumPy or PyTorch
        value = value.tolist()
    text = isinstance(value, str)
    if isinstance(kind, click.IntRange) and not text:
        if not isinstance(value, Real) or value is True or not float(value).is_integer():
            raise ConfigurationError(f"{name}={value!r} is not a whole number")
    elif isinstance(value, Sequence) and not text:
        value = ",".join(map(str, value))
    elif isinstance(kind, click.Choice):
        value = str(value)
    try:
        return kind.convert(value, None, None)
    except click.BadParameter as error:
        raise ConfigurationError(f"{name}: {error.message}") from error


def flag(name: str, value: Any) -> bool:
    """A value that is True or False; "no" and 0 would pass for one of them.

    Raises:
        ConfigurationError: it is neither.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name}={value!r} is neither True nor False")
    return value
