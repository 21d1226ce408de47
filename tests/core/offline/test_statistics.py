"""Confidence intervals on worked numbers."""

import pytest

from edgekit.offline.statistics import Share, wilson


def test_wilsons_interval() -> None:
    # 8 of 10: centre 0.8 + 3.8415 / 20, spread 1.96 sqrt(0.016 + 3.8415 / 400), over 1.38415.
    assert wilson(0.8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    assert wilson(0, 10) == pytest.approx((0, 0.27753), abs=1e-5)
    assert wilson(1, 10) == pytest.approx((0.72247, 1), abs=1e-5)
    assert wilson(0.5, 0) == (0, 1)


def _share(*seconds: tuple[int, int]) -> Share:
    """For each two seconds of a recording, hits and misses."""
    share = Share()
    for block, (hits, misses) in enumerate(seconds):
        for hit in [True] * hits + [False] * misses:
            share.add(hit, 2 * block + 0.5)
    return share


def test_frames_of_the_same_two_seconds_are_one_cluster() -> None:
    share = _share((2, 0), (0, 2), (1, 1))
    assert (share.hits, share.count, share.part) == (3, 6, 0.5)
    # Residuals 1, -1 and 0: variance 3/2 x 2/36, twice that of six independent frames (1/24).
    assert share.interval() == pytest.approx(wilson(0.5, 6 / 2))


def test_clusters_that_differ_less_than_by_chance_do_not_narrow_it() -> None:
    assert _share((1, 1), (1, 1), (1, 1)).interval() == wilson(0.5, 6)


def test_what_is_all_alike_counts_its_clusters() -> None:
    assert _share((2, 0), (9, 0)).interval() == wilson(1, 2)
    assert _share((3, 4)).interval() == wilson(3 / 7, 1)
    assert Share().interval() == (0, 1)
