"""Run the compiler for Coral's Edge TPU, and read what it says.

It runs on 64-bit x86 Linux alone. Its options are those of "Edge TPU Compiler" in Coral's
documentation, its messages those that users report in the issues of google-coral/edgetpu.
"""

import errno
import math
import os
import re
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edgekit import child
from edgekit.errors import ConversionError, ModelFileError
from edgekit.model import flatbuffer as tflite
from edgekit.text import last_line
from edgekit_convert.scratch import scratch_folder
from edgekit_convert.target.preflight import EdgeTpu, Refusal, label, parameter_bytes

WHERE_FROM = (
    "edgetpu_compiler was not found, so only the file for the CPU was written; the program is a "
    "Debian and Ubuntu package in Coral's apt repository and runs on 64-bit x86 Linux alone (see "
    '"Edge TPU Compiler" in Coral\'s documentation)'
)

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


def find_compiler() -> Path | None:
    """`edgetpu_compiler`, where it is installed."""
    return child.find("edgetpu_compiler")


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
            cwd=child.WORKING_FOLDER,
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
            f"the Edge TPU compiler does not accept the model ({_last_error(output)}); convert it "
            "again, and report this if it stays so"
        )
    ended = f"failed with status {status}" if status else "ended without an error or a model"
    return (
        f"the Edge TPU compiler {ended} ({_last_error(output)}); use another --size or --arch, or "
        "reinstall Coral's package edgetpu-compiler"
    )


def _last_error(output: str) -> str:
    """The last error, or else the last line, that a program printed."""
    lines = (line.strip() for line in output.splitlines())
    errors = [line for line in lines if line.startswith(("ERROR: ", "Compilation failed: "))]
    return errors[-1] if errors else last_line(output)


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
    # Printed where it is not all of them.
    printed = re.search(r"Number of operations that will run on Edge TPU: (\d+)", output)
    mapped = int(printed[1]) if printed else sum(row.count for row in rows if row.status == _MAPPED)
    version = re.search(r"Edge TPU Compiler version (\S+)", output)
    operators = len(graph.operators)
    streamed = _memory(output, "Off-chip memory used for streaming uncached model parameters")
    return EdgeTpu(
        operators=operators,
        mapped=mapped,
        refusals=_refusals(graph, rows),
        parameter_bytes=parameter_bytes(graph, graph.operators),
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
        refusals.append(Refusal(label(graph.operators[position]), position, row.status))
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
