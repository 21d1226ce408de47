"""What each technique of the quantizer is worth: `python -m benchmarks.fidelity [--help]`.

By default on the demo's network and pictures; give a checkpoint of your own for figures that mean
more. Every int8 model answers all evaluation pictures and is compared with untouched PyTorch.
`--onnx` measures whole conversions of the ONNX classifiers in ../shared, trained by others.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from edgekit_convert.answers import agreement, in_batches, logit_ratio
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.graph.export import lowering, to_onnx
from edgekit_convert.graph.flatbuffer import separate_constants
from edgekit_convert.graph.fold import fold
from edgekit_convert.graph.onnx_file import open_onnx
from edgekit_convert.graph.rewrite import rewrite
from edgekit_convert.pictures import Pictures, hold_out, load_calibration, load_evaluation
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.distillation import DISTILLED, STEPS, distil
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import DATA_FREE_RECIPES, PLAIN, RECIPES
from edgekit_convert.quantize.search import corrected, search
from edgekit_convert.scratch import scratch_folder
from edgekit_convert.verify.scoring import scoring
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.trained import TrainedModel, open_resnet
from msgspec.structs import replace

from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization, Recipe

_DEMO = Path("build/demo")
_SHARED = Path("../shared")
_IMAGENET = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
_TRUNK = Normalization(mean=(0.4829, 0.4545, 0.4042), std=(1 / 255,) * 3)
_LITE = Normalization(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
_THREADS = os.cpu_count() or 1
_ALL = Recipe(ranges="mse", equalized=True, rounding="error-feedback", bias_corrected=True)
_TECHNIQUES = {
    "none: min-max, nearest": PLAIN,
    "percentile-99.99 ranges alone": replace(PLAIN, ranges="percentile-99.99"),
    "percentile-99.9 ranges alone": replace(PLAIN, ranges="percentile-99.9"),
    "mse ranges alone": replace(PLAIN, ranges="mse"),
    "equalization alone": replace(PLAIN, equalized=True),
    "GPTQ alone": replace(PLAIN, rounding="error-feedback"),
    "bias correction alone": replace(PLAIN, bias_corrected=True),
    "all, min-max ranges": replace(_ALL, ranges="min-max"),
    "all, percentile-99.99 ranges": replace(_ALL, ranges="percentile-99.99"),
    "all, mse ranges": _ALL,
    "all, mse, without equalization": replace(_ALL, equalized=False),
    "all, mse, without GPTQ": replace(_ALL, rounding="nearest"),
    "all, mse, without bias correction": replace(_ALL, bias_corrected=False),
}


class _Bench:
    """A float model, and the evaluation pictures with the original's answers to them."""

    def __init__(
        self, original: TrainedModel, geometry: Geometry, normalization: Normalization,
        calibration: Pictures, evaluation: Pictures,
    ) -> None:  # fmt: skip
        self.original, self.normalization = original, normalization
        self.calibration, self.evaluation = calibration, evaluation
        self.exact = in_batches(original.answer, evaluation.tensors)
        height, width = geometry.height, geometry.width
        exported = original.graph or to_onnx(original.network, height, width)
        folded = fold(exported, normalization, height, width, centre=False)
        with lowering() as onnx2tf:
            onnx2tf.start(folded, calibration.tensors)
            self.flatbuffer = rewrite(separate_constants(onnx2tf.result()))

    @property
    def top1(self) -> float:
        """The original's, in %."""
        return 100 * float((self.exact.logits.argmax(axis=1) == self.evaluation.truth).mean())

    def float_model(self, pictures: Pictures, seed: int) -> FloatModel:
        """The float model with the activations of some pictures."""
        seen = observe(self.flatbuffer, pictures.tensors, _THREADS, seed, lambda done: None)
        return FloatModel.prepare(self.flatbuffer, seen)

    def measure(self, int8: bytes) -> tuple[float, float, float]:
        """Agreement with the original and top-1 in %, signal-to-noise ratio of logits in dB."""
        answers = tflite_answer(int8, _THREADS)(self.evaluation.tensors)
        top1 = (answers.probabilities.argmax(axis=1) == self.evaluation.truth).mean()
        snr = logit_ratio(self.exact.logits, answers.logits)
        return 100 * agreement(answers, self.exact), 100 * float(top1), snr or 0.0

    def searched(
        self, pictures: Pictures, seed: int, recipes: Sequence[Recipe] = RECIPES
    ) -> tuple[Recipe, tuple[float, float, float]]:
        """What a conversion with these calibration pictures and this seed gives."""
        fitted, held_out = hold_out(pictures, seed)
        model = self.float_model(fitted, seed)
        reference = in_batches(self.original.answer, held_out.tensors)
        score = scoring(held_out.tensors, reference, _THREADS)
        found = search(model, recipes, score, lambda done: None)
        answered = tflite_answer(found.flatbuffer, _THREADS)(fitted.tensors).logits
        found, _ = corrected(found, score, answered)
        return found.recipe, self.measure(found.flatbuffer)


def _row(name: str, *cells: str) -> None:
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _techniques(bench: _Bench, seeds: int) -> None:
    print(f"\nEach technique, mean of {seeds} calibration subsets (four fifths of the pictures)\n")
    _row("technique", "agreement %", "minimum", "top-1 %", "SNR dB")
    _row("---", "---", "---", "---", "---")
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in _TECHNIQUES}
    for seed in range(seeds):
        plain = bench.float_model(hold_out(bench.calibration, seed)[0], seed)
        equalized = plain.equalized()
        for name, recipe in _TECHNIQUES.items():
            int8 = quantize(equalized if recipe.equalized else plain, recipe)
            figures[name].append(bench.measure(int8))
    for name, measured in figures.items():
        means = [statistics.mean(values) for values in zip(*measured, strict=True)]
        minimum = min(agrees for agrees, _, _ in measured)
        _row(name, f"{means[0]:.2f}", f"{minimum:.2f}", f"{means[1]:.2f}", f"{means[2]:.1f}")


