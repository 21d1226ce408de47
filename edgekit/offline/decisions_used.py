"""Which decision settings held, and where from, for one model or several, on recordings."""

from collections.abc import Iterator
from typing import Any

import msgspec

from edgekit.model.settled import Settled
from edgekit.text import listed

# Names that are given for settings that did not hold for all.
_NAMED = 3


class DecisionsUsed:
    """Gathers them; most often all are the same."""

    def __init__(self) -> None:
        self._used: list[tuple[Settled, list[str]]] = []

    def add(self, name: str, settled: Settled) -> None:
        """Take the settings that hold for what is called so."""
        names = next((names for one, names in self._used if one == settled), None)
        if names is None:
            self._used.append((settled, [name]))
        else:
            names.append(name)

    @property
    def different(self) -> list[Settled]:
        """Each of them once."""
        return [settled for settled, _ in self._used]

    def lines(self) -> Iterator[str]:
        """Each in words; where they differ, with what it held for."""
        for settled, names in self._used:
            held_for = f" for {listed(names, _NAMED)}" if len(self._used) > 1 else ""
            yield f"{settled}{held_for}"

    def summary(self) -> list[dict[str, Any]]:
        """They, as JSON has them."""
        return [{**summary(settled), "held_for": names} for settled, names in self._used]


def summary(settled: Settled) -> dict[str, Any]:
    """Settings and where they are from, as JSON has them."""
    return {"settings": msgspec.to_builtins(settled.settings), "source": settled.source}
