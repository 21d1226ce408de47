"""Coral's Edge TPU: foresee which operators its compiler accepts, and run that compiler.

The compiler is closed, frozen at version 16.0.384591198 of July 2021, and runs on 64-bit x86 Linux
alone. It replaces the operators that the chip can run by one custom operator and leaves the rest to
the CPU. What it accepts is known from Coral's documentation and from what users were told by it:

- "TensorFlow models on the Edge TPU", its lists of model requirements and supported operations;
  Axis repeats the latter, in the edition for compiler 16, for its ARTPEC-7 cameras;
- "Edge TPU Compiler", for its options and its memory;
- the issues of google-coral/edgetpu, for its messages and the versions of operators.
"""

import errno
import math
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import ConversionError, ModelFileError
from edgekit.model import flatbuffer as tflite
from edgekit.model.schema import OPERATORS
from edgekit_convert.graph.flatbuffer import WEIGHTED
from edgekit_convert.report.findings import EdgeTpu, Refusal
from edgekit_convert.scratch import scratch_folder

WHERE_FROM = (
    "edgetpu_compiler was not found, so only the file for the CPU was written; the program is a "
    "Debian and Ubuntu package in Coral's apt repository and runs on 64-bit x86 Linux alone (see "
    '"Edge TPU Compiler" in Coral\'s documentation)'
)

# The operators of Coral's table, each with the highest version that the compiler reads. It was
# built in July 2021, between TensorFlow 2.5 and 2.6. These are the versions in TFLite's register.cc
# of the following winter, less those that users saw refused: CONV_2D 6, QUANTIZE 3 and
# TRANSPOSE_CONV 4 (google-coral/edgetpu issues 631, 879 and 845). What else was new by then were
# mostly 16-bit types, which are refused anyway.
_VERSIONS = {
    "ADD": 4,
    "AVERAGE_POOL_2D": 3,
    "CONCATENATION": 3,
    "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 6,
    "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 9,
    "L2_NORMALIZATION": 2,
    "LOGISTIC": 3,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MUL": 5,
    "PACK": 3,
    "PAD": 4,
    "PRELU": 1,
    "QUANTIZE": 2,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "RELU": 3,
    "RELU6": 3,
    "RELU_N1_TO_1": 1,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 2,
    "SLICE": 5,
    "SOFTMAX": 3,
    "SPACE_TO_DEPTH": 2,
    "SPLIT": 4,
    "SQUARED_DIFFERENCE": 2,
    "SQUEEZE": 2,
    "STRIDED_SLICE": 6,
    "SUB": 5,
    "SUM": 2,
    "TANH": 3,
    "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 3,
}
_ACTIVATION_TYPES = ("int8", "uint8")
_CONSTANT_TYPES = (*_ACTIVATION_TYPES, "int32")  # biases, shapes, axes and paddings have 32 bits
_MOST_SOFTMAX = 16_000

# Operators too young for the compiler: users saw it find the number of GELU out of range. Whether
# it knows the few before that is not told.
_TOO_NEW = frozenset(OPERATORS[OPERATORS.index("GELU") :])

# The chip has about 8 MB of SRAM, of which the program takes its part first ("Edge TPU Compiler").
# What is "used for caching model parameters" depends on the size of the activations: in models too
# large for the chip, compilers 2.1 to 16 told of 6.15 MiB at 192 x 640 pixels (a ResNet-18), 6.74
# at 320 x 320, 7.04 at 160 x 160 and 7.14 at 224 x 224; the median of seven such logs is 6.89.
_CACHE_BYTES = round(6.9 * (1 << 20))

_CUSTOM = "edgetpu-custom-op"
_MAPPED = "Mapped to Edge TPU"
_FOLLOWER = "More than one subgraph is not supported"
_WRONG_MACHINE = (
    "the Edge TPU compiler runs on 64-bit x86 Linux alone; convert on such a machine, or without "
    "--edgetpu"
)
# What the compiler says when it gives up, and what that means.
_FAILURES = (
    ("Exec format error", _WRONG_MACHINE),  # where a script starts it
    (
        "Model not quantized",
        "the Edge TPU compiler finds the model not quantized, and it takes nothing but 8-bit "
        "integers; convert the float model again with --int8",
    ),
    (
        "dynamic-sized tensors",
        "the Edge TPU compiler refuses tensors of a dynamic size; export the model with a batch of "
        "1 and a fixed height and width",
    ),
    (
        "large activation tensors",
        "the Edge TPU compiler finds the activations too large for the chip; use a smaller --size "
        "or --arch",
    ),
    (
        "Internal compiler error",
        "the Edge TPU compiler failed with an internal error, as it does on some models, mostly "
        "large ones; use another --size or --arch",
    ),
)
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class Compiled:
    """What the compiler made of a model.

    Attributes:
        flatbuffer: the model for the Edge TPU; it needs libedgetpu to run.
        finding: what runs where, by the compiler's own report.
    """

    flatbuffer: bytes
    finding: EdgeTpu


