"""Labels in all their forms, as the model's classes."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.convert.given.helpers import (
    CLASSES,
    LABELS,
    PIXELS,
    load,
    refused,
)


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            LABELS,
            LABELS.tolist(),
            torch.from_numpy(LABELS),
            LABELS.astype(np.float32),
            LABELS[:, None],
            np.eye(3)[LABELS],
            [CLASSES[label] for label in LABELS],
        ],
    )
    def test_they_may_be_written_in_many_ways(self, labels: Any) -> None:
        for data in ((PIXELS, labels), zip(PIXELS, labels, strict=True)):
            assert load(data, labels=CLASSES).truth.tolist() == LABELS.tolist()  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (LABELS + 1, "picture 2 has the label 3, where the classes are from 0 to 2"),
            (LABELS - 5, "picture 0 has the label -5"),
            (LABELS[:-1], "evaluate has 11 labels for 12 pictures"),
            (LABELS / 2, "picture 1 has the label 0.5, which is no whole number"),
            (np.full((12, 3), 1 / 3), "picture 0 has several labels at once, (3,), or mixed ones"),
            (["cat"] * 11 + ["dgo"], "'dgo', which is no class of the model; they are dog"),
            ([0] * 11 + [None], "1 of 12 pictures have no label, the first is picture 11"),
            ([-1] + [0] * 11, "1 of 12 pictures have no label, the first is picture 0"),
            (LABELS * np.nan, "the label nan"),
            (LABELS + np.inf, "the label inf"),
            ([torch.empty((), device="meta")] * 12, "picture 0's label cannot be read"),
        ],
    )
    def test_those_that_fit_no_class_are_refused(self, labels: Any, words: str) -> None:
        assert words in refused((PIXELS, labels), labels=CLASSES)

    @pytest.mark.parametrize("data", [PIXELS, (PIXELS, [-1] * 12), (PIXELS, [None] * 12)])
    def test_without_any_there_is_no_truth(self, data: Any) -> None:
        found = load(data, labels=CLASSES)
        assert found.truth is None
        assert "its pictures have no labels, so that no accuracy is measured" in found.notes
