"""docs/benchmarks.md and its plot, from the figures that benchmarks found."""

import os
import platform
from collections.abc import Iterable
from datetime import date
from html import escape
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from benchmarks.figures import Figure, short

PAGE = Path("docs/benchmarks.md")
PLOT = Path("docs/benchmarks.svg")
BEGIN, END = "<!-- figures: made by make bench -->\n", "<!-- end of figures -->\n"

_ROW, _LEFT, _WIDTH, _RIGHT = 26, 330, 320, 60


def tables(figures: Iterable[Figure]) -> str:
    """Markdown: a table for each part, in the order in which they were found."""
    lines = []
    for part, rows in groupby(figures, key=lambda figure: figure.part):
        lines += [f"### {part}", "", "| | median | rounds | asked |", "| --- | --- | --- | --- |"]
        for row in rows:
            median = f"{short(row.median)} {row.unit}".rstrip()
            asked = f"{row.asked} {row.unit}".rstrip() if row.asked else ""
            if row.kept is False:
                asked += ": **missed**"
            lines.append(f"| {row.what} | {median} | {row.spread} | {asked} |")
        lines.append("")
    return "\n".join(lines)


def machine(load: float) -> str:
    """What they were measured on, as a line.

    Args:
        load: of the machine before it began, processes that wanted to run.
    """
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    packages = " · ".join(f"{one} {version(one)}" for one in ("ai-edge-litert", "numpy"))
    return (
        f"{date.today()} · {name}, {os.cpu_count()} cores · {platform.system()} "
        f"{platform.machine()} · Python {platform.python_version()} · {packages} · load {load:.1f} "
        "before it began"
    )


def plot(figures: Iterable[Figure]) -> str:
    """An SVG of figures that have a bound: each as a part of its bound, with its spread.

    One that is to be nothing at all has no such part, and stands in its table alone.
    """
    rows = [figure for figure in figures if figure.asked and float(figure.asked.split()[1])]
    height = _ROW * (len(rows) + 2)
    bound = _LEFT + _WIDTH / 2
    parts = [
        f'<path d="M{bound} {_ROW}V{height - _ROW}" stroke="#999" stroke-dasharray="4 4"/>',
        f'<text x="{bound}" y="{_ROW - 9}" text-anchor="middle" fill="#666">what is asked</text>',
    ]
    for number, row in enumerate(rows, 1):
        y = _ROW * number + 13
        limit = float(row.asked.split()[1])

        def at(value: float, limit: float = limit) -> float:
            return _LEFT + _WIDTH * min(1.0, value / limit / 2)

        colour = "#0b6bcb" if row.kept else "#c2410c"
        low, middle, high = at(min(row.values)), at(row.median), at(max(row.values))
        better = "more is better" if row.asked.startswith(">=") else "less is better"
        parts += [
            f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(row.what)}</text>',
            f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{middle:.1f}" cy="{y}" r="5" fill="{colour}">'
            f"<title>{short(row.median)} {escape(row.unit)}, {better}</title></circle>",
            f'<text x="{_LEFT + _WIDTH + 10}" y="{y + 4}" fill="{colour}">'
            f"{short(row.median)} {escape(row.unit)}</text>",
        ]
    width = _LEFT + _WIDTH + _RIGHT + 20
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def write(figures: list[Figure], load: float) -> None:
    """Put figures in the place of the last ones; what was written by hand stays.

    Raises:
        ValueError: the page has lost the marks between which they stand.
    """
    text = PAGE.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{PAGE} has lost its marks: {BEGIN.strip()} … {END.strip()}")
    body = f"\n{machine(load)}\n\n{tables(figures)}"
    PAGE.write_text(before + BEGIN + body + "\n" + END + after, encoding="utf-8")
    PLOT.write_text(plot(figures), encoding="utf-8")
