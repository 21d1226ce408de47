"""What a calibrated confidence is worth on pictures that calibrated nothing.

`python -m benchmarks.confidence [--help]` converts the demo's network, and those of ../shared where
they are, once, and lets the int8 models answer labelled pictures; both is kept in --scores. Then 50
random splits of these pictures are replayed: a temperature is fitted to some, as a conversion does,
and measured on the others.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgekit_convert as ek
import numpy as np
from edgekit_convert.answers import Answers, softmax
from edgekit_convert.confidence.calibrate import calibrate
from edgekit_convert.confidence.last_layer import answer_integers, integers
from edgekit_convert.confidence.temperature import log_likelihoods
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.pictures import Pictures, load_evaluation
from numpy.typing import NDArray

from demo.fixtures import make_material
from demo.scene import write_pictures
from edgekit.model.geometry import Geometry
from edgekit.offline.calibration import Calibration, measure_calibration

_SHARED = Path("../shared")
_COUNTS = (100, 200, 500, 1000)
_SPLITS = 50
# Conversions are for their logits here, whatever the gate says.
_LENIENT = {
    "min_kept": 0.0, "min_agreement": 0.0, "min_snr": -99.0, "max_score_change": 1.0,
    "keep_confidence": True,
}  # fmt: skip


@dataclass(frozen=True)
class _Scores:
    """An int8 model, its answers to pictures, and what these show."""

    model: bytes
    answers: Answers
    truth: NDArray[np.int64]


def _demo(folder: Path) -> tuple[bytes, Pictures]:
    material = make_material(Path("build/demo"))
    pictures = folder / "demo-pictures"
    if not pictures.is_dir():
        write_pictures(pictures, per_class=250, seed=12345)
    names = material.classes.read_text().splitlines()
    shown = load_evaluation(pictures, names, Geometry(64, 64, 1.0), _quietly)
    return _converted(material.checkpoint, names, material.calibration, size=64, crop=1.0), shown


def _cifar10(name: str, size: int) -> tuple[bytes, Pictures]:
    folder = _SHARED / "data/cifar10"
    names = sorted(one.name for one in (folder / "eval").iterdir())
    shown = load_evaluation(folder / "eval", names, Geometry(size, size, 1.0), _quietly)
    return _converted(_SHARED / name, names, folder / "calibration", size=size, crop=1.0), shown


def _photos() -> tuple[bytes, Pictures]:
    names = [str(number) for number in range(1000)]
    photos = load_evaluation(_SHARED / "data/photos", names, Geometry(224, 224, 0.875), _quietly)
    order = np.arange(len(photos.tensors))
    network = _SHARED / "models/efficientnet_lite0_imagenet.onnx"
    fed: dict[str, Any] = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    model = _converted(network, names, photos.of(order[::4]).tensors, **fed)
    return model, photos.of(order[order % 4 > 0])


def _converted(network: Path, names: list[str], calibration: Any, **more: Any) -> bytes:
    found = ek.convert(network, classes=names, calibration=calibration, **_LENIENT, **more)
    return found.flatbuffer


def _scores(name: str, folder: Path, make: Callable[[], tuple[bytes, Pictures]]) -> _Scores:
    """Those of a network; made once, and found in a folder the next time."""
    model, scores = folder / f"{name}.tflite", folder / f"{name}.npz"
    if not scores.is_file():
        made, pictures = make()
        answers = tflite_answer(made, 2)(pictures.tensors)
        assert pictures.truth is not None
        model.write_bytes(made)
        np.savez(scores, **answers._asdict(), truth=pictures.truth)
    known = np.load(scores)
    answers = Answers(known["logits"], known["probabilities"])
    return _Scores(model.read_bytes(), answers, known["truth"])


@dataclass(frozen=True)
class _Replayed:
    """A split of which the one part was found to need a temperature: figures of the other."""

    temperature: float
    gain: float
    before: Calibration
    after: Calibration
    changed: int


def _beyond(curve: Calibration) -> float:
    """The calibration error, less that of chance."""
    return max(0.0, curve.error - curve.chance_error)


def _replay(scores: _Scores, count: int, split: int) -> _Replayed | None:
    """Fit to `count` pictures, measure on the others; None where no temperature is used."""
    order = np.random.default_rng(split).permutation(len(scores.truth))
    fitted, others = order[:count], order[count:]
    # Pictures that all differ; only their labels matter.
    tensors = fitted.astype(np.uint32).view(np.uint8).reshape(count, 1, 4, 1)
    pictures = Pictures(tensors, [], "", scores.truth[fitted])
    found = calibrate(scores.model, scores.answers.of(fitted), pictures, seed=split)
    if found.summary.temperature == 1:
        return None
    logits, truth = scores.answers.logits[others], scores.truth[others]
    tempered = (logits / np.float32(found.summary.temperature)).astype(np.float32)
    answers = answer_integers(found.flatbuffer, integers(scores.model, logits))
    changed = answers.argmax(axis=1) != scores.answers.probabilities[others].argmax(axis=1)
    return _Replayed(
        found.summary.temperature,
        float((log_likelihoods(tempered, truth) - log_likelihoods(logits, truth)).mean()),
        _measured(logits, truth),
        _measured(tempered, truth),
        int(changed.sum()),
    )


def _measured(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> Calibration:
    scores = softmax(logits)
    right = scores.argmax(axis=1) == truth
    return measure_calibration(scores.max(axis=1), right, scores[np.arange(len(truth)), truth])


def _report(name: str, scores: _Scores, counts: tuple[int, ...]) -> None:
    for count in counts:
        if 3 * count > 2 * len(scores.truth):
            continue
        tried = [_replay(scores, count, split) for split in range(_SPLITS)]
        used = [one for one in tried if one is not None]
        if not used:
            _row(name, str(count), "0", *["–"] * 6)
            continue
        ends = [one.temperature for one in used]
        gains = [one.gain for one in used]
        before, after = (
            [_beyond(getattr(one, end)) for one in used] for end in ("before", "after")
        )
        growth = np.subtract(after, before)
        _row(
            name,
            str(count),
            str(len(used)),
            f"{min(ends):.2f} to {max(ends):.2f}",
            f"{np.mean(gains):.4f} ({min(gains):.4f})",
            f"{np.mean(before):.4f} to {np.mean(after):.4f}",
            f"{growth.min():+.4f} to {growth.max():+.4f}",
            str(int((np.array(after) <= np.array(before) / 2).sum())),
            str(sum(one.changed for one in used)),
        )


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _quietly(done: int) -> None:
    """No progress bar."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.confidence", description=__doc__)
    parser.add_argument("--scores", type=Path, default=Path("build/confidence"), metavar="DIR")
    parser.add_argument("--counts", type=int, nargs="+", default=_COUNTS, metavar="PICTURES")
    arguments = parser.parse_args()
    folder: Path = arguments.scores
    folder.mkdir(parents=True, exist_ok=True)
    networks: dict[str, Callable[[], tuple[bytes, Pictures]]] = {"demo": lambda: _demo(folder)}
    if _SHARED.is_dir():
        networks |= {
            "ResNet-18, CIFAR-10": lambda: _cifar10("checkpoints/resnet18_cifar10_64.pth", 64),
            "ResNet-20, CIFAR-10": lambda: _cifar10("models/resnet20_cifar10.onnx", 32),
            "EfficientNet-Lite0, photos": _photos,
        }
    _row(
        "network", "fitted to", f"used, of {_SPLITS}", "temperature", "nats gained (least)",
        "error beyond chance", "its growth in a split", "halved",
        "other answers",
    )  # fmt: skip
    _row(*["---"] * 9)
    for name, make in networks.items():
        _report(name, _scores(name, folder, make), tuple(arguments.counts))


if __name__ == "__main__":
    main()
