"""What a decision costs: false events, missed ones, and late ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConfigurationError
from edgekit.offline.tuning.judging import Outcomes

# Only their ratios matter; sums of what is larger would not be finite.
_LARGEST = 1e6


@dataclass(frozen=True)
class Cost:
    """What is paid for what goes wrong, in any unit; as text, in words.

    Attributes:
        false: for an event that nothing happened for: an answer that is wrong, or one that tells
            again what it had told of the same interval.
        missed: for an interval of the truth that is never answered.
        second: for each second until one is answered; no more than for one that is missed.
        name: of the preference, if it is one of them.
    """

    false: float
    missed: float
    second: float
    name: str = ""

    def __post_init__(self) -> None:
        for what, value in (("false", self.false), ("missed", self.missed)):
            if not 0 < value <= _LARGEST:
                raise ConfigurationError(
                    f"--cost-{what} is {value:g}, not a number above 0, to {_LARGEST:g}: where "
                    "either a false event or a missed one costs nothing, to tell everything, or "
                    "nothing, is best"
                )
        if not 0 <= self.second <= _LARGEST:
            raise ConfigurationError(
                f"--cost-second is {self.second:g}, not a number from 0 to {_LARGEST:g}"
            )

    def __str__(self) -> str:
        costs = (
            f"a false event costs {self.false:g}, a missed one {self.missed:g}, "
            f"a second of delay {self.second:g}"
        )
        return f"{self.name}: {costs}" if self.name else costs

    def of(self, outcomes: Outcomes) -> NDArray[np.float64]:
        """What each setting costs in each part, (settings, parts)."""
        superfluous = outcomes.false + outcomes.repeated
        late = np.minimum(self.second * outcomes.delays, self.missed)
        per_event = np.where(np.isnan(outcomes.delays), self.missed, late)
        return self.false * superfluous + outcomes.per_part(per_event)


PREFERENCES = {
    cost.name: cost
    for cost in (
        Cost(10, 1, 0.1, "few-false"),
        Cost(1, 1, 0.2, "balanced"),
        Cost(1, 4, 2, "fast"),
    )
}
