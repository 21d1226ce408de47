"""What an ONNX classifier ends in, and so what its output means."""

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from edgekit.errors import ConversionError
from edgekit_convert.answers import Answers
from edgekit_convert.graph.onnx_editor import OnnxEditor

# They pass their input on: they change its shape or type, not what it means.
_PASSING = (
    "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "Dropout", "Transpose",
)  # fmt: skip
# What is behind one of them is made of features, not of scores.
_LAYERS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "AveragePool", "MaxPool",
    "GlobalAveragePool", "GlobalMaxPool",
)  # fmt: skip
_ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid")
_CHOICES = ("ArgMax", "ArgMin", "TopK", "Hardmax", "NonMaxSuppression", "OneHot")
_EXPORT = "export it so that it ends in logits, or in Softmax"
_TOLERANCE = 2e-3  # of a probability: float16 has 0.0005


class Kind(enum.Enum):
    """What an output is; the first of them is taken where a model has several."""

    SOFTMAX = "Softmax"
    LOG_SOFTMAX = "LogSoftmax"
    SIGMOID = "Sigmoid"  # of one score: two classes
    LOGITS = "logits"


@dataclass(frozen=True)
class Ending:
    """The end of a classifier.

    Attributes:
        kind: what the output is.
        output: its name.
        scores: name of the tensor of logits, which is the output itself or what it is made of.
        others: names of further outputs, which say the same.
    """

    kind: Kind
    output: str
    scores: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = "one sigmoid, as two classes" if self.kind is Kind.SIGMOID else ""
        if not self.others:
            return words
        left = f"of the outputs {self.output} is taken, not {', '.join(self.others)}"
        return f"{words}; {left}" if words else left

    def answers(self, output: NDArray[np.float32], scores: NDArray[np.float32]) -> Answers:
        """Logits and probabilities, from values (N, classes) of the output and of the scores.

        A sigmoid p of z is the softmax of (-z / 2, z / 2): classes with 1 - p and p.

        Raises:
            ConversionError: they are not what their end promises; the message goes on behind the
                file's name.
        """
        if self.kind is Kind.LOGITS:
            return Answers.of_logits(scores)
        if self.kind is Kind.SIGMOID:
            if scores.shape[1] > 1:
                raise ConversionError(
                    f"the ONNX model ends in Sigmoid for {scores.shape[1]} classes, of which "
                    f"several may be true at once, where edgekit tells one; {_EXPORT}"
                )
            scores = np.concatenate([-scores / 2, scores / 2], axis=1)
            output = np.concatenate([1 - output, output], axis=1)
        elif self.kind is Kind.LOG_SOFTMAX:
            output = np.exp(output)
        expected = Answers.of_logits(scores)
        if output.shape != scores.shape or (
            np.isfinite(scores).all()
            and not np.allclose(output, expected.probabilities, rtol=0, atol=_TOLERANCE)
        ):
            raise ConversionError(
                f"the ONNX model ends in {self.kind.value}, but not over its classes, or what "
                f"follows changes its values; {_EXPORT}"
            )
        return Answers(scores, output)

    def check(self, answers: Answers) -> None:
        """Refuse what gives no score for each of two classes or more.

        Args:
            answers: to a few pictures that differ.

        Raises:
            ConversionError:
        """
        values = answers.logits
        if values.shape[1] < 2:
            raise ConversionError(
                "the ONNX model gives one number and does not end in Sigmoid, so that its meaning "
                "is open; export it with a Sigmoid at its end (the probability of the second "
                "class), or with two logits"
            )
        if self.kind is Kind.LOGITS and (values >= 0).all():
            total = values.sum(axis=1, dtype=np.float64)
            if any(np.allclose(total, whole, rtol=1e-3) for whole in (1, 100)):
                raise ConversionError(
                    "the ONNX model gives probabilities that are not made by a Softmax at its end; "
                    f"{_EXPORT}"
                )


