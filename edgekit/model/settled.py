"""Which decision settings hold for a model, and where they come from."""

import difflib
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from edgekit.errors import SettingsError
from edgekit.model.decision import DecisionOverrides, DecisionSettings, merge
from edgekit.settings import key_text
from edgekit.text import listed, one_line

# Who says something of decisions, in words.
CONFIGURATION = "the configuration"
MODEL_FILE = "the model file"
DEFAULTS = "the defaults"
# Class names that an error offers.
_OFFERED = 3


class Settled(NamedTuple):
    """The decision settings that hold for a model. As text, a line.

    Attributes:
        settings: they themselves.
        source: who said so, in words; the first to speak of something wins.
    """

    settings: DecisionSettings
    source: str

    def __str__(self) -> str:
        return f"{self.settings} (from {self.source})"


def settle(
    chosen: DecisionOverrides,
    recommended: DecisionOverrides,
    labels: Sequence[str],
    *,
    model: object = "the model",
    who: tuple[str, str] = (CONFIGURATION, MODEL_FILE),
) -> Settled:
    """Which settings hold: as chosen, else as recommended, else the defaults.

    Args:
        chosen: what the user says.
        recommended: what the model file says, or the clip.
        labels: the model's class names, by index.
        model: its name, for messages.
        who: in words, who says what is chosen, and what is recommended.

    Raises:
        SettingsError: they contradict each other, name a class that the model has not, or ignore
            every class.
    """
    try:
        chosen = chosen.renamed(_composed)
        _check_names(chosen, labels, model)
        settings = merge(chosen, recommended)
    except ValueError as error:
        raise SettingsError(one_line(error)) from error
    if settings.labels and all(settings.of(label).ignore for label in labels):
        raise SettingsError("decision.labels: every class is ignored; leave one to be decided")
    spoke = [one for one, said in zip(who, (chosen, recommended), strict=True) if said]
    return Settled(settings, ", then ".join(spoke) or DEFAULTS)


def _composed(name: str) -> str:
    """A name in the form that class names have; a file may hold it in another."""
    return unicodedata.normalize("NFC", name)


def _check_names(said: DecisionOverrides, labels: Sequence[str], model: object) -> None:
    known = set(labels) if said.labels else set()
    unknown = [name for name in said.labels if name not in known]
    if not unknown:
        return
    folded = {label.casefold(): label for label in labels}
    near = difflib.get_close_matches(unknown[0].casefold(), folded, n=_OFFERED)
    remedy = f"did you mean {' or '.join(folded[one] for one in near)}?"
    if not near:
        remedy = f"it has {listed(list(labels), 2 * _OFFERED)}"
    more = f", nor {len(unknown) - 1} more that are named" if len(unknown) > 1 else ""
    raise ValueError(
        f"decision.labels.{key_text(unknown[0])}: {model} has no such class{more}; {remedy}"
    )
