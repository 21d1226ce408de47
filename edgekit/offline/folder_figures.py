"""What is measured on labelled pictures: figures of one model, and of two beside each other."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgekit.files import write_atomically
from edgekit.model.manifest import Confidence
from edgekit.offline.calibration import Calibration
from edgekit.offline.statistics import PictureFraction, mcnemar
from edgekit.report.page import framed

# Classes of a picture's that have the best scores, for `top5`.
TOP = 5


@dataclass(frozen=True)
class ClassFigures:
    """What became of a class.

    Attributes:
        label, index: its name and number.
        recall: of the pictures of this class, those that were answered with it.
        precision: of the pictures that were answered with it, those of this class.
    """

    label: str
    index: int
    recall: PictureFraction
    precision: PictureFraction

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        return {
            "label": self.label,
            "index": self.index,
            "images": self.recall.count,
            "answers": self.precision.count,
            "right": self.recall.hits,
            **self.recall.summary("recall"),
            **self.precision.summary("precision"),
        }


class Latency(NamedTuple):
    """Of preprocessing and inference of a picture, in milliseconds: 50th, 5th, 95th percentile."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class PictureMistake:
    """A picture that was answered wrongly.

    Attributes:
        picture: its name.
        truth, answer: class names.
        score, truth_score: of the answer, and of the true class.
        jpeg: the picture as a JPEG file, at most 320 x 320.
        width: of it, in pixels.
    """

    picture: str
    truth: str
    answer: str
    score: float
    truth_score: float
    jpeg: bytes = field(repr=False)
    width: int = field(repr=False)

    def summary(self) -> dict[str, Any]:
        """It, as JSON has it: without the picture."""
        return {
            "picture": self.picture,
            "truth": self.truth,
            "answer": self.answer,
            "score": round(self.score, 6),
            "truth_score": round(self.truth_score, 6),
        }


@dataclass(frozen=True)
class Difference:
    """A picture that two models answer differently.

    Attributes:
        picture: its name.
        truth: the name of its class.
        a, b: the answers, and their scores.
        jpeg: the picture as a JPEG file, at most 320 x 320.
        width: of it, in pixels.
    """

    picture: str
    truth: str
    a: tuple[str, float]
    b: tuple[str, float]
    jpeg: bytes = field(repr=False)
    width: int = field(repr=False)

    def summary(self) -> dict[str, Any]:
        """It, as JSON has it: without the picture."""
        return {
            "picture": self.picture,
            "truth": self.truth,
            "a": {"answer": self.a[0], "score": round(self.a[1], 6)},
            "b": {"answer": self.b[0], "score": round(self.b[1], 6)},
        }


@dataclass(frozen=True)
class ModelFigures:
    """How right a model is on labelled pictures.

    Attributes:
        model: name of its file.
        sha256: of the file, in hexadecimal.
        runtime, accelerator: what ran it.
        labels: its class names.
        top1, top5: pictures whose class has the best score, or one of the five best.
        counts: pictures by the names of their class and of the best one.
        calibration: of its confidence; None where its answers are no probabilities.
        uncalibrated: why there is none.
        confidence: what the file says of how its confidence was calibrated, if anything.
        latency: a picture's.
        mistakes: the surest, at most as many as were asked for; the surest first.
    """

    model: str
    sha256: str
    runtime: str
    accelerator: str
    labels: list[str] = field(repr=False)
    top1: PictureFraction
    top5: PictureFraction
    counts: Counter[tuple[str, str]] = field(repr=False)
    calibration: Calibration | None = field(repr=False)
    uncalibrated: str = field(repr=False)
    confidence: Confidence | None = field(repr=False)
    latency: Latency
    mistakes: list[PictureMistake] = field(repr=False)

    @property
    def mistake_count(self) -> int:
        """How many pictures were answered wrongly."""
        return self.top1.count - self.top1.hits

    @property
    def top5_means_something(self) -> bool:
        """Whether there are more than five classes."""
        return len(self.labels) > TOP

    @property
    def classes(self) -> list[ClassFigures]:
        """Each class, in the model's order."""
        images, answers = Counter[str](), Counter[str]()
        for (truth, answer), count in self.counts.items():
            images[truth] += count
            answers[answer] += count
        return [
            ClassFigures(
                label,
                index,
                PictureFraction(self.counts[label, label], images[label]),
                PictureFraction(self.counts[label, label], answers[label]),
            )
            for index, label in enumerate(self.labels)
        ]

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        return {
            "model": self.model,
            "sha256": self.sha256,
            "runtime": self.runtime,
            "accelerator": self.accelerator,
            "images": self.top1.count,
            **self.top1.summary("top1"),
            **self.top5.summary("top5"),
            "latency_ms": round(self.latency.median, 3),
            "latency_spread_ms": [round(self.latency.low, 3), round(self.latency.high, 3)],
            "calibration": self.calibration.summary() if self.calibration else None,
            "uncalibrated": self.uncalibrated or None,
            "file_confidence": msgspec.to_builtins(self.confidence),
            "classes": [one.summary() for one in self.classes],
            "confusion": [
                {"truth": truth, "answer": answer, "images": count}
                for (truth, answer), count in sorted(self.counts.items())
            ],
            "mistakes": self.mistake_count,
            "surest_mistakes": [one.summary() for one in self.mistakes],
        }