def find_ending(model: ModelProto) -> Ending:
    """What a model ends in.

    Raises:
        ConversionError: it gives no scores of classes, or several outputs that say different
            things.
    """
    editor = OnnxEditor(model)
    names = [value.name for value in model.graph.output]
    if not names:
        raise ConversionError("the ONNX model has no output; export it again")
    if len({_source(editor, name) for name in names}) > 1:
        source = next((value.name for value in model.graph.input), "INPUT")
        raise ConversionError(
            f"the ONNX model has {len(names)} outputs ({', '.join(names)}); a classifier has one: "
            f"keep it with onnx.utils.extract_model(FILE, NEW_FILE, ['{source}'], ['{names[0]}'])"
        )
    # Beside its scores a model may give its choice.
    scored = [name for name in names if not _is_choice(_behind(editor, name))]
    endings = [_ending(editor, name) for name in scored or names]
    best = min(endings, key=lambda ending: list(Kind).index(ending.kind))
    others = tuple(name for name in names if name != best.output)
    return Ending(best.kind, best.output, best.scores, others)


def _ending(editor: OnnxEditor, output: str) -> Ending:
    last = _behind(editor, output)
    if last is None:
        return Ending(Kind.LOGITS, output, output)
    if last.op_type == "Log":
        before = _behind(editor, last.input[0])
        if before is not None and before.op_type == "Softmax":
            return Ending(Kind.LOG_SOFTMAX, output, before.input[0])
    if last.op_type in _ACTIVATIONS and last.op_type != "HardSigmoid":
        return Ending(Kind(last.op_type), output, last.input[0])
    if last.op_type in _CHOICES:
        raise ConversionError(
            f"the ONNX model ends in {last.op_type}, which gives no scores; {_EXPORT}"
        )
    if last.op_type == "HardSigmoid":
        raise ConversionError(
            f"the ONNX model ends in HardSigmoid, whose scores are no probabilities; {_EXPORT}"
        )
    if name := _activation(editor, last):
        raise ConversionError(
            f"the ONNX model goes on behind its {name} with {last.op_type}; {_EXPORT}"
        )
    return Ending(Kind.LOGITS, output, output)


def _source(editor: OnnxEditor, name: str) -> str:
    """The tensor of scores that an output was made of."""
    last = _behind(editor, name)
    while last is not None and last.op_type in (*_ACTIVATIONS, *_CHOICES, "Log"):
        name = last.input[0]
        last = _behind(editor, name)
    return last.output[0] if last is not None else name


def _behind(editor: OnnxEditor, name: str) -> NodeProto | None:
    """The node that gives a tensor, those left out that pass their input on."""
    node = editor.writer(name)
    while node is not None and node.op_type in _PASSING:
        node = editor.writer(node.input[0])
    return node


def _activation(editor: OnnxEditor, node: NodeProto) -> str | None:
    """An activation of classes that a node's values come from, with no layer in between."""
    open_nodes = [node]
    seen: set[str] = set()
    while open_nodes:
        one = open_nodes.pop()
        if one.op_type in _ACTIVATIONS:
            return str(one.op_type)
        if one.op_type in _LAYERS or one.op_type.startswith("Reduce"):
            continue
        for name in set(one.input) - seen:
            seen.add(name)
            if (writer := editor.writer(name)) is not None:
                open_nodes.append(writer)
    return None


def _is_choice(node: NodeProto | None) -> bool:
    return node is not None and node.op_type in _CHOICES


def row_each(values: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Values (count, classes) of an output for `count` pictures, whatever its other sizes of 1.

    Raises:
        ConversionError: it is a map, or boxes.
    """
    shape = values.shape if count == 1 else values.shape[1:]
    if sum(size != 1 for size in shape) > 1 or values.size % count:
        raise ConversionError(
            f"the ONNX model gives values of shape {values.shape}, not one score for each class; "
            "edgekit converts classifiers"
        )
    return np.asarray(values.reshape(count, -1), dtype=np.float32)
