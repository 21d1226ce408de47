"""How a recording's scores become labels: options, the daemon's configuration, or the clip."""

from pathlib import Path
from typing import Any

import msgspec

from edgekit import settings
from edgekit.inference.decision import DecisionSettings
from edgekit.offline.clip import ClipHeader
from edgekit.offline.player import recorded_decision


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the daemon's configuration that answers of a recording depend on."""

    decision: DecisionSettings = DecisionSettings()


def decision_settings(
    config: Path | None, options: dict[str, Any], header: ClipHeader | None
) -> DecisionSettings:
    """How scores become labels: as options say, or the configuration, or the clip.

    Args:
        config: the configuration file, if any.
        options: values by key path.
        header: of the clip, if it is one.

    Raises:
        SettingsError: the configuration is missing or wrong.
        SourceError: the clip's own settings do not fit this edgekit.
    """
    if config is None and header is not None:
        recorded = msgspec.to_builtins(recorded_decision(header))
        options = {**{f"decision.{key}": value for key, value in recorded.items()}, **options}
    return settings.load(Recorded, config, options).decision
