"""A user's own PyTorch network: itself the measure of all that is made of it."""

import math
import re
from collections.abc import Callable

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from edgekit.errors import CheckpointError, ConversionError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit.text import first_line
from edgekit_convert.answers import Answer, Answers
from edgekit_convert.graph.ending import Ending, Kind, find_ending, row_each
from edgekit_convert.graph.execution import exported_answer
from edgekit_convert.graph.export import to_onnx
from edgekit_convert.graph.likeness import check_same, difference, trial_pictures
from edgekit_convert.graph.modernize import modernize
from edgekit_convert.graph.normalization import check_own_normalization
from edgekit_convert.graph.picture import picture_input
from edgekit_convert.graph.refusals import check_convertible
from edgekit_convert.weights.inference import inference
from edgekit_convert.weights.modules import digest, prepare, said_of, unwrapped
from edgekit_convert.weights.names import find_names
from edgekit_convert.weights.recorded import find_recorded
from edgekit_convert.weights.trained import TrainedModel, normalize

_Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_ELSE = "export it to ONNX yourself and convert that"
# What exporters say of branches on values, and of operators without a translation.
_BRANCHING = ("data-dependent", "Data-dependent", "data dependent", "GuardOnDataDependent")
_FOREIGN = re.compile(r"No ONNX function found for <OpOverload\(op='([\w:.]+)'")


def open_module(
    module: nn.Module,
    normalization: Normalization,
    geometry: Geometry,
    *,
    name: str = "",
    source: str = "module",
) -> TrainedModel:
    """A classifier of RGB pictures, as its owner has it in memory; it is not changed.

    Its answers are its own, in evaluation mode and float32, on the processor; the graph that
    PyTorch exports has the same answers to a few pictures of noise.

    Args:
        module: takes normalized pictures (N, 3, H, W) float32; gives logits, probabilities or
            their logarithms, (N, classes), or an object that has `logits`.
        normalization: what it was trained with.
        geometry: of its input.
        name: what the file says it was made of; the class's by default.
        source: what the user gave, as `Origin` calls it.

    Raises:
        CheckpointError: no values, quantized, or it fails on pictures of that size.
        ConversionError: PyTorch cannot export it, or no faithful int8 file can be made of it.
    """
    name = name or type(unwrapped(module)).__name__
    said, pictures = said_of(module), trial_pictures(geometry)
    try:
        network, notes = prepare(module)
        run = _runner(network, normalize(pictures, normalization))
        exported = _export(network, geometry)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    try:
        check_convertible(exported)
        picture = picture_input(exported)
        check_own_normalization(exported, picture, normalization)
        ending = find_ending(exported)
        answer = _answer(run, ending, normalization)
        expected = answer(pictures)
        ending.check(expected)
        graph = modernize(exported, picture, geometry.height, geometry.width)
        found = exported_answer(graph, normalization)(pictures)
        check_same(expected, found, "when PyTorch exports it", _ELSE)
    except ConversionError as error:
        raise ConversionError(f"{name}, exported to ONNX: {error}") from error
    return TrainedModel(
        stage="pytorch",
        name=name,
        sha256=digest(network),
        source=source,
        architecture=None,
        head=str(ending),
        classes=expected.logits.shape[1],
        parameters=sum(math.prod(constant.dims) for constant in graph.graph.initializer),
        labels=None,
        network=network,
        graph=graph,
        answer=answer,
        saved_names=find_names(said),
        recorded=find_recorded(said),
        notes=notes,
    )


def _answer(run: _Run, ending: Ending, normalization: Normalization) -> Answer:
    """Logits and probabilities of a network, for raw pictures."""

    def answer(pictures: NDArray[np.uint8]) -> Answers:
        output = row_each(run(normalize(pictures, normalization)), len(pictures))
        return ending.answers(output, _scores(output, ending.kind))

    return answer


def _scores(output: NDArray[np.float32], kind: Kind) -> NDArray[np.float32]:
    """Logits of what a network ends in, but for what all of a picture have in common."""
    if kind in (Kind.LOGITS, Kind.LOG_SOFTMAX):
        return output
    tiny = np.finfo(np.float32).tiny
    logarithm: NDArray[np.float32] = np.log(np.maximum(output, tiny))
    if kind is Kind.SIGMOID:
        logarithm -= np.log(np.maximum(1 - output, tiny))
    return logarithm


def _runner(network: nn.Module, pictures: NDArray[np.float32]) -> _Run:
    """Runs a network on many pictures at once, if it gives them the answers that each has alone.

    Args:
        network: made by `prepare`.
        pictures: a few to try it on, (N, 3, H, W).

    Raises:
        CheckpointError: it fails on them, or its answers are not the picture's alone.
    """

    def together(values: NDArray[np.float32]) -> NDArray[np.float32]:
        # Channels last in memory, which is the faster order here.
        pixels = torch.from_numpy(values).contiguous(memory_format=torch.channels_last)
        with inference():
            return np.asarray(network(pixels).numpy(), dtype=np.float32)

    def one_by_one(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([together(values[i : i + 1]) for i in range(len(values))])

    height, width = pictures.shape[2:]
    try:
        alone, again = one_by_one(pictures), one_by_one(pictures)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a user's forward raises
        raise CheckpointError(
            f"the network fails on a picture of {width}x{height} ({first_line(error)}); it has to "
            "take pictures (N, 3, H, W) float32 alone, of the size that --size names"
        ) from error
    if len(alone) != len(pictures):
        raise CheckpointError(f"the network gives {len(alone)} answers to {len(pictures)} pictures")
    if difference(_as_answers(alone), _as_answers(again)) is not None:
        raise CheckpointError(
            "the network answers the same picture otherwise each time; take out what is random, "
            "such as Dropout with training=True, or a program exported without model.eval()"
        )
    try:
        at_once = together(pictures)
    except Exception:  # it was written for one picture
        return one_by_one
    if difference(_as_answers(alone), _as_answers(at_once)) is not None:
        raise CheckpointError(
            "the network answers a picture otherwise beside others than alone, as BatchNorm "
            "without running statistics does (track_running_stats=False); train it with them"
        )
    return together


def _as_answers(values: NDArray[np.float32]) -> Answers:
    return Answers.of_logits(values.reshape(len(values), -1))


def _export(network: nn.Module, geometry: Geometry) -> onnx.ModelProto:
    """What PyTorch's exporter makes of it.

    Raises:
        CheckpointError: it gives up; the message says at what.
    """
    try:
        return to_onnx(network, geometry.height, geometry.width)
    except Exception as error:  # the exporter passes on what any of its parts raises
        raise CheckpointError(f"PyTorch cannot export the network: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """Why an export failed, in words: of the exceptions behind it, the first one says it."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    words = " ".join(str(one) for one in chain)
    if operator := _FOREIGN.search(words):
        return (
            f"ONNX has nothing for its operator {operator[1]}; put PyTorch's own operators in its "
            "place"
        )
    if any(mark in words for mark in _BRANCHING):
        return (
            "which way it takes depends on the values of the picture (an if or a loop over them); "
            "write it without, as with torch.where"
        )
    return f"{first_line(chain[-1])}; {_ELSE}"
