"""How right a model is on labelled pictures, by itself or beside a second one."""

import contextlib
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError, LabelsError, ModelFileError
from edgekit.files import StrPath
from edgekit.inference.classifier import Classifier, top_k
from edgekit.inference.events import timestamp
from edgekit.inference.probabilities import are_probabilities
from edgekit.model.labels import Notify, ignore
from edgekit.offline.calibration import Calibration, measure_calibration, why_improper
from edgekit.offline.folder_figures import (
    TOP,
    Difference,
    FolderEvaluation,
    Latency,
    ModelFigures,
    PictureComparison,
    PictureMistake,
)
from edgekit.offline.labelled_pictures import LabelledPicture, LabelledPictures, Pair
from edgekit.offline.statistics import PictureFraction
from edgekit.offline.surest import Surest
from edgekit.text import encodable, listed
from edgekit.vision.encode import encode_jpeg, fit
from edgekit.vision.read_ahead import ReadAhead

# Of a picture that is kept, at most, in pixels.
_SIZE = 320
_SHOWN = 5

# Called after each picture as by a conversion: with a title, how many are done, and of how many;
# None where that is not known.
Progress: TypeAlias = Callable[[str, int, int | None], None]


def evaluate(
    model: StrPath | Classifier,
    pictures: StrPath | LabelledPictures | Iterable[Pair],
    *,
    compare: StrPath | Classifier | None = None,
    class_offset: int = 0,
    max_pictures: int = 100,
    notify: Notify = ignore,
    progress: Progress | None = None,
) -> FolderEvaluation:
    """Measure how right a model is on labelled pictures, which are answered as on the device.

    Each picture is read once, and the next ones while it is answered; what is kept of each is its
    path and a few bytes.

    Args:
        model: a model file; or one that `Classifier.open` has opened, with labels or a runtime of
            its own say, which stays open.
        pictures: a folder with a folder per class, or with `labels.tsv`, as `labelled_images` takes
            it; or pairs of a picture (H, W, 3) uint8 RGB and its class, an index or a name, as
            `LabelledPictures.of_pairs` takes them.
        compare: a second model with the same classes, in whatever order.
        class_offset: added to each class index; 1 for models whose class 0 is 'background'.
        max_pictures: so many mistakes, and differences of two models, are kept with their pictures.
        notify: called with each line about what was guessed, is missing or is left out, as soon as
            it is known; the result has them, too.
        progress: called with a title, the number of pictures done, and that of all, None where it
            is not known.

    Raises:
        DatasetError, ImageError: there are no pictures, or one cannot be read.
        LabelsError: the models have different classes.
        ModelFileError: a model file cannot be used, or answers a picture with no numbers.
        RuntimeUnavailableError, InferenceError: a model cannot be run, or failed on a picture.
    """
    with contextlib.ExitStack() as stack:
        a = _opened(model, stack, notify)
        b = None if compare is None else _opened(compare, stack, notify)
        models = [a] if b is None else [a, b]
        judge = _Judge(a, max_pictures)
        beside = None if b is None else _Beside(a, b, max_pictures)
        if isinstance(pictures, (str, os.PathLike)):
            pictures = LabelledPictures.in_folder(Path(pictures), a.labels, class_offset, notify)
        elif not isinstance(pictures, LabelledPictures):
            pictures = LabelledPictures.of_pairs(pictures, a.labels, class_offset, notify)
        told = len(pictures.notes)
        for one in models:
            one.warm_up()
        begun = time.monotonic()
        ahead = stack.enter_context(
            contextlib.closing(ReadAhead(pictures, lambda picture: picture.pixels.nbytes))
        )
        done = 0
        for done, picture in enumerate(ahead, start=1):
            best = judge.judge(picture)
            if beside is not None:
                beside.judge(picture, best)
            if progress is not None:
                progress("evaluating", done, pictures.length)
        if not done:
            raise DatasetError(f"there is nothing to evaluate: no {pictures.name} came")
        seconds = time.monotonic() - begun
    for note in pictures.notes[told:]:
        notify(f"{pictures.name}: {note}")
    notes = [*(note for one in models for note in one.notes), *pictures.notes]
    return FolderEvaluation(
        **vars(judge.finish()),
        comparison=beside.finish() if beside is not None else None,
        pictures=pictures.name,
        made=timestamp(),
        seconds=seconds,
        notes=list(dict.fromkeys(encodable(note) for note in notes)),
    )


def class_order(a: Classifier, b: Classifier) -> list[int]:
    """Where each class of A is among B's: two models are compared where all are.

    Raises:
        LabelsError: one of them has a class that the other has not.
    """
    places = {label: index for index, label in enumerate(b.labels)}
    for one, other in ((a, b), (b, a)):
        alone = sorted(set(one.labels) - set(other.labels))
        if alone:
            raise LabelsError(
                f"{a.path} and {b.path} have different classes, {len(a.labels)} and "
                f"{len(b.labels)}: only {one.path.name} has {listed(alone, _SHOWN)}; compare "
                "models of the same classes"
            )
    return [places[label] for label in a.labels]


