"""How a recording's scores become labels: options, the daemon's configuration, or the clip."""

from pathlib import Path
from typing import Any

import msgspec

from edgekit import settings
from edgekit.errors import SourceError
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import settle
from edgekit.model.decision import DecisionOverrides, DecisionSettings
from edgekit.offline.clip import ClipHeader


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the daemon's configuration that answers of a recording depend on."""

    decision: DecisionOverrides = DecisionOverrides()


def decision_settings(
    config: Path | None,
    options: dict[str, Any],
    header: ClipHeader | None,
    classifier: Classifier,
) -> DecisionSettings:
    """How scores become labels: as options say, or the configuration, or the clip, or the model.

    Args:
        config: the configuration file, if any.
        options: values by key path.
        header: of the clip, if it is one.
        classifier: the model, which may recommend settings.

    Raises:
        SettingsError: the configuration is missing or wrong.
        SourceError: the clip's own settings do not fit this edgekit.
    """
    chosen = settings.load(Recorded, config, options).decision
    if config is None and header is not None:
        return settle(chosen, _recorded_decision(header))
    return settle(chosen, classifier.recommended)


def _recorded_decision(header: ClipHeader) -> DecisionOverrides:
    """The decision settings that a clip was recorded with.

    Raises:
        SourceError: this edgekit does not know them.
    """
    try:
        return msgspec.convert(header.decision, DecisionOverrides)
    except msgspec.ValidationError as error:
        raise SourceError(
            f"the clip's decision settings do not fit this edgekit: {error}; set your own with "
            "--config"
        ) from error