def preflight(graph: tflite.Graph) -> EdgeTpu:
    """What the compiler will make of a model, as far as operators, types and shapes tell.

    The compiler maps one run of operators: all from the first that it refuses stay on the CPU. The
    options of operators (fused activations, dilation, axes) and the values of constants are not in
    the graph, so that it may still refuse more.
    """
    reasons = [_refusal(graph, operator) for operator in graph.operators]
    refusals = [
        Refusal(_label(graph.operators[i]), i, reason) for i, reason in enumerate(reasons) if reason
    ]
    unreadable = [i for i, op in enumerate(graph.operators) if _unreadable(graph, op)]
    mapped = [] if unreadable else _first_run(graph.operators, reasons)
    cause = next((r for r in refusals if not unreadable or r.position in unreadable), None)
    return EdgeTpu(
        operators=len(graph.operators),
        mapped=len(mapped),
        refusals=refusals,
        parameter_bytes=_parameter_bytes(graph, graph.operators),
        streamed_bytes=max(0, _parameter_bytes(graph, mapped) - _CACHE_BYTES),
        compiler=None,
        note=_foreseen(len(graph.operators), len(mapped), cause),
    )


def _first_run(
    operators: tuple[tflite.Operator, ...], reasons: list[str | None]
) -> list[tflite.Operator]:
    """The operators that become the custom operator."""
    start = 0
    # A float input is quantized on the CPU, and the chip takes over from there.
    while start < len(operators) and reasons[start] and operators[start].name == "QUANTIZE":
        start += 1
    end = next((i for i in range(start, len(operators)) if reasons[i]), len(operators))
    return list(operators[start:end])


def _foreseen(operators: int, mapped: int, cause: Refusal | None) -> str:
    if cause is None:
        return f"all {operators} operators should run on the Edge TPU"
    return (
        f"{mapped} of {operators} operators should run on the Edge TPU; {cause.operator} at "
        f"position {cause.position} does not: {cause.reason}"
    )


def _label(operator: tflite.Operator) -> str:
    return f"{operator.name} v{operator.version}"


def _refusal(graph: tflite.Graph, operator: tflite.Operator) -> str | None:
    """The first rule that an operator breaks."""
    if reason := _unreadable(graph, operator):
        return reason
    if operator.name not in _VERSIONS:
        return "the Edge TPU has no such operator"
    inputs = [graph.tensors[i] for i in operator.inputs if i >= 0]
    outputs = [graph.tensors[i] for i in operator.outputs if i >= 0]
    return (
        _refused_type(inputs + outputs)
        or _refused_shape([t for t in inputs + outputs if not t.buffer])
        or _refused_parameters(operator.name, inputs)
        or _refused_use(operator.name, inputs, outputs)
    )


def _unreadable(graph: tflite.Graph, operator: tflite.Operator) -> str | None:
    """Why the compiler refuses the whole file, not this operator alone."""
    if operator.name in _TOO_NEW:
        return "the compiler is older than this operator and refuses the whole file"
    highest = _VERSIONS.get(operator.name)
    if highest is not None and operator.version > highest:
        return f"the compiler reads it up to version {highest} and refuses the whole file"
    for index in (*operator.inputs, *operator.outputs):
        if index >= 0 and min(graph.tensors[index].shape, default=0) < 0:
            return (
                f"the size of {graph.tensors[index].name!r} is unknown before run time, and the "
                "compiler refuses the whole file"
            )
    return None


def _refused_type(tensors: list[tflite.Tensor]) -> str | None:
    for tensor in tensors:
        if tensor.dtype not in (_CONSTANT_TYPES if tensor.buffer else _ACTIVATION_TYPES):
            return f"{tensor.name!r} is {tensor.dtype}, and the Edge TPU computes in 8-bit integers"
    return None


def _refused_shape(activations: list[tflite.Tensor]) -> str | None:
    for tensor in activations:
        if len(tensor.shape) > 4:
            return f"{tensor.name!r} has {len(tensor.shape)} dimensions, more than 4"
        if math.prod(tensor.shape[:-3]) != 1:
            return f"{tensor.name!r} is a batch of {tensor.shape[0]}, and only 1 is supported"
        if len(tensor.scale) > 1:
            return f"{tensor.name!r} has a scale for each channel, as only weights may have"
    return None


