"""What trainers write down of their network beside its weights: how it works, and how it was fed.

A state dict is the same for several networks that differ in what has no weights.
"""

import argparse
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import CheckpointError
from edgekit.model.manifest import Normalization
from edgekit_convert.weights.head_layers import INSTEAD

_DEPTH = 4  # dictionaries in dictionaries
# Options under which a network computes what torchvision's does, by their names in Transformers,
# timm, its training script and MMPretrain: a pattern for their values, in lower case.
_AS_TORCHVISION = {
    "hidden_act": "relu",
    "act_layer": "relu|none",
    "downsample_in_bottleneck": "false",
    "downsample_in_first_stage": "false",
    "global_pool": "avg|fast|none|",
    "gp": "avg|fast|none|",
    "aa_layer": "none|",
    "output_stride": "32|none",
    "bn_eps": "1e-05|none",
    "style": "(?!caffe$).*",
}
# Names of timm's networks that blur before they stride.
_BLURRED = re.compile(r"(?:.*/)?resnet(?:blur|aa)\d+(?:\..*)?")
_ARCHITECTURE = ("arch", "architecture", "model", "model_name", "backbone")
# Options in the text of a configuration.
_IN_TEXT = re.compile(r"\b(style)\s*=\s*['\"](\w+)['\"]")
# Where figures of pictures are those of the network's input, and not of something else.
_OF_INPUT = ("pretrained_cfg", "default_cfg", "args", "hyper_parameters", "hparams")


@dataclass(frozen=True)
class Recorded:
    """How a network was fed, as its trainer wrote it down.

    Attributes:
        where: the part of the file, or the file beside it.
        normalization: of its pictures, for pixels from 0 to 1.
        sizes: heights and widths of its input, in pixels.
    """

    where: str
    normalization: Normalization | None = None
    sizes: frozenset[int] = frozenset()


def check_function(saved: Any, path: Path) -> None:
    """Refuse what says of itself that it computes other than torchvision's ResNet.

    Args:
        saved: what a file of weights holds, and what lies beside it.
        path: of the file, for the message.

    Raises:
        CheckpointError: names what it says.
    """
    for where, section in _sections(saved, ""):
        for key, value in _options(section):
            pattern = _AS_TORCHVISION.get(key)
            other = pattern is not None and not re.fullmatch(pattern, str(value).lower())
            blurred = key in _ARCHITECTURE and _BLURRED.fullmatch(str(value))
            if other or blurred:
                raise CheckpointError(
                    f"{path} says {key}: {value}{f' (in {where})' if where else ''}, which is not "
                    f"torchvision's ResNet, although the weights look like one's; {INSTEAD}"
                )


def find_recorded(saved: Any) -> Recorded | None:
    """How the network was fed, the surest first; None where nothing says so."""
    found = [one for where, section in _sections(saved, "") if (one := _feeding(where, section))]
    return min(found, key=lambda one: (one.normalization is None, not one.sizes), default=None)


def _sections(value: Any, where: str, depth: int = 0) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if not isinstance(value, Mapping) or depth > _DEPTH:
        return
    yield where, value
    for key, item in value.items():
        yield from _sections(item, str(key), depth + 1)


def _options(section: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, (str, bool, int, float)) or value is None:
            yield str(key), value
        if isinstance(value, str):
            yield from _IN_TEXT.findall(value)


def _feeding(where: str, section: Mapping[Any, Any]) -> Recorded | None:
    if "image_mean" in section:  # Transformers' image processors
        normalization = _normalization(section.get("image_mean"), section.get("image_std"))
        if section.get("do_normalize") is False:
            normalization = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        cropped = section.get("crop_size") if section.get("do_center_crop") else None
        return Recorded(where, normalization, _sizes(cropped or section.get("size")))
    if where not in _OF_INPUT:
        return None
    normalization = _normalization(section.get("mean"), section.get("std"))
    sizes = _sizes(section.get("input_size")) | _sizes(section.get("test_input_size"))
    return Recorded(where, normalization, sizes) if normalization or sizes else None


def _normalization(mean: Any, std: Any) -> Normalization | None:
    values = [tuple(one) if isinstance(one, (list, tuple)) else () for one in (mean, std)]
    numbers = all(
        len(one) == 3 and all(isinstance(value, (int, float)) for value in one) for one in values
    )
    return Normalization(*values) if numbers else None


def _sizes(value: Any) -> frozenset[int]:
    """Of `224`, `{"height": 224, "width": 224}`, `{"shortest_edge": 224}` or `(3, 224, 224)`."""
    if isinstance(value, Mapping):
        value = list(value.values())
    elif isinstance(value, (list, tuple)) and len(value) == 3:
        value = value[1:]
    values = value if isinstance(value, (list, tuple)) else [value]
    return frozenset(one for one in values if isinstance(one, int) and one > 0)
