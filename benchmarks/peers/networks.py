"""The networks that peers are measured with: each a folder of files that any tool reads."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from edgekit_convert.answers import Answers
from edgekit_convert.pictures import evenly_spread, load_calibration, load_evaluation
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.trained import normalize, open_resnet

from benchmarks.zoo import onnx_answers
from benchmarks.zoo_networks import export
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.dataset import labelled_images

_SHARED = Path("../shared")
_CIFAR = _SHARED / "data" / "cifar10"
_PHOTOS = _SHARED / "data" / "photos"
_RESNET50 = Path("build/resnet50")
_IMAGENET = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
_TRUNK = Normalization(mean=(0.4829, 0.4545, 0.4042), std=(1 / 255,) * 3)
_LITE = Normalization(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


@dataclass(frozen=True)
class Network:
    """A network of the table.

    Attributes:
        name: on the command line.
        title: in the tables.
        weights: a checkpoint, or a function that writes an ONNX file.
        pictures: a folder to calibrate with and one to evaluate with; the same one twice is halved.
        limits: of how many pictures, at most, evenly spread.
        geometry, normalization: how it is fed.
        arch: of a checkpoint.
    """

    name: str
    title: str
    weights: Path | Callable[[Path], None]
    pictures: tuple[Path, Path]
    limits: tuple[int, int]
    geometry: Geometry
    normalization: Normalization
    arch: str | None = None


def _write_trunk(file: Path) -> None:
    script = _SHARED / "faults" / "make" / "trunk_head.py"
    trunk = _SHARED / "models" / "imagenet_resnet_trunk"
    subprocess.run([sys.executable, script, trunk, file.parent], check=True)
    model = onnx.load(file.parent / "cifar10.onnx")
    # It says 3, in which weights are inputs as well, and has none of them: peers refuse that.
    model.ir_version = 4
    onnx.save(model, file)
    (file.parent / "cifar10.onnx").unlink()
    (file.parent / "features.onnx").unlink()


def _write_lite(file: Path) -> None:
    shutil.copy(_SHARED / "models" / "efficientnet_lite0_imagenet.onnx", file)


_NETWORKS = (
    Network(
        "resnet18", "ResNet-18, CIFAR-10, 64 px", _SHARED / "checkpoints/resnet18_cifar10_64.pth",
        (_CIFAR / "calibration", _CIFAR / "eval"), (500, 2000), Geometry(64, 64, 1.0), _IMAGENET,
        "18",
    ),
    Network(
        "resnet50", "ResNet-50, rendered toys, 224 px", _RESNET50 / "resnet50.pth",
        (_RESNET50 / "calibration", _RESNET50 / "evaluation"), (140, 280),
        Geometry(224, 224, 1.0), _IMAGENET, "50",
    ),
    Network(
        "lite0", "EfficientNet-Lite0, ImageNet, 224 px", _write_lite, (_PHOTOS, _PHOTOS),
        (100, 100), Geometry(224, 224, 0.875), _LITE,
    ),
    Network(
        "trunk", "ResNet-18 trunk of ImageNet, CIFAR-10 head, 224 px", _write_trunk,
        (_CIFAR / "calibration", _CIFAR / "eval"), (200, 500), Geometry(224, 224, 1.0), _TRUNK,
    ),
)  # fmt: skip
NETWORKS = {network.name: network for network in _NETWORKS}


class MissingError(Exception):
    """A network's checkpoint or pictures are not here."""


def prepare(network: Network, folder: Path) -> None:
    """Write what tools read, where it is not there yet: see `tools.serving.Network`.

    Raises:
        MissingError: what it is made of is not here.
    """
    done = folder / "reference.npy"
    if done.is_file():
        return
    needed = [*network.pictures, _SHARED]
    if isinstance(network.weights, Path):
        needed.append(network.weights)
    for path in needed:
        if not path.exists():
            raise MissingError(f"{path} is missing")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write_pictures(network, folder)
    given = network.normalization
    folder = folder.absolute()
    text = json.dumps({"mean": given.mean, "std": given.std})
    (folder / "normalization.json").write_text(text)
    source = ["--onnx", folder / "network.onnx"]
    if isinstance(network.weights, Path):
        assert network.arch is not None
        original = open_resnet(ARCHITECTURES[network.arch], str(network.weights), given)
        height, width = network.geometry.height, network.geometry.width
        export(original.network, height, folder / "network.onnx")
        example = torch.zeros(1, 3, height, width)
        torch.export.save(
            torch.export.export(original.network.eval(), (example,)), folder / "network.pt2"
        )
        source = ["--arch", network.arch, "--weights", network.weights.absolute()]
    else:
        network.weights(folder / "network.onnx")
    arguments = [
        *source, "--int8", "--allow-loss", "--classes", folder / "classes.txt",
        "--size", network.geometry.height, "--crop", network.geometry.crop,
        "--calibration", folder / "calibration",
        "--mean", ",".join(map(str, given.mean)), "--std", ",".join(map(str, given.std)),
    ]  # fmt: skip
    (folder / "arguments.json").write_text(json.dumps([str(word) for word in arguments]))
    inputs = normalize(np.load(folder / "evaluation.npy"), given)
    np.save(done, onnx_answers(folder / "network.onnx", inputs).logits)


def _write_pictures(network: Network, folder: Path) -> None:
    """The calibration pictures, as a folder and an array; the others, and their classes."""
    calibration, evaluation = network.pictures
    if calibration == evaluation:
        classes = [str(number) for number in range(1000)]
    else:
        classes = sorted(path.name for path in evaluation.iterdir() if path.is_dir())
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    files = [image.path for image in labelled_images(calibration, classes)]
    found = load_evaluation(evaluation, classes, network.geometry, lambda done: None)
    order = np.arange(len(found.tensors))
    if calibration == evaluation:
        files, order = files[::2], order[1::2]
    (folder / "calibration").mkdir()
    for number, index in enumerate(evenly_spread(len(files), network.limits[0])):
        file = files[index]
        (folder / "calibration" / f"{number:04}{file.suffix}").symlink_to(file.resolve())
    seen = load_calibration(folder / "calibration", network.geometry, lambda done: None)
    np.save(folder / "calibration.npy", seen.tensors)
    chosen = found.of(order[evenly_spread(len(order), network.limits[1])])
    np.save(folder / "evaluation.npy", chosen.tensors)
    np.save(folder / "truth.npy", chosen.truth)


def reference(folder: Path) -> Answers:
    """The float network's answers to the evaluation pictures."""
    return Answers.of_logits(np.load(folder / "reference.npy"))