def _refused_parameters(name: str, inputs: list[tflite.Tensor]) -> str | None:
    if name not in WEIGHTED:
        return None
    if not all(tensor.buffer for tensor in inputs[1:]):
        return "its weights are not constant"
    # By TFLite's specification dense layers had one scale until 2024, when version 12 brought one
    # for each channel. What the compiler makes of them under an older version is not told.
    if name == "FULLY_CONNECTED" and any(len(tensor.scale) > 1 for tensor in inputs[1:]):
        return "its weights have a scale for each channel, as in 2021 only convolutions could"
    return None


def _refused_use(
    name: str, inputs: list[tflite.Tensor], outputs: list[tflite.Tensor]
) -> str | None:
    """The rules of single operators."""
    if name == "CONCATENATION" and any(tensor.buffer for tensor in inputs):
        return (
            "it may append nothing constant but zeros, and this border is not zero; convert with "
            "--edgetpu, which normalizes by a 1x1 convolution instead"
        )
    if name in ("FULLY_CONNECTED", "SOFTMAX") and math.prod(outputs[0].shape[:-1]) != 1:
        return "its output has more than one dimension"
    if name == "SOFTMAX" and math.prod(inputs[0].shape) > _MOST_SOFTMAX:
        return f"it has more than {_MOST_SOFTMAX:,} elements"
    if name == "MEAN":
        depth = inputs[0].shape[-1:]
        if depth != outputs[0].shape[-1:] and math.prod(depth) % 4:
            return "it averages over channels, and their number is no multiple of 4"
    return None


def _parameter_bytes(graph: tflite.Graph, operators: Iterable[tflite.Operator]) -> int:
    """Size of the weights and biases that operators use."""
    used = {i for op in operators if op.name in WEIGHTED for i in op.inputs[1:] if i >= 0}
    return sum(graph.tensors[i].buffer for i in used)


def find_compiler() -> Path | None:
    """`edgetpu_compiler`, where it is installed."""
    found = shutil.which("edgetpu_compiler")
    return Path(found) if found else None


def compile_for_edgetpu(model: bytes, *, program: Path, timeout: float = 600.0) -> Compiled:
    """Let the compiler map a model to the Edge TPU.

    Args:
        model: an int8 flatbuffer.
        program: `edgetpu_compiler`.
        timeout: seconds after which it is stopped.

    Raises:
        ConversionError: the program does not run, refuses the model, crashes, takes too long, or
            leaves everything to the CPU; the message says which, and what to do.
    """
    graph = tflite.parse(model)
    with scratch_folder() as folder:
        file = folder / "model.tflite"
        file.write_bytes(model)
        # Without --timeout_sec it gives up after 180 seconds.
        limit = str(math.ceil(timeout))
        command = [str(program), "--show_operations", "--out_dir", str(folder)]
        status, output = _run([*command, "--timeout_sec", limit, str(file)], timeout)
        compiled = file.with_name("model_edgetpu.tflite")
        if status or not compiled.is_file():
            raise ConversionError(_failure(status, output, timeout))
        flatbuffer = compiled.read_bytes()
        log = file.with_name("model_edgetpu.log")
        report = log.read_text(errors="replace") if log.is_file() else output
    finding = _finding(graph, output, report)
    _check(flatbuffer, finding)
    return Compiled(flatbuffer, finding)


