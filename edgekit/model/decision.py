"""How the scores of frames become a label: what a user sets, and what a model file recommends.

Of both, what is not said is left to the next: the configuration, the model file, the defaults.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgekit.settings import Section

_KEYS = ("smoothing", "enter", "leave", "hold", "heartbeat")
_LABEL_KEYS = ("enter", "leave", "hold")


class DecisionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a decision needs to know.

    Attributes:
        smoothing: frames that scores are averaged over; 1 for none.
        enter: smoothed score, in [0, 1], from which a label is taken.
        leave: smoothed score below which it is given up; not above `enter`.
        hold: seconds for which a label is kept at least.
        heartbeat: seconds after which an unchanged label is told again; 0 for never.
        labels: what holds for single labels, by name.
    """

    smoothing: Annotated[int, Meta(ge=1)] = 5
    enter: Annotated[float, Meta(ge=0, le=1)] = 0.6
    leave: Annotated[float, Meta(ge=0, le=1)] = 0.4
    hold: Annotated[float, Meta(ge=0)] = 0.5
    heartbeat: Annotated[float, Meta(ge=0)] = 60.0
    labels: dict[str, "LabelSettings"] = {}

    def __post_init__(self) -> None:
        _check_order(self.enter, self.leave)

    def of(self, label: str) -> "LabelSettings":
        """What holds for a label."""
        return self.labels.get(label) or LabelSettings(self.enter, self.leave, self.hold)


class LabelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds for one label.

    Attributes:
        enter, leave, hold: as for all, see `DecisionSettings`.
        ignore: it is never decided, whatever its score.
    """

    enter: Annotated[float, Meta(ge=0, le=1)]
    leave: Annotated[float, Meta(ge=0, le=1)]
    hold: Annotated[float, Meta(ge=0)]
    ignore: bool = False

    def __post_init__(self) -> None:
        _check_order(self.enter, self.leave)


class LabelOverrides(Section, frozen=True, omit_defaults=True):
    """What is said of one label."""

    enter: Annotated[float, Meta(ge=0, le=1)] | None = None
    leave: Annotated[float, Meta(ge=0, le=1)] | None = None
    hold: Annotated[float, Meta(ge=0)] | None = None
    ignore: bool | None = None


class DecisionOverrides(Section, frozen=True, omit_defaults=True):
    """How the scores of frames become a label; what is unset, the model file may recommend."""

    smoothing: (
        Annotated[int, Meta(ge=1, description="Frames that scores are averaged over; 1 for none.")]
        | None
    ) = None
    enter: (
        Annotated[
            float, Meta(ge=0, le=1, description="Smoothed score from which a label is taken.")
        ]
        | None
    ) = None
    leave: (
        Annotated[float, Meta(ge=0, le=1, description="Smoothed score below which it is given up.")]
        | None
    ) = None
    hold: (
        Annotated[float, Meta(ge=0, description="Seconds for which a label is kept at least.")]
        | None
    ) = None
    heartbeat: (
        Annotated[
            float,
            Meta(
                ge=0, description="Seconds after which an unchanged label is told again; 0: never."
            ),
        ]
        | None
    ) = None
    labels: dict[str, LabelOverrides] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.enter is not None and self.leave is not None:
            _check_order(self.enter, self.leave)


class Recommendation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Decision settings that were found for this model, see `edgekit tune`.

    Attributes:
        decision: the settings.
        objective: what they were found for, in words.
        recordings: on how many recordings.
        events: how many events the truth of these has.
        span: seconds of these recordings.
    """

    decision: DecisionOverrides
    objective: str
    recordings: int
    events: int
    span: float


def merge(*said: DecisionOverrides) -> DecisionSettings:
    """The settings, of what is said by the first to speak of each.

    What is said of one label wins over what the same says of all; what it says of all wins over
    whatever a later one says, of one label or of all.

    Args:
        said: the configuration's, then the model file's; defaults fill the rest.

    Raises:
        ValueError: together they contradict each other; says how.
    """
    settings = DecisionSettings(**dict(_said(_KEYS, said)))
    names = {name: None for one in said for name in one.labels}
    return msgspec.structs.replace(
        settings, labels={name: _label(name, said, settings) for name in names}
    )


def _label(
    name: str, said: tuple[DecisionOverrides, ...], general: DecisionSettings
) -> LabelSettings:
    silent = LabelOverrides()
    # What one says of the label, then what it says of all.
    both = [part for one in said for part in (one.labels.get(name, silent), one)]
    ignored = [one.labels[name].ignore for one in said if name in one.labels]
    try:
        return LabelSettings(
            **{key: getattr(general, key) for key in _LABEL_KEYS} | dict(_said(_LABEL_KEYS, both)),
            ignore=next((value for value in ignored if value is not None), False),
        )
    except ValueError as error:
        raise ValueError(f"labels.{name}: {error}") from error


def _said(keys: Iterable[str], said: Iterable[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """Each key that one of them says something of, and what the first says."""
    for key in keys:
        values = (getattr(one, key) for one in said)
        if (value := next((value for value in values if value is not None), None)) is not None:
            yield key, value


def _check_order(enter: float, leave: float) -> None:
    if leave > enter:
        raise ValueError(f"leave ({leave:g}) is above enter ({enter:g})")
