"""How the scores of frames become a label: what a user sets, and what a model file recommends.

Of both, what is not said is left to the next: the configuration, the model file, the defaults.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgekit.settings import Section, key_text
from edgekit.text import clock, one_line

_KEYS = ("smoothing", "enter", "leave", "hold", "heartbeat")
# Those that a label may have of its own.
LABEL_KEYS = ("enter", "leave", "hold")
# Labels that are named in a line.
_SHOWN = 5


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

    def __str__(self) -> str:
        return _in_words(self)


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


# What holds where a key is not set, for who reads of it.
_UNSET = {
    field.name: {"unset": f"as the model file recommends, else {field.default:g}"}
    for field in msgspec.structs.fields(DecisionSettings)
    if field.name in _KEYS
}


class LabelOverrides(Section, frozen=True, omit_defaults=True):
    """What is said of one label; what is unset holds for it as for all."""

    enter: (
        Annotated[
            float, Meta(ge=0, le=1, description="Smoothed score from which this label is taken.")
        ]
        | None
    ) = None
    leave: (
        Annotated[float, Meta(ge=0, le=1, description="Smoothed score below which it is given up.")]
        | None
    ) = None
    hold: (
        Annotated[float, Meta(ge=0, description="Seconds for which it is kept at least.")] | None
    ) = None
    ignore: (
        Annotated[bool, Meta(description="Whether it is never decided, whatever its score.")] | None
    ) = None

    def __post_init__(self) -> None:
        _check_both(self.enter, self.leave)
        useless = next(_said(LABEL_KEYS, [self]), None)
        if self.ignore and useless:
            raise ValueError(f"{useless[0]} is set for a label that is ignored; leave out one")


class DecisionOverrides(Section, frozen=True, omit_defaults=True):
    """How the scores of frames become a label; what is unset, the model file may recommend."""

    smoothing: Annotated[
        int,
        Meta(ge=1, description="Frames that scores are averaged over; 1 for none.",
             extra=_UNSET["smoothing"]),
    ] | None = None  # fmt: skip
    enter: Annotated[
        float,
        Meta(ge=0, le=1, description="Smoothed score from which a label is taken.",
             extra=_UNSET["enter"]),
    ] | None = None  # fmt: skip
    leave: Annotated[
        float,
        Meta(ge=0, le=1, description="Smoothed score below which it is given up.",
             extra=_UNSET["leave"]),
    ] | None = None  # fmt: skip
    hold: Annotated[
        float,
        Meta(ge=0, description="Seconds for which a label is kept at least.",
             extra=_UNSET["hold"]),
    ] | None = None  # fmt: skip
    heartbeat: Annotated[
        float,
        Meta(ge=0, description="Seconds after which an unchanged label is told again; 0: never.",
             extra=_UNSET["heartbeat"]),
    ] | None = None  # fmt: skip
    labels: dict[
        str,
        Annotated[LabelOverrides, Meta(description="What holds for one class alone, by its name.")],
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_both(self.enter, self.leave)
        for name, label in self.labels.items():
            both = dict(_said(LABEL_KEYS, [label, self]))
            try:
                _check_both(both.get("enter"), both.get("leave"))
            except ValueError as error:
                raise ValueError(f"labels.{key_text(name)}: {error}") from error

    @classmethod
    def of(cls, settings: DecisionSettings) -> "DecisionOverrides":
        """That these settings, and no others, hold."""
        labels = {
            name: LabelOverrides(ignore=True)
            if one.ignore
            else LabelOverrides(enter=one.enter, leave=one.leave, hold=one.hold)
            for name, one in settings.labels.items()
        }
        return cls(**{key: getattr(settings, key) for key in _KEYS}, labels=labels)

    def renamed(self, name_of: Callable[[str], str]) -> "DecisionOverrides":
        """The same of labels that are called otherwise.

        Raises:
            ValueError: two get the same name.
        """
        labels = {name_of(name): one for name, one in self.labels.items()}
        if len(labels) < len(self.labels):
            raise ValueError("decision.labels names a class twice; leave out one")
        return msgspec.structs.replace(self, labels=labels)

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return self != DecisionOverrides()

    def __str__(self) -> str:
        return _in_words(self)


class Recommendation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Decision settings that were found for this model, see `edgekit tune`.

    Attributes:
        decision: the settings; labels are called as the file calls them.
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

    def __str__(self) -> str:
        recordings = "1 recording" if self.recordings == 1 else f"{self.recordings} recordings"
        return (
            f"{self.decision or 'the defaults'} (found for {one_line(self.objective)}, on "
            f"{recordings} of {clock(self.span)} with {self.events} events)"
        )


def merge(*said: DecisionOverrides) -> DecisionSettings:
    """The settings, of what is said by the first to speak of each.

    What is said of one label wins over what the same says of all; what it says of all wins over
    whatever a later one says, of one label or of all. A label for which the same holds as for all
    is not among those of the result, so that equal settings are equal however they were said.

    Args:
        said: the configuration's, then the model file's; defaults fill the rest.

    Raises:
        ValueError: together they contradict each other; says how.
    """
    try:
        settings = DecisionSettings(**dict(_said(_KEYS, said)))
    except ValueError as error:
        raise ValueError(f"decision: {error}") from error
    labels = {}
    for name in dict.fromkeys(name for one in said for name in one.labels):
        try:
            label = _label(name, said, settings)
        except ValueError as error:
            raise ValueError(f"decision.labels.{key_text(name)}: {error}") from error
        if label != settings.of(name):
            labels[name] = label
    return msgspec.structs.replace(settings, labels=labels)


def _label(
    name: str, said: tuple[DecisionOverrides, ...], general: DecisionSettings
) -> LabelSettings:
    own = [one.labels[name] for one in said if name in one.labels]
    first = next((place for place, label in enumerate(own) if label.ignore is not None), None)
    if first is not None and own[first].ignore:
        if useless := next(_said(LABEL_KEYS, own[:first]), None):
            raise ValueError(
                f"{useless[0]} is set, but the label is ignored; set ignore = false beside it"
            )
        return msgspec.structs.replace(general.of(name), ignore=True)
    # What one says of the label, then what it says of all.
    silent = LabelOverrides()
    both = [part for one in said for part in (one.labels.get(name, silent), one)]
    values = {key: getattr(general, key) for key in LABEL_KEYS}
    return LabelSettings(**values | dict(_said(LABEL_KEYS, both)))


def _said(keys: Iterable[str], said: Iterable[msgspec.Struct]) -> Iterator[tuple[str, Any]]:
    """Each key that one of them says something of, and what the first says."""
    for key in keys:
        values = (getattr(one, key) for one in said)
        if (value := next((value for value in values if value is not None), None)) is not None:
            yield key, value


def _check_both(enter: float | None, leave: float | None) -> None:
    if enter is not None and leave is not None:
        _check_order(enter, leave)


def _check_order(enter: float, leave: float) -> None:
    if leave > enter:
        raise ValueError(f"leave ({leave:g}) is above enter ({enter:g}); set both")


def _in_words(said: DecisionSettings | DecisionOverrides) -> str:
    """`smoothing 5, enter 0.6; mug: enter 0.8; cup: ignored`; of many labels, the first few."""
    parts = [_values(said, _KEYS)] if any(_said(_KEYS, [said])) else []
    for name, label in [*said.labels.items()][:_SHOWN]:
        values = "ignored" if label.ignore else _values(label, LABEL_KEYS)
        parts.append(f"{one_line(name)}: {values}")
    if (more := len(said.labels) - _SHOWN) > 0:
        parts.append(f"{more} more labels")
    return "; ".join(parts)


def _values(said: msgspec.Struct, keys: Iterable[str]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in _said(keys, [said]))
