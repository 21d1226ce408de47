"""Settings as a part of the daemon's configuration, and as what a model file recommends."""

from collections.abc import Iterable

import msgspec

from edgekit.model.decision import (
    LABEL_KEYS,
    DecisionOverrides,
    DecisionSettings,
    LabelOverrides,
    LabelSettings,
)
from edgekit.offline.tuning.candidates import KEYS
from edgekit.settings import key_text, toml_value
from edgekit.text import one_line


def overrides(settings: DecisionSettings, *otherwise: DecisionSettings) -> DecisionOverrides:
    """What has to be said so that settings hold.

    Args:
        settings: that are to hold; of their heartbeat nothing is said.
        otherwise: what may hold where nothing is said.
    """
    general = {
        key: getattr(settings, key)
        for key in KEYS
        if any(getattr(settings, key) != getattr(one, key) for one in otherwise)
    }
    names = dict.fromkeys(name for one in (*otherwise, settings) for name in one.labels)
    labels = {
        name: _label(settings.of(name), any(one.of(name).ignore for one in otherwise))
        for name in names
    }
    return DecisionOverrides(**general, labels=labels)


def _label(rule: LabelSettings, may_be_ignored: bool) -> LabelOverrides:
    if rule.ignore:
        return LabelOverrides(ignore=True)
    # All of it, because what is said of all labels wins over what the model file says of one.
    values = {key: getattr(rule, key) for key in LABEL_KEYS}
    return LabelOverrides(**values, ignore=False if may_be_ignored else None)


def toml(settings: DecisionSettings, said: DecisionOverrides, comments: Iterable[str]) -> str:
    """A configuration with a section `[decision]`; keys of which nothing is said are comments.

    Args:
        settings: what holds with it.
        said: of this.
        comments: lines that it begins with.
    """
    lines = [f"# {one_line(comment)}" for comment in comments]
    lines += ["", "[decision]"]
    for key in KEYS:
        mark = "#" if getattr(said, key) is None else ""
        lines.append(f"{mark}{key} = {toml_value(getattr(settings, key))}")
    for name, rule in said.labels.items():
        lines += ["", f"[decision.labels.{key_text(name)}]"]
        lines += [
            f"{key} = {toml_value(value)}" for key, value in msgspec.to_builtins(rule).items()
        ]
    return "\n".join(lines) + "\n"