def _run(command: list[str], timeout: float) -> tuple[int, str]:
    """Exit status of a program, and all that it said."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # The compiler works in a child of its own. They are stopped together, or the child
            # would go on and hold the pipe open.
            start_new_session=True,
        )
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise ConversionError(_WRONG_MACHINE) from error
        raise ConversionError(
            f"{command[0]} cannot be run ({error.strerror}); make it executable, or reinstall "
            "Coral's package edgetpu-compiler"
        ) from error
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ConversionError(_too_slow(timeout)) from error
        finally:
            if process.returncode is None:  # still at work, after Ctrl-C too
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return process.returncode, output.decode(errors="replace")


def _too_slow(timeout: float) -> str:
    return (
        f"the Edge TPU compiler was not done after {timeout:g} seconds, mostly a sign of large "
        "activations; use a smaller --size or --arch"
    )


def _failure(status: int, output: str, timeout: float) -> str:
    """Why there is no compiled model, and what to do."""
    version = re.search(r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'", output)
    if version:
        return (
            f"the Edge TPU compiler is of 2021 and does not know version {version[2]} of "
            f"{version[1]}; convert the model with edgekit, or with TensorFlow 2.5"
        )
    if "builtin_code out of range" in output:
        return (
            "the Edge TPU compiler is of 2021 and does not know an operator of this model; use "
            "another --arch, or convert without --edgetpu"
        )
    if "Compilation timeout" in output:
        return _too_slow(timeout)
    for words, message in _FAILURES:
        if words in output:
            return message
    # A script that starts the compiler adds 128 to the number of the signal that killed it.
    number = -status if status < 0 else status - 128
    if number > 0:
        return (
            f"the Edge TPU compiler was killed by signal {number}; close other programs if memory "
            "is short, or use a smaller --size or --arch"
        )
    if "Invalid model" in output:
        return (
            f"the Edge TPU compiler does not accept the model ({_last_words(output)}); convert it "
            "again, and report this if it stays so"
        )
    ended = f"failed with status {status}" if status else "ended without an error or a model"
    return (
        f"the Edge TPU compiler {ended} ({_last_words(output)}); use another --size or --arch, or "
        "reinstall Coral's package edgetpu-compiler"
    )


def _last_words(output: str) -> str:
    """The last error, or else the last line, that a program printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR: ", "Compilation failed: "))]
    return (errors or lines or ["it said nothing"])[-1]


@dataclass(frozen=True)
class _Row:
    """A line of the compiler's table: so many operators of a type share a status."""

    operator: str
    count: int
    status: str


def _rows(report: str) -> list[_Row]:
    found = re.findall(r"^([A-Z][A-Z0-9_]*) +(\d+) +(\S.*?) *$", report, re.MULTILINE)
    return [_Row(operator, int(count), status) for operator, count, status in found]


def _finding(graph: tflite.Graph, output: str, report: str) -> EdgeTpu:
    """What the compiler said, on its output and in its table of operators."""
    rows = _rows(report)
    # Told where it is not all of them.
    told = re.search(r"Number of operations that will run on Edge TPU: (\d+)", output)
    mapped = int(told[1]) if told else sum(row.count for row in rows if row.status == _MAPPED)
    version = re.search(r"Edge TPU Compiler version (\S+)", output)
    operators = len(graph.operators)
    streamed = _memory(output, "Off-chip memory used for streaming uncached model parameters")
    return EdgeTpu(
        operators=operators,
        mapped=mapped,
        refusals=_refusals(graph, rows),
        parameter_bytes=_parameter_bytes(graph, graph.operators),
        streamed_bytes=streamed,
        compiler=version[1] if version else "unknown",
        note=f"{mapped} of {operators} operators run on the Edge TPU",
    )


def _memory(output: str, label: str) -> int:
    """Bytes of an amount like `6.91MiB` behind a label; 0 where there is none."""
    found = re.search(rf"{label}: ([0-9.]+)([KMG]iB|B)", output)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0


def _refusals(graph: tflite.Graph, rows: list[_Row]) -> list[Refusal]:
    """One for each line of the table that is not mapped, in graph order.

    The table has no positions. Of the operators of a type, those that are mapped come first in the
    graph, and those that only follow a refused one come last.
    """
    order = {_MAPPED: 0, _FOLLOWER: 2}
    seen: Counter[str] = Counter()
    refusals = []
    for row in sorted(rows, key=lambda row: order.get(row.status, 1)):
        places = [i for i, op in enumerate(graph.operators) if op.name == row.operator]
        nth = seen[row.operator]
        seen[row.operator] += row.count
        if row.status == _MAPPED or not places:
            continue
        position = places[min(nth, len(places) - 1)]
        refusals.append(Refusal(_label(graph.operators[position]), position, row.status))
    return sorted(refusals, key=lambda refusal: refusal.position)


def _check(flatbuffer: bytes, finding: EdgeTpu) -> None:
    """Refuse a compiled model that is damaged or runs nothing on the Edge TPU."""
    try:
        graph = tflite.parse(flatbuffer)
    except ModelFileError as error:
        raise ConversionError(
            f"the Edge TPU compiler wrote a file that is no TFLite model ({error}); convert again, "
            "and reinstall the program if that does not help"
        ) from error
    if finding.mapped and any(operator.name == _CUSTOM for operator in graph.operators):
        return
    first = next(iter(finding.refusals), None)
    raise ConversionError(
        f"the Edge TPU compiler left all {finding.operators} operators to the CPU"
        f"{f' ({first.operator}: {first.reason})' if first else ''}; the file would be no faster: "
        "convert without --edgetpu"
    )