def worst_classes(figures: ModelFigures) -> list[ClassFigures]:
    """Classes with pictures or answers, the worst recall first; those without pictures last."""
    met = [one for one in figures.classes if one.recall.count or one.precision.count]

    def rank(one: ClassFigures) -> tuple[bool, float, int]:
        return not one.recall.count, one.recall.value or 0.0, -one.recall.count

    return sorted(met, key=rank)


@dataclass(frozen=True)
class PictureComparison:
    """Two models, A and B, on the same pictures.

    Attributes:
        b: the figures of the second model.
        same: pictures with the same answer.
        both_right, only_a_right, only_b_right, none_right: pictures by who answers them right.
        differences: the surest of the pictures that they answer differently, of which both are
            surest first; at most as many as were asked for.
    """

    b: ModelFigures
    same: PictureFraction
    both_right: int
    only_a_right: int
    only_b_right: int
    none_right: int
    differences: list[Difference] = field(repr=False)

    @property
    def difference_count(self) -> int:
        """How many pictures have two answers."""
        return self.same.count - self.same.hits

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test of who is right more often."""
        return mcnemar(self.only_a_right, self.only_b_right)

    def summary(self) -> dict[str, Any]:
        """The figures, as JSON has them."""
        return {
            "b": self.b.summary(),
            **self.same.summary("agreement"),
            "both_right": self.both_right,
            "only_a_right": self.only_a_right,
            "only_b_right": self.only_b_right,
            "none_right": self.none_right,
            "p_value": self.p_value,
            "differences": self.difference_count,
            "surest_differences": [one.summary() for one in self.differences],
        }


@dataclass(frozen=True)
class FolderEvaluation(ModelFigures):
    """What `evaluate` measured; in a notebook it shows its report.

    Attributes:
        comparison: with a second model, where there is one; this one is A.
        pictures: the folder's name.
        made: when, as events tell the time.
        seconds: that it took.
        notes: what was guessed, is missing or was left out, a line each.
    """

    comparison: PictureComparison | None
    pictures: str
    made: str
    seconds: float
    notes: list[str]

    def summary(self) -> dict[str, Any]:
        """All figures by name, as `--json` prints them."""
        comparison = {"comparison": self.comparison.summary()} if self.comparison else {}
        ending = {"seconds": round(self.seconds, 3), "notes": self.notes}
        return {**super().summary(), **comparison, **ending}

    def html(self) -> str:
        """The report: one page, which runs no script and loads nothing."""
        # Not at the top: it imports this module.
        from edgekit.offline.folder_page import render_folder

        return render_folder(self)

    def save_report(self, path: str | os.PathLike[str]) -> None:
        """Write the report, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        write_atomically(Path(path), self.html().encode())

    def _repr_html_(self) -> str:
        return framed(self.html())
