"""What a model says of a picture."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.text import one_line, percent

# Classes that a line, and a table, shows.
_IN_LINE, _IN_TABLE = 3, 5


class Scored(NamedTuple):
    """A class and its probability: its name, the probability in [0, 1], its index."""

    label: str
    score: float
    class_index: int


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """What a model says of one picture; a notebook shows it as a table.

    Attributes:
        ranked: every class, the most probable first.
        scores: probability of each class by index, (classes,) float32.
    """

    ranked: list[Scored]
    scores: NDArray[np.float32]

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.ranked[0].label

    @property
    def score(self) -> float:
        """Its probability, in [0, 1]."""
        return self.ranked[0].score

    @property
    def class_index(self) -> int:
        """Its index."""
        return self.ranked[0].class_index

    def __repr__(self) -> str:
        shown = [f"{one_line(one.label, 60)} {percent(one.score)}" for one in self.ranked]
        rest = ", …" if len(shown) > _IN_LINE else ""
        return f"<Answer {', '.join(shown[:_IN_LINE])}{rest}>"

    def _repr_html_(self) -> str:
        # Only a notebook asks.
        from html import escape

        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(one_line(one.label, 60))}</td>"
            f"<td>{percent(one.score)}</td><td style='min-width:12em'><div style='height:.8em;"
            f"background:#0b5c86;width:{100 * one.score:.1f}%'></div></td></tr>"
            for one in self.ranked[:_IN_TABLE]
        )
        return f"<table>{rows}</table>"
