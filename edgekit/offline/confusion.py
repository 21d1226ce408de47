"""Counts of pairs of labels as a table: the truth and the answer, or two models' answers."""

from collections.abc import Mapping
from typing import NamedTuple

MAX_LABELS = 40


class Row(NamedTuple):
    """A label of the first kind: how often it met each column's, and the fraction of its own."""

    label: str
    counts: list[int]
    same: float


class Confusion(NamedTuple):
    """The table.

    Attributes:
        columns: labels of the second kind: the rows' own, then others.
        rows: in alphabetical order.
        labels: how many rows there would be if none were left out.
    """

    columns: list[str]
    rows: list[Row]
    labels: int


def confusion(counts: Mapping[tuple[str, str], int]) -> Confusion:
    """The table of the labels with the highest counts, 40 rows at most."""
    firsts: dict[str, int] = {}
    seconds: dict[str, int] = {}
    for (first, second), count in counts.items():
        firsts[first] = firsts.get(first, 0) + count
        seconds[second] = seconds.get(second, 0) + count
    kept = _most(firsts)
    columns = [*kept, *_most({label: n for label, n in seconds.items() if label not in kept})]
    rows = [
        Row(
            first,
            [counts.get((first, second), 0) for second in columns],
            counts.get((first, first), 0) / firsts[first],
        )
        for first in kept
    ]
    return Confusion(columns, rows, len(firsts))


def _most(counts: Mapping[str, int]) -> list[str]:
    return sorted(sorted(counts, key=lambda label: (-counts[label], label))[:MAX_LABELS])
