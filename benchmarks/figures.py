"""What benchmarks find: printed as it is found, and kept for docs/benchmarks.md.

`python -m benchmarks` names a file in which figures are kept; by itself a benchmark only prints.
"""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

FILE = "EDGEKIT_FIGURES"
"""The variable that names the file, one figure a line."""


class Figure(msgspec.Struct, frozen=True):
    """One figure.

    Attributes:
        part: of the page, such as `The daemon`.
        what: was measured.
        values: of each round, at least one.
        unit: of them; empty for a ratio.
        asked: the bound it is held to, such as `>= 0.98`; empty without one.
    """

    part: str
    what: str
    values: list[float]
    unit: str = ""
    asked: str = ""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        """The least and the largest value; empty for one alone."""
        if len(self.values) == 1:
            return ""
        return f"{short(min(self.values))} to {short(max(self.values))}"

    @property
    def kept(self) -> bool | None:
        """Whether the median keeps the bound; None without one."""
        if not self.asked:
            return None
        sign, bound = self.asked.split()
        return self.median >= float(bound) if sign == ">=" else self.median <= float(bound)


def found(part: str, what: str, values: Sequence[float], unit: str = "", asked: str = "") -> None:
    """Print a figure, and keep it where `FILE` says."""
    figure = Figure(part, what, [float(value) for value in values], unit, asked)
    words = f"{what}: {short(figure.median)} {unit}".rstrip()
    spread = f", {figure.spread} in {len(values)} rounds" if figure.spread else ""
    bound = {True: f", {asked}", False: f", NOT {asked}", None: ""}[figure.kept]
    print(words + spread + bound, flush=True)
    if file := os.environ.get(FILE):
        with Path(file).open("ab") as kept:
            kept.write(msgspec.json.encode(figure) + b"\n")


def short(value: float) -> str:
    """A number with three digits that mean something."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"