def _conversions(bench: _Bench, seeds: int) -> None:
    print("\nWhole conversions, the search included\n")
    _row("calibration", "seed", "chosen", "agreement %", "top-1 %", "SNR dB")
    _row("---", "---", "---", "---", "---", "---")
    total = len(bench.calibration.tensors)
    for count in (total, 3 * total // 5, 2 * total // 5):
        for seed in range(seeds):
            order = np.random.default_rng(1000 + seed).permutation(total)
            recipe, (agrees, top1, snr) = bench.searched(
                bench.calibration.of(np.sort(order[:count])), seed
            )
            _row(f"{count} pictures", str(seed), str(recipe), f"{agrees:.2f}", f"{top1:.2f}",
                 f"{snr:.1f}")  # fmt: skip
    height, width = bench.calibration.tensors.shape[1:3]
    for seed in range(seeds):
        tensors = distil(
            bench.original.network, bench.normalization, height, width, DISTILLED, STEPS, seed,
            lambda done: None,
        )  # fmt: skip
        pictures = Pictures(tensors, [str(i) for i in range(len(tensors))], "")
        recipe, (agrees, top1, snr) = bench.searched(pictures, seed, DATA_FREE_RECIPES)
        _row(f"data-free ({len(tensors)})", str(seed), str(recipe), f"{agrees:.2f}",
             f"{top1:.2f}", f"{snr:.1f}")  # fmt: skip


def _checkpoint(arguments: argparse.Namespace) -> _Bench:
    geometry = Geometry(height=arguments.size, width=arguments.size, crop=1.0)
    original = open_resnet(ARCHITECTURES[arguments.arch], str(arguments.weights), _IMAGENET)
    calibration = load_calibration(arguments.calibration, geometry, lambda done: None)
    return _Bench(
        original, geometry, _IMAGENET, calibration, _labelled(arguments.evaluate, geometry)
    )


def _labelled(folder: Path, geometry: Geometry) -> Pictures:
    """Pictures in a folder per class."""
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    return load_evaluation(folder, classes, geometry, lambda done: None)


def _onnx_networks(shared: Path) -> None:
    """Whole conversions of ../shared's ONNX classifiers, on pictures that are there."""
    cifar, models = shared / "data" / "cifar10", shared / "models"
    print("\nONNX classifiers\n")
    _row("network", "float top-1 %", "chosen", "agreement %", "top-1 %", "SNR dB")
    _row("---", "---", "---", "---", "---", "---")
    with scratch_folder() as scratch:
        script = shared / "faults" / "make" / "trunk_head.py"
        trunk = models / "imagenet_resnet_trunk"
        subprocess.run([sys.executable, script, trunk, scratch], check=True)
        networks = {
            "ResNet-20": (models / "resnet20_cifar10.onnx", 32, 1.0, _IMAGENET, False),
            "trunk, CIFAR-10 head": (scratch / "cifar10.onnx", 224, 1.0, _TRUNK, False),
            "trunk, features": (scratch / "features.onnx", 224, 1.0, _TRUNK, True),
            "EfficientNet-Lite0": (
                models / "efficientnet_lite0_imagenet.onnx", 224, 0.875, _LITE, True
            ),
        }  # fmt: skip
        for name, (path, size, crop, normalization, on_photos) in networks.items():
            geometry = Geometry(height=size, width=size, crop=crop)
            if on_photos:
                classes = [str(number) for number in range(1000)]
                photos = load_evaluation(shared / "data" / "photos", classes, geometry, _quietly)
                order = np.arange(len(photos.tensors))
                calibration, evaluation = photos.of(order[::2]), photos.of(order[1::2])
            else:
                calibration = load_calibration(cifar / "calibration", geometry, _quietly)
                evaluation = _labelled(cifar / "eval", geometry)
            original = open_onnx(path, normalization, geometry)
            bench = _Bench(original, geometry, normalization, calibration, evaluation)
            recipe, (agrees, top1, snr) = bench.searched(calibration, 0)
            _row(name, f"{bench.top1:.2f}", str(recipe), f"{agrees:.2f}", f"{top1:.2f}",
                 f"{snr:.1f}")  # fmt: skip


def _quietly(done: int) -> None:
    """No progress bar."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.fidelity", description=__doc__)
    parser.add_argument("--arch", default="18")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--weights", type=Path, default=_DEMO / "resnet18_demo.pth")
    parser.add_argument("--calibration", type=Path, default=_DEMO / "calibration")
    parser.add_argument("--evaluate", type=Path, default=_DEMO / "evaluation")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--conversions-only", action="store_true")
    parser.add_argument("--onnx", action="store_true")
    arguments = parser.parse_args()
    if arguments.onnx:
        if not _SHARED.is_dir():
            raise SystemExit(f"{_SHARED} is missing; it has the ONNX classifiers and pictures")
        _onnx_networks(_SHARED)
        return
    if not arguments.weights.is_file():
        raise SystemExit(f"{arguments.weights} is missing; `make demo` makes the default one")
    bench = _checkpoint(arguments)
    print(f"PyTorch: top-1 {bench.top1:.2f} % of {len(bench.evaluation.tensors)} pictures")
    if not arguments.conversions_only:
        _techniques(bench, arguments.seeds)
    _conversions(bench, arguments.seeds)


if __name__ == "__main__":
    main()
