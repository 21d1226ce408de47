"""The fidelity ladder: every stage of a conversion answers the pictures, beside the first."""

import numpy as np

from edgekit.child import cores
from edgekit.errors import ConversionError
from edgekit.inference.runtimes import installed_runtimes
from edgekit_convert.answers import Answer, Answers, in_batches
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.pictures import Pictures, evenly_spread
from edgekit_convert.progress import Reporter
from edgekit_convert.verify.fidelity import Kind, Stage, compare

# The stages between the reference and int8 compute the same function, and so do further runtimes,
# of which one may be twenty times slower: a sample of the pictures shows whether one is broken. The
# reference and the first int8 stage answer all of them.
SAMPLE = 16
# The user's own network, beside which the one rebuilt from a state dict is a stage as others are.
REFERENCE_STAGE = "reference"
_THREADS = cores()


class Ladder:
    """The stages measured so far, in the order of the conversion.

    Attributes:
        stages: each beside the reference, which is the first.
    """

    def __init__(self, pictures: Pictures, reporter: Reporter) -> None:
        self._pictures = pictures
        self._reporter = reporter
        self._reference: Answers | None = None
        self.stages: list[Stage] = []

    @property
    def reference(self) -> Answers:
        """Answers of the first stage to all pictures."""
        assert self._reference is not None
        return self._reference

    def measure(self, kind: Kind, name: str, answer: Answer, maximum: int | None = None) -> Answers:
        """Let a stage answer the pictures, or `maximum` of them.

        Raises:
            ConversionError: an answer is not a finite number.
        """
        count = len(self._pictures.tensors)
        chosen = evenly_spread(count, maximum or count)
        with self._reporter.step(f"measuring {name}", len(chosen)) as advance:
            answers = in_batches(answer, self._pictures.tensors[chosen], advance)
        if not np.isfinite(answers.logits).all():
            raise ConversionError(
                f"stage {name} gives answers that are not finite numbers; check the weights, the "
                "variances of BatchNorm first, or train again"
            )
        if self._reference is None:
            self._reference = answers
        truth = self._pictures.truth
        known = truth[chosen] if truth is not None else None
        figures = compare(
            name,
            answers,
            self._reference.of(chosen),
            known,
            with_logits=kind is not Kind.COMPILED,
        )
        self.stages.append(Stage(kind, figures))
        return answers

    def measure_int8(self, model: bytes) -> Answers:
        """Measure the int8 model in every runtime installed.

        Returns:
            answers of the first, which is the device's first choice, to all pictures.
        """
        first, *others = installed_runtimes()
        answer = tflite_answer(model, _THREADS, first)
        answers = self.measure(Kind.INT8, f"tflite-int8 ({first})", answer)
        for runtime in others:
            # Threads of tflite-runtime that wait for each other spin, and gain next to nothing.
            answer = tflite_answer(model, 1, runtime)
            self.measure(Kind.INT8, f"tflite-int8 ({runtime})", answer, SAMPLE)
        return answers
