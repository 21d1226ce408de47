"""How old events are, where the clock on the wall may be wrong."""

import time
from collections.abc import Callable

# Before this program was written: a board without a clock of its own begins in 1970.
IMPOSSIBLE = 1_735_689_600  # 2025-01-01
# Seconds by which the clock may be put on or back and is believed at once; at most so much of a
# history goes too early, or stays too long.
_ONWARD, _BACK = 2 * 24 * 3600, 3600
# Seconds of running on steadily after which any other clock is believed; and what is steady.
_PROOF, _STEADY = 6 * 3600, 60


class AgeClock:
    """Seconds since 1970 by which events age: no jump of the clock makes many old at once.

    A clock that is put on by more than two days, or back by more than an hour, is believed once it
    has gone on steadily for six hours of running. Until then time goes on as it passes.

    Args:
        last: its time when it was last asked, in a run before; None for the first run.
        wall: seconds since 1970.
        monotonic: seconds that pass.
    """

    def __init__(
        self,
        last: float | None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._looked = self._steady_since = monotonic()
        self._offset = wall() - self._looked
        self.now = wall() if last is None else last

    def look(self) -> float:
        """Bring `now` up to date.

        Returns:
            Seconds by which it was moved since another clock is believed: what came in this run is
            so much younger. 0 as a rule.
        """
        wall, passed = self._wall(), self._monotonic()
        self.now += passed - self._looked
        self._looked = passed
        if abs(wall - passed - self._offset) > _STEADY:
            self._steady_since = passed
        self._offset = wall - passed
        leap = wall - self.now
        possible = wall >= IMPOSSIBLE
        believed = (
            (-_BACK <= leap <= _ONWARD)
            or (possible and self.now < IMPOSSIBLE)
            or (possible and passed - self._steady_since >= _PROOF)
        )
        if not believed:
            return 0.0
        self.now = wall
        return leap if abs(leap) > _BACK else 0.0
