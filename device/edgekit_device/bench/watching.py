"""Heat, throttling and power while something is measured: they may come and go between looks."""

import statistics
import threading
from types import TracebackType

from edgekit_device.bench import conditions
from edgekit_device.bench.conditions import Conditions
from edgekit_device.bench.energy import Meter

_INTERVAL = 0.5  # seconds between two looks
_PATIENCE = 5.0  # seconds for a last look


class Watching:
    """Looks at the board before, inside and after the `with` block, in a thread of its own.

    Args:
        meter: of power; None where there is none.

    Attributes:
        looks: how the board was, in order; the first is from before the block, the last from
            after it.
        watts: mean power inside the block, once it has ended; None where nothing was told.
    """

    def __init__(self, meter: Meter | None) -> None:
        self.looks: list[Conditions] = []
        self.watts: float | None = None
        self._meter = meter
        self._done = threading.Event()
        self._told: list[float] = []
        self._thread = threading.Thread(target=self._watch, name="watching", daemon=True)

    def __enter__(self) -> "Watching":
        if self._meter is not None:
            self._meter.watts()  # A counter begins here.
        self.looks.append(conditions.look())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join(_PATIENCE)
        self.watts = statistics.fmean(self._told) if self._told else None

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._done.wait(_INTERVAL)
            watts = self._meter.watts() if self._meter is not None else None
            if watts is not None:
                self._told.append(watts)
            self.looks.append(conditions.look())
