"""Intervals of fractions, of frames that resemble their neighbours."""

import pytest

from edgekit.offline.statistics import (
    BLOCK,
    FrameFraction,
    PictureFraction,
    binomial_tail,
    mcnemar,
    rounded,
    wilson,
)


def _fraction(*clusters: str) -> FrameFraction:
    """Of frames that lie in clusters; `1` is a hit."""
    fraction = FrameFraction()
    for number, frames in enumerate(clusters):
        for place, frame in enumerate(frames):
            fraction.add(frame == "1", BLOCK * (number + place / len(frames)))
    return fraction


def test_wilsons_interval() -> None:
    # Agresti and Coull 1998: 8 of 10 gives 0.49 to 0.94.
    low, high = wilson(0.8, 10)
    assert (round(low, 2), round(high, 2)) == (0.49, 0.94)
    assert rounded((low, high)) == [0.490162, 0.943318]
    assert rounded(wilson(1.0, 50)) == [0.928652, 1.0]
    assert rounded(wilson(0.0, 50)) == [0.0, 0.071348]


def test_of_nothing_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)
    assert FrameFraction().interval() == (0.0, 1.0)
    assert FrameFraction().value == 0.0


def test_hits_are_counted() -> None:
    fraction = _fraction("110", "1")
    assert (fraction.hits, fraction.count, fraction.value) == (3, 4, 0.75)


def test_the_design_effect_by_hand() -> None:
    # Four clusters of two frames: 2, 2, 1 and 1 of them hits, which is 6 of 8, or 0.75.
    # Residuals 2 - 1.5, 2 - 1.5, 1 - 1.5, 1 - 1.5: squared they sum to 1. Of clusters, the
    # variance of the fraction is 4/3 * 1 / 8², of independent frames 0.75 * 0.25 / 8; their
    # quotient 8/9 is below 1, so that 8 frames count as 8.
    assert _fraction("11", "11", "10", "01").interval() == pytest.approx(wilson(0.75, 8))
    # Three clusters all right and one all wrong: residuals 0.5 thrice and -1.5, which sum to 3
    # when squared; 4/3 * 3 / 8² is 8/3 of 0.75 * 0.25 / 8, so that 8 frames count as 3.
    assert _fraction("11", "11", "11", "00").interval() == pytest.approx(wilson(0.75, 3))


def test_clusters_may_differ_in_size() -> None:
    # 3 of 4, and 0 of 1: 0.6; residuals 3 - 2.4 and 0 - 0.6, which sum to 0.72 when squared.
    # 2/1 * 0.72 / 5² is 1.2 of 0.6 * 0.4 / 5, so that 5 frames count as 5 / 1.2.
    assert _fraction("1110", "0").interval() == pytest.approx(wilson(0.6, 5 / 1.2))


@pytest.mark.parametrize("frame", ["0", "1"])
def test_frames_that_are_all_alike_count_once_a_cluster(frame: str) -> None:
    same = _fraction(100 * frame, 100 * frame, 100 * frame)
    assert same.interval() == pytest.approx(wilson(float(frame), 3))


def test_one_cluster_counts_as_one_frame() -> None:
    assert _fraction("1110").interval() == pytest.approx(wilson(0.75, 1))


def test_mcnemars_test_by_hand() -> None:
    # 9 or more of 10, or 1 or less: 2 (10 + 1) / 2**10.
    assert mcnemar(9, 1) == mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(5, 5) == mcnemar(0, 0) == 1
    # Fay 2010 (the R package exact2x2): 21 and 9 discordant pairs.
    assert mcnemar(21, 9) == pytest.approx(0.0428, abs=0.0001)


def test_the_binomial_tail() -> None:
    assert binomial_tail(2, 3, 0.5) == pytest.approx(0.5)
    assert (binomial_tail(0, 3, 0.0), binomial_tail(1, 3, 0.0)) == (1, 0)


def test_a_fraction_of_no_pictures_is_none() -> None:
    assert PictureFraction(0, 0).summary("recall") == {"recall": None, "recall_interval": None}
    assert PictureFraction(8, 10).interval() == wilson(0.8, 10)
