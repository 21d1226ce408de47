"""When a part that failed is tried again, and when it is given up: every policy there is."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """Delays that grow with each failure in a row, spread at random.

    Many devices that lose the same broker then do not all come back at the same moment.

    Attributes:
        first: the first delay, in seconds.
        maximum: no delay is longer, in seconds.
        factor: growth from each delay to the next.
        jitter: the fraction of a delay, in [0, 1], that is drawn at random.
    """

    first: float
    maximum: float
    factor: float = 2.0
    jitter: float = 0.5

    def delay(self, failures: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait before the next try.

        Args:
            failures: how many there were in a row; without one there is nothing to wait for.
            draw: draws from [0, 1).
        """
        if failures < 1:
            return 0.0
        # Longer rows change nothing any more, and would not fit a float.
        longest = self.first * self.factor ** min(failures - 1, 64)
        return min(longest, self.maximum) * (1 - self.jitter * draw())


# A camera that ended, stalled or gave garbage is opened again; recovery.camera bounds it.
CAMERA = RetryPolicy(0.5, 15.0)
# A delegate that failed is loaded again; recovery.delegate bounds it, and then the CPU takes over.
DELEGATE = RetryPolicy(0.5, 15.0)
# While the CPU stands in for a delegate, that is tried now and then, for as long as it lasts.
DELEGATE_PROBE = RetryPolicy(60.0, 60.0, jitter=0.0)
# A broker that is away is connected to again; mqtt.give-up bounds it. All devices lose it at once.
# Nine tenths at random, of five seconds for the first try already, bring no more than a quarter of
# them back in one second (`benchmarks/fleet.py`).
BROKER = RetryPolicy(5.0, 60.0, jitter=0.9)
# An event that a webhook did not take is sent again; webhook.tries bounds it.
WEBHOOK = RetryPolicy(1.0, 60.0)
# A history that the disk did not take is written again.
HISTORY = RetryPolicy(1.0, 60.0, jitter=0.0)
# After wrong tokens in a row, a client's next one is not looked at for as long.
WRONG_TOKEN = RetryPolicy(1.0, 60.0, jitter=0.0)
# A service that keeps failing is started again by systemd, after its RestartSec= and this; it
# counts earlier restarts within the hour, and stays below the unit's TimeoutStartSec=.
SERVICE_RESTART = RetryPolicy(4.0, 120.0, jitter=0.0)


class Retry:
    """The tries of one part: delays by a policy, until a timeout.

    A part that works and fails again soon has not recovered: the timeout counts from the first
    failure that followed a steady stretch, and delays go on growing.

    Args:
        policy: the delays.
        timeout: seconds of trying before giving up.
        steady: seconds without a failure after which the next one counts as the first.
        clock: seconds; the monotonic clock.
        draw: draws from [0, 1).
    """

    def __init__(
        self,
        policy: RetryPolicy,
        timeout: float,
        *,
        steady: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._timeout = timeout
        self._steady = steady
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self._began = 0.0
        self._worked: float | None = None

    def worked(self) -> None:
        """The part works, now."""
        if self._worked is None:
            self._worked = self._clock()

    def failed(self) -> float | None:
        """The part failed: seconds to wait before the next try, None to give up."""
        now = self._clock()
        if self._worked is not None and now - self._worked >= self._steady:
            self._failures = 0
        self._worked = None
        if not self._failures:
            self._began = now
        self._failures += 1
        delay = self._policy.delay(self._failures, self._draw)
        return delay if now - self._began + delay <= self._timeout else None
