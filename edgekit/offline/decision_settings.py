"""Which settings hold for a recording: options, the daemon's configuration, or the clip."""

from pathlib import Path
from typing import Any

import msgspec

from edgekit import settings
from edgekit.errors import SourceError
from edgekit.inference.classifier import Classifier
from edgekit.model.decision import DecisionOverrides, DecisionSettings
from edgekit.model.settled import CONFIGURATION, MODEL_FILE, Settled, settle
from edgekit.offline.clip import ClipHeader
from edgekit.text import listed
from edgekit.vision.view import ViewSettings

OPTIONS = "the options"
CLIP = "the clip"
# Labels that are named in a line.
_NAMED = 5


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the daemon's configuration that answers of a recording depend on."""

    view: ViewSettings = ViewSettings()
    decision: DecisionOverrides = DecisionOverrides()


def decision_settings(
    config: Path | None,
    options: dict[str, Any],
    header: ClipHeader | None,
    classifier: Classifier,
) -> Settled:
    """How scores become labels: as options say, or the configuration, or the clip, or the model.

    Without a configuration a clip's own settings take the place of the model's; but where another
    model recorded it, those that this one recommends, if it does.

    Args:
        config: the configuration file, if any.
        options: values by key path.
        header: of the clip, if it is one.
        classifier: the model, which may recommend settings.

    Raises:
        SettingsError: the configuration is missing or wrong, or does not fit the model.
        SourceError: the clip's own settings do not fit this edgekit.
    """
    chosen = settings.load(Recorded, config, options).decision
    who, recommended = MODEL_FILE, classifier.recommended
    if config is None and header is not None:
        if header.model_sha256 == classifier.sha256 or not recommended:
            who, recommended = _recorded(header, classifier.labels)
        else:
            who = f"{MODEL_FILE}, as another model recorded the clip"
    return settle(
        chosen,
        recommended,
        classifier.labels,
        model=classifier.path.name,
        who=(CONFIGURATION if config else OPTIONS, who),
    )


def view_settings(config: Path | None, options: dict[str, Any]) -> ViewSettings:
    """The view of a recording's frames, for `Recording`: as options say, or the configuration.

    Args:
        config: the configuration file, if any.
        options: values by key path.

    Raises:
        SettingsError: the configuration is missing or wrong.
    """
    return settings.load(Recorded, config, options).view


def _recorded(header: ClipHeader, labels: list[str]) -> tuple[str, DecisionOverrides]:
    """The decision settings that a clip was recorded with, and where from in words.

    Those of labels that this model has not are left out, and told.

    Raises:
        SourceError: this edgekit does not know them.
    """
    try:
        said = DecisionOverrides.of(msgspec.convert(header.decision, DecisionSettings))
    except msgspec.ValidationError as error:
        raise SourceError(
            f"the clip's decision settings do not fit this edgekit: {error}; set your own with "
            "--config"
        ) from error
    kept = {name: label for name, label in said.labels.items() if name in labels}
    if missing := [name for name in said.labels if name not in kept]:
        lacks = f"{CLIP}, without {listed(missing, _NAMED)}, which this model has not"
        return lacks, msgspec.structs.replace(said, labels=kept)
    return CLIP, said
