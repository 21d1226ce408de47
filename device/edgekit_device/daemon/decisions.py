"""The decision for each model, as the settings of the moment want it."""

from collections.abc import Callable

from edgekit.errors import SettingsError
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import Decision, settle_for
from edgekit.model.settled import DEFAULTS, Settled
from edgekit_device.config.settings import Settings


class Decisions:
    """Makes decisions, and says which settings hold.

    Args:
        problems: what is not as it should be, by part; `decision` is kept there.
        notify: called with a line for people about what happens.

    Attributes:
        settled: the settings that hold; None before the first model.
    """

    def __init__(self, problems: dict[str, str], notify: Callable[[str], None]) -> None:
        self.settled: Settled | None = None
        self._problems = problems
        self._notify = notify
        self._decision: Decision | None = None
        self._made_for: object = None

    @property
    def source(self) -> str:
        """Where the settings that hold come from, in words; empty before the first model."""
        return self.settled.source if self.settled else ""

    def begin_afresh(self) -> None:
        """Forget what was decided: what comes now has nothing to do with it."""
        self._decision = None

    def for_model(self, classifier: Classifier, settings: Settings) -> Decision:
        """The decision to go on with; a new one where labels or settings are others than before.

        Raises:
            SettingsError: the first settings of all do not fit their model.
        """
        made_for = (
            settings.decision,
            settings.every_frame,
            classifier.labels,
            classifier.recommended,
        )
        if self._decision is None or made_for != self._made_for:
            decided = self._settle(classifier, settings).settings
            self._decision = Decision(decided, classifier.labels, settings.every_frame)
            self._made_for = made_for
        return self._decision

    def _settle(self, classifier: Classifier, settings: Settings) -> Settled:
        """The settings for a model; those that held before where the new ones do not fit it.

        That is so while a model is still to come that they are for.
        """
        before = self.settled
        try:
            settled = settle_for(settings.decision, classifier)
        except SettingsError as error:
            if before is None:
                raise
            self._problems["decision"] = f"{error}; going on with the settings before"
            self._notify(f"decision: {self._problems['decision']}")
            return before
        self._problems.pop("decision", None)
        if settled != before and (before is not None or settled.source != DEFAULTS):
            self._notify(f"decision: {settled}")
        self.settled = settled
        return settled
