"""What is said of right and wrong ways to feed a network: `python -m benchmarks.feeding`.

On the demo's network; on the ResNet-50 of `benchmarks.train_resnet50`, where it was trained; and on
those of ../shared, where they are: a ResNet-18 of CIFAR-10, and an ImageNet trunk as ONNX.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from edgekit_convert.feeding.candidates import Way
from edgekit_convert.feeding.check import (
    SAMPLE,
    FeedingCheck,
    allowed_by_chance,
    compare,
)
from edgekit_convert.feeding.memory import find_memory
from edgekit_convert.pictures import evenly_spread
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.trained import Network, open_resnet
from numpy.typing import NDArray
from onnx import numpy_helper

from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.folders import image_files
from edgekit.vision.pictures import read_image
from edgekit.vision.preprocess import prepare

_SHARED = Path("../shared")
_IMAGENET = Normalization(IMAGENET_MEAN, IMAGENET_STD)
_TRUNK = Normalization((0.4829, 0.4545, 0.4042), (1 / 255, 1 / 255, 1 / 255))
_ALL = ("normalizations", "sizes", "crops", "light", "worlds", "chance")
_COUNTS = (2, 3, 5, 10, 20, SAMPLE)


@dataclass(frozen=True)
class _Subject:
    """A network, how it was fed in training, and pictures like those of training."""

    network: Network
    right: Way
    pictures: list[NDArray[np.uint8]]


def _subjects() -> Iterator[tuple[str, _Subject]]:
    demo, larger = Path("build/demo"), Path("build/resnet50")
    cifar10, trunk = _SHARED / "checkpoints", _SHARED / "models/imagenet_resnet_trunk/trunk.onnx"
    found = (
        ("demo", "18", demo / "resnet18_demo.pth", 64, demo / "calibration"),
        ("ResNet-50", "50", larger / "resnet50.pth", 224, larger / "calibration"),
        ("CIFAR-10", "18", cifar10 / "resnet18_cifar10_64.pth", 64,
         _SHARED / "data/cifar10/calibration"),
    )  # fmt: skip
    for name, architecture, checkpoint, size, folder in found:
        if checkpoint.is_file():
            trained = open_resnet(ARCHITECTURES[architecture], str(checkpoint), _IMAGENET)
            way = Way(Geometry(size, size), _IMAGENET)
            yield name, _Subject(trained.network, way, _read(folder))
    if trunk.is_file():
        way = Way(Geometry(224, 224, 0.875), _TRUNK)
        yield "ImageNet trunk", _Subject(_load_trunk(trunk), way, _read(_SHARED / "data/photos"))


def _read(folder: Path) -> list[NDArray[np.uint8]]:
    return [read_image(file) for file in image_files(folder)]


def _load_trunk(path: Path) -> onnx.ModelProto:
    """With red first, and for pictures of any size."""
    model = onnx.load(path)
    model.ir_version = 4  # so that weights need not be inputs
    first = next(one for one in model.graph.initializer if one.name == "Parameter91")
    kernel = numpy_helper.to_array(first)
    first.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(kernel[:, ::-1]), first.name))
    weights = {constant.name for constant in model.graph.initializer}
    (picture,) = [value for value in model.graph.input if value.name not in weights]
    for axis, name in ((2, "H"), (3, "W")):
        picture.type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]
    return model


def _ways(right: Way, parts: Sequence[str]) -> Iterator[tuple[str, Way]]:
    """Wrong ways, by name."""
    if "normalizations" in parts:
        yield "mean and std 0.5", _with(right, 0.5, 0.5)
        yield "mean 0, std 1", _with(right, 0.0, 1.0)
        yield "mean 0, std 1/255", _with(right, 0.0, 1 / 255)
        if right.normalization != _IMAGENET:
            yield "ImageNet's mean and std", replace(right, normalization=_IMAGENET)
        yield "blue first", replace(right, bgr=True)
    if "sizes" in parts:
        for size in (32, 48, 64, 96, 128, 160, 192, 224, 288):
            if size != right.geometry.width:
                yield f"{size} px", right.at(size)
    if "crops" in parts:
        for crop in (0.5, 0.75, 0.875, 1.0):
            geometry = _cropped(right.geometry, crop)
            if geometry != right.geometry:
                yield f"crop {crop}", replace(right, geometry=geometry)


def _cropped(geometry: Geometry, crop: float) -> Geometry:
    return Geometry(geometry.height, geometry.width, crop)


def _with(way: Way, mean: float, std: float) -> Way:
    return replace(way, normalization=Normalization((mean,) * 3, (std,) * 3))


def _row(name: str, *cells: str) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _verdict(subject: _Subject, way: Way, pictures: list[NDArray[np.uint8]]) -> str:
    check = FeedingCheck(way, allow_misfit=True)
    check.check_network(subject.network)
    tensors = np.concatenate([prepare(picture, way.geometry) for picture in pictures])
    found = check.check_pictures(tensors, lambda chosen: (pictures[i] for i in chosen)).summary
    _, _, named = found.reason.partition("trained ")
    said = "refused" if found.misfit_allowed else found.verdict
    remedy = f": {named.rpartition(':')[0]}" if named.partition(" ")[0] in ("at", "on") else ""
    return f"{found.divergence:.3g} / {found.first_layer:.3g} {said}{remedy}"


def _chance(name: str, subject: _Subject, repeats: int) -> None:
    """How often pictures that are fed as in training are said not to fit."""
    way = subject.right
    memory = find_memory(subject.network, way.geometry)
    rng = np.random.default_rng(0)
    tensors = np.concatenate([prepare(picture, way.geometry) for picture in subject.pictures])
    for count in _COUNTS:
        scores = [
            compare(memory, way, tensors[rng.permutation(len(tensors))[:count]]).score
            for _ in range(repeats)
        ]
        alarms = sum(score > allowed_by_chance(count) for score in scores)
        _row(name, str(count), f"{allowed_by_chance(count):.3f}", f"{np.median(scores):.3f}",
             f"{max(scores):.3f}", f"{alarms} of {repeats}")  # fmt: skip


def _light(pictures: list[NDArray[np.uint8]], light: float) -> list[NDArray[np.uint8]]:
    return [np.clip(light * picture, 0, 255).astype(np.uint8) for picture in pictures]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.feeding", description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of networks")
    parser.add_argument("--parts", nargs="*", choices=_ALL, default=_ALL)
    parser.add_argument("--repeats", type=int, default=50)
    arguments = parser.parse_args()
    subjects = dict(_subjects())
    print("\nDivergence, median over the layers / first layer, and what is said\n")
    _row("network", "fed", "divergence")
    _row("---", "---", "---")
    chosen = [name for name in subjects if name in (arguments.only or subjects)]
    for name in chosen:
        subject = subjects[name]
        right = subject.right
        # Those that the check takes itself, so that a picture is not prepared for nothing.
        own = [subject.pictures[i] for i in evenly_spread(len(subject.pictures), SAMPLE)]
        _row(name, "as in training", _verdict(subject, right, own))
        for what, way in _ways(right, arguments.parts):
            _row(name, what, _verdict(subject, way, own))
        if "light" in arguments.parts:
            for light in (0.2, 0.4, 0.7, 1.5):
                _row(name, f"light {light}", _verdict(subject, right, _light(own, light)))
            grey = [picture.mean(axis=2, keepdims=True).repeat(3, axis=2) for picture in own]
            _row(name, "grey", _verdict(subject, right, _light(grey, 1)))
        if "worlds" in arguments.parts:
            for other in subjects.keys() - {name}:
                pictures = subjects[other].pictures
                some = [pictures[i] for i in evenly_spread(len(pictures), SAMPLE)]
                _row(name, f"pictures of {other}", _verdict(subject, right, some))
    if "chance" in arguments.parts:
        print("\nPictures fed as in training, chosen at random\n")
        _row("network", "pictures", "allowed", "score, median", "maximum", "false alarms")
        _row(*["---"] * 6)
        for name in chosen:
            _chance(name, subjects[name], arguments.repeats)


if __name__ == "__main__":
    main()
