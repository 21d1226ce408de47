"""What a conversion finds out; the report is made of these, as JSON and as a page."""

import msgspec

from edgekit.model.manifest import Fidelity, Manifest
from edgekit.report.page import framed
from edgekit_convert.confidence.calibrate import Curves
from edgekit_convert.feeding.check import Fit
from edgekit_convert.quantize.recipes import Candidate
from edgekit_convert.target.memory import Memory
from edgekit_convert.target.preflight import EdgeTpu
from edgekit_convert.verify.disagreements import Disagreement
from edgekit_convert.verify.fidelity import Gate, Kind, Stage
from edgekit_convert.verify.layers import Layer


class Report(msgspec.Struct, frozen=True):
    """Everything a conversion found out; in a notebook it shows itself as a page.

    Attributes:
        output: path of the model file; empty until it is saved.
        written: whether it may be, and is where it has a path.
        architecture: in words, as read from the written flatbuffer, one line a part.
        labels: class names.
        manifest: what the file says about itself.
        fidelity: the ladder; the same as in the manifest.
        kinds: of the ladder's stages, in their order.
        gate: the decision.
        candidates: ways to quantize that were tried, in the order tried.
        layers: in graph order.
        disagreements: pictures on which float and int8 differ, the surest float answer first.
        disagreement_count: how many there were; the list may be cut.
        memory: what the model needs on a device.
        edgetpu: preflight, and the compiler's result where it ran.
        seconds: wall-clock time of each step.
        notes: what was chosen, guessed or left out, in words.
        labels_from: where the class names are from, in words.
        feeding: what each BatchNorm layer gets beside what it remembers; none where nothing could
            be compared. The verdict is in the manifest.
        confidence: reliability diagrams; none without labelled pictures. What was done is in the
            manifest.
    """

    output: str
    written: bool
    architecture: list[str]
    labels: list[str]
    manifest: Manifest
    fidelity: Fidelity
    kinds: list[Kind]
    gate: Gate
    candidates: list[Candidate]
    layers: list[Layer]
    disagreements: list[Disagreement]
    disagreement_count: int
    memory: Memory
    edgetpu: EdgeTpu
    seconds: dict[str, float]
    notes: list[str] = []
    labels_from: str = ""
    feeding: Fit | None = None
    confidence: Curves | None = None

    @property
    def stages(self) -> list[Stage]:
        """The ladder's stages with their kinds."""
        pairs = zip(self.kinds, self.fidelity.stages, strict=True)
        return [Stage(kind, figures) for kind, figures in pairs]

    def html(self) -> str:
        """The report: one page, which runs no script and loads nothing."""
        # Not at the top: it imports this module.
        from edgekit_convert.report.render import render_html

        return render_html(self)

    def __repr__(self) -> str:
        from edgekit_convert.report.words import in_words

        return in_words(self)

    def _repr_html_(self) -> str:
        return framed(self.html())
