"""Time and memory of conversions beside `onnx2tf -oiqt`: `python -m benchmarks.conversion`.

Untrained networks, whose time and memory are those of trained ones, at 224 x 224 pixels with 200
pictures. CPU time is that of a process and all its children; both converters quantize the same
folded network with the same pictures. onnx2tf is timed on the ONNX graph alone, edgekit on the
whole way from the checkpoint to the report.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from edgekit_convert.graph.export import to_onnx
from edgekit_convert.graph.fold import fold
from edgekit_convert.scratch import scratch_folder
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.torchvision_shim import import_torchvision
from torch import nn

from benchmarks.figures import found
from benchmarks.processes import Cost, measure
from demo.scene import CLASSES, random_picture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.vision.preprocess import prepare

_SIZE = 224
_PICTURES = 200
_SECONDS = {"18": "<= 20", "50": "<= 45"}
_PROCESSOR = {"18": "<= 30"}
_SAMPLE = "calibration_image_sample_data_20x128x128x3_float32.npy"


def _head(option: str, classes: int) -> nn.Module:
    features = 512 if option in ("18", "34") else 2048
    return nn.Sequential(
        nn.Linear(features, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, classes)
    )


def _prepare(folder: Path, option: str) -> None:
    """Write pictures, class names and an untrained checkpoint with a head of two layers."""
    torch.manual_seed(0)
    models = import_torchvision().models
    network: nn.Module = getattr(models, f"resnet{option}")(weights=None)
    network.fc = _head(option, len(CLASSES))
    torch.save(network.state_dict(), folder / "network.pth")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(0)
    geometry = Geometry(height=_SIZE, width=_SIZE, crop=1.0)
    tensors = []
    for number in range(_PICTURES):
        picture = prepare(random_picture(CLASSES[number % len(CLASSES)], rng), geometry)
        tensors.append(picture[0])
        cv2.imwrite(str(folder / "pictures" / f"{number:03}.png"), picture[0, ..., ::-1])
    np.save(folder / "pictures.npy", np.stack(tensors).astype(np.float32))
    np.save(folder / _SAMPLE, np.zeros((20, 128, 128, 3), np.float32))
    normalization = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    exported = to_onnx(network.eval(), _SIZE, _SIZE)
    folded = fold(exported, normalization, _SIZE, _SIZE, centre=True)
    (folder / "folded.onnx").write_bytes(folded.SerializeToString())


def _convert(folder: Path, option: str, *options: str) -> Cost:
    """What a conversion costs, from the checkpoint to the report."""
    command = [
        sys.executable, "-m", "edgekit", "convert", "--arch", option, "--int8", "--weights",
        "network.pth", "--classes", "classes.txt", "--crop", "1", "--allow-loss",
        "--allow-misfit", "--output", "x.tflite", *options,
    ]  # fmt: skip
    return measure(command, folder)


def _compare(option: str, *, small: bool, with_onnx2tf: bool) -> None:
    """A network; the small one without pictures as well."""
    with scratch_folder() as folder:
        _prepare(folder, option)
        cost = _convert(folder, option, "--calibration", "pictures")
        part, name = "Conversion at 224 px from 200 pictures", f"ResNet-{option}"
        asked = _SECONDS.get(option, "")
        found(part, f"{name}: from the checkpoint to the report", [cost.seconds], "s", asked)
        found(part, f"{name}: processor time", [cost.cpu], "s", _PROCESSOR.get(option, ""))
        found(part, f"{name}: memory of all processes", [cost.memory], "MiB", "<= 2861")
        if small:
            free = _convert(folder, option)
            found(part, f"{name}, without a picture", [free.seconds], "s", "<= 60")
            found(part, f"{name}, without a picture: processor time", [free.cpu], "s")
        if not with_onnx2tf:
            return
        theirs, their_cpu, _ = measure(
            [
                str(Path(sys.executable).with_name("onnx2tf")), "-i", "folded.onnx", "-oiqt",
                "-cind", "image", "pictures.npy", "[[[[0,0,0]]]]", "[[[[1,1,1]]]]", "-o", "out",
            ],
            folder,
        )  # fmt: skip
        found(part, f"{name}: onnx2tf -oiqt, of the ONNX file alone", [theirs], "s")
        found(part, f"{name}: its processor time, beside edgekit's", [their_cpu / cost.cpu])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.conversion", description=__doc__)
    parser.add_argument("--arch", nargs="+", default=["18", "50"])
    parser.add_argument("--no-onnx2tf", action="store_true", help="time edgekit alone")
    arguments = parser.parse_args()
    for option in arguments.arch:
        small = option == "18"
        _compare(option, small=small, with_onnx2tf=small and not arguments.no_onnx2tf)


if __name__ == "__main__":
    main()