def _opened(model: StrPath | Classifier, stack: contextlib.ExitStack, notify: Notify) -> Classifier:
    if isinstance(model, Classifier):
        return model
    classifier = Classifier(model)
    stack.callback(classifier.close)
    for note in classifier.notes:
        notify(note)
    return classifier


class _Judge:
    """Gathers the figures of one model.

    Args:
        classifier: the model.
        max_pictures: so many mistakes are kept.
        order: where each class of the first model is among its own; None for the first.
    """

    def __init__(
        self, classifier: Classifier, max_pictures: int, order: list[int] | None = None
    ) -> None:
        self._classifier = classifier
        own = order or range(len(classifier.labels))
        self._own = list(own)
        self._shared = {index: place for place, index in enumerate(own)}
        self._labels = [classifier.labels[index] for index in own]
        self._counts = Counter[tuple[str, str]]()
        self._top5 = 0
        self._improper = 0
        self._seconds, self._confidences, self._likelihoods = (array("f") for _ in range(3))
        self._right = bytearray()
        self._mistakes = Surest[PictureMistake](max_pictures)

    def judge(self, picture: LabelledPicture) -> tuple[int, float]:
        """Answer a picture; its best class, as an index of the first model's, and the score.

        Raises:
            ModelFileError: an answer is no number.
            InferenceError: the interpreter failed.
        """
        start = time.perf_counter()
        scores = self._classifier.classify(picture.pixels)
        self._seconds.append(time.perf_counter() - start)
        if not np.isfinite(scores).all():
            raise ModelFileError(
                f"{self._classifier.path} answers {picture.name} with values that are no finite "
                "numbers; convert it again"
            )
        self._improper += not are_probabilities(scores, self._classifier.step)
        # In the model's own order: of equal scores, the device answers the first.
        best = [(self._shared[index], score) for index, score in top_k(scores, TOP)]
        answer, score = best[0]
        truth, truth_score = picture.truth, float(scores[self._own[picture.truth]])
        self._counts[self._labels[truth], self._labels[answer]] += 1
        self._top5 += truth in (index for index, _ in best)
        self._right.append(answer == truth)
        self._confidences.append(score)
        self._likelihoods.append(truth_score)
        if answer != truth:
            self._mistakes.add(
                score,
                lambda: PictureMistake(
                    picture.name,
                    self._labels[truth],
                    self._labels[answer],
                    score,
                    truth_score,
                    *_thumbnail(picture),
                ),
            )
        return answer, score

    def finish(self) -> ModelFigures:
        """What was measured."""
        classifier, right = self._classifier, np.frombuffer(self._right, np.bool_)
        low, median, high = 1000 * np.quantile(np.array(self._seconds), (0.05, 0.5, 0.95))
        return ModelFigures(
            model=encodable(classifier.path.name),
            sha256=classifier.sha256,
            runtime=classifier.runtime_name,
            accelerator=classifier.accelerator,
            labels=self._labels,
            top1=PictureFraction(int(right.sum()), len(right)),
            top5=PictureFraction(self._top5, len(right)),
            counts=self._counts,
            calibration=self._calibration(right),
            uncalibrated=why_improper(self._improper, len(right)) if self._improper else "",
            confidence=classifier.confidence,
            latency=Latency(float(median), float(low), float(high)),
            mistakes=self._mistakes.best(),
        )

    def _calibration(self, right: NDArray[np.bool_]) -> Calibration | None:
        if self._improper:
            return None
        return measure_calibration(
            np.array(self._confidences), right, np.array(self._likelihoods), self._classifier.step
        )


class _Beside:
    """Gathers how a second model, B, answers the pictures that A answers."""

    def __init__(self, a: Classifier, b: Classifier, max_pictures: int) -> None:
        self._labels = a.labels
        self._judge = _Judge(b, max_pictures, class_order(a, b))
        self._right = Counter[tuple[bool, bool]]()
        self._same = 0
        self._differences = Surest[Difference](max_pictures)

    def judge(self, picture: LabelledPicture, a: tuple[int, float]) -> None:
        """Answer a picture, of which A's best class and its score are known.

        Raises:
            ModelFileError, InferenceError: as `_Judge.judge`.
        """
        b, labels, truth = self._judge.judge(picture), self._labels, picture.truth
        self._right[a[0] == truth, b[0] == truth] += 1
        if a[0] == b[0]:
            self._same += 1
            return
        self._differences.add(
            a[1] + b[1],
            lambda: Difference(
                picture.name,
                labels[truth],
                (labels[a[0]], a[1]),
                (labels[b[0]], b[1]),
                *_thumbnail(picture),
            ),
        )

    def finish(self) -> PictureComparison:
        """What was found, with the figures of B."""
        return PictureComparison(
            b=self._judge.finish(),
            same=PictureFraction(self._same, self._right.total()),
            both_right=self._right[True, True],
            only_a_right=self._right[True, False],
            only_b_right=self._right[False, True],
            none_right=self._right[False, False],
            differences=self._differences.best(),
        )


def _thumbnail(picture: LabelledPicture) -> tuple[bytes, int]:
    """A JPEG file, and its width in pixels."""
    pixels = fit(picture.pixels, _SIZE, _SIZE)
    return encode_jpeg(pixels), pixels.shape[1]
