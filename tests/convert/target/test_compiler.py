"""Running the Edge TPU's compiler, and reading what it says."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edgekit_convert.target.compiler import WHERE_FROM, compile_for_edgetpu, find_compiler
from edgekit_convert.target.preflight import EdgeTpu, Refusal

from edgekit.errors import ConversionError, ModelFileError
from tests.convert.target.edgetpu_compiler import ALL, MAPPED, NONE, flatbuffer, write_compiler

MIB = 1 << 20
Compiler = Callable[..., Path]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; none may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    """Write a stand-in for `edgetpu_compiler`."""

    def write(mode: str = "", **options: Any) -> Path:
        return write_compiler(tmp_path / "bin", mode, **options)

    return write


@pytest.fixture(scope="session")
def model() -> bytes:
    """An int8 flatbuffer of four operators, to be compiled."""
    return flatbuffer("CONV_2D", "RELU", "MEAN", "RELU")


def test_a_compiled_model_and_what_the_compiler_said_of_it(
    compiler: Compiler, model: bytes
) -> None:
    compiled = compile_for_edgetpu(model, program=compiler())
    assert compiled.flatbuffer == flatbuffer("edgetpu-custom-op")
    assert compiled.finding == EdgeTpu(
        operators=4,
        mapped=4,
        refusals=[],
        parameter_bytes=0,
        streamed_bytes=round(4.25 * MIB),
        compiler="16.0.384591198",
        note="4 of 4 operators run on the Edge TPU",
    )


def test_what_stays_on_the_cpu_is_told_with_the_compilers_reason(
    compiler: Compiler, model: bytes
) -> None:
    rows = (
        ("RELU", 1, "More than one subgraph is not supported"),
        ("CONV_2D", 1, MAPPED),
        ("RELU", 1, MAPPED),
        ("MEAN", 1, "Operation is working on an unsupported data type"),
    )
    compiled = compile_for_edgetpu(
        model, program=compiler(rows=rows, compiled=flatbuffer("edgetpu-custom-op", "MEAN"))
    )
    assert compiled.finding.mapped == 2
    # The first RELU, at position 1, is mapped.
    assert compiled.finding.refusals == [
        Refusal("MEAN v2", 2, "Operation is working on an unsupported data type"),
        Refusal("RELU v2", 3, "More than one subgraph is not supported"),
    ]


def test_an_operator_of_another_name_has_no_position(compiler: Compiler, model: bytes) -> None:
    rows = (*ALL, ("CUSTOM", 1, "Operation is working on an unsupported data type"))
    assert compile_for_edgetpu(model, program=compiler(rows=rows)).finding.refusals == []


def test_the_table_is_on_the_output_too(compiler: Compiler, model: bytes) -> None:
    assert compile_for_edgetpu(model, program=compiler("no log")).finding.mapped == 4


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("version", "does not know version 6 of CONV_2D; convert the model with edgekit"),
        ("new operator", "does not know an operator of this model; use another --arch"),
        ("not quantized", "finds the model not quantized"),
        ("invalid", "does not accept the model (Model could not be parsed); convert it again"),
        ("internal", "internal error, as it does on some models, mostly large ones; use another"),
        ("large", "activations too large for the chip; use a smaller --size or --arch"),
        ("dynamic", "refuses tensors of a dynamic size; export the model with a batch of 1"),
        ("interpreter", "failed with status 1 (Compilation failed: Model failed in Tflite interp"),
        ("timeout", "was not done after 600 seconds"),
        ("silent", "failed with status 1 (Compilation failed!); use another --size or --arch"),
        ("killed", "was killed by signal 9; close other programs if memory is short"),
        ("child killed", "was killed by signal 11"),
        ("wrong machine", "runs on 64-bit x86 Linux alone; convert on such a machine"),
        ("no file", "without an error or a model (Started a compilation timeout timer of 600 sec"),
        ("garbage", "wrote a file that is no TFLite model (it does not start like a TFLite"),
    ],
)
def test_a_failure_is_one_line_with_advice(
    compiler: Compiler, model: bytes, mode: str, words: str
) -> None:
    with pytest.raises(ConversionError) as caught:
        compile_for_edgetpu(model, program=compiler(mode))
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert "; " in message


def test_a_compiler_that_hangs_is_stopped_with_its_child(compiler: Compiler, model: bytes) -> None:
    program = compiler("hang")
    started = time.monotonic()
    with pytest.raises(ConversionError, match="was not done after 3 seconds"):
        compile_for_edgetpu(model, program=program, timeout=3)
    assert time.monotonic() - started < 30
    assert _has_ended(int(program.with_name("child").read_text()))


def test_an_interrupted_compiler_is_stopped_with_its_child(
    compiler: Compiler, model: bytes
) -> None:
    program = compiler("hang")
    child = program.with_name("child")

    def interrupt() -> None:
        while not child.exists() or not child.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell starts what it runs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            compile_for_edgetpu(model, program=program)
    finally:
        signal.signal(signal.SIGINT, before)
    watcher.join()
    assert _has_ended(int(child.read_text()))


def _has_ended(process: int) -> bool:
    """Whether a process is gone, or only waits for someone to notice its end."""
    for _ in range(100):
        try:
            status = Path(f"/proc/{process}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        if status.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("rows", "compiled"),
    [(NONE, ("CONV_2D", "RELU")), (NONE, ("edgetpu-custom-op",)), (ALL, ("CONV_2D", "RELU"))],
)
def test_a_model_that_runs_on_the_cpu_alone_is_refused(
    compiler: Compiler,
    model: bytes,
    rows: tuple[tuple[str, int, str], ...],
    compiled: tuple[str, ...],
) -> None:
    program = compiler(rows=rows, compiled=flatbuffer(*compiled))
    with pytest.raises(ConversionError, match="left all 4 operators to the CPU") as caught:
        compile_for_edgetpu(model, program=program)
    if rows == NONE:
        assert "(CONV_2D v2: Operation not supported)" in str(caught.value)


def test_a_program_that_is_not_executable(compiler: Compiler, model: bytes) -> None:
    program = compiler()
    program.chmod(0o644)
    with pytest.raises(ConversionError, match=r"cannot be run \(Permission denied\); make it"):
        compile_for_edgetpu(model, program=program)


def test_a_program_for_another_machine(tmp_path: Path, model: bytes) -> None:
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF" + bytes(60))
    program.chmod(0o755)
    with pytest.raises(ConversionError, match="runs on 64-bit x86 Linux alone; convert on such"):
        compile_for_edgetpu(model, program=program)


def test_a_program_that_does_not_exist(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(ConversionError, match="No such file or directory"):
        compile_for_edgetpu(model, program=tmp_path / "edgetpu_compiler")


def test_a_damaged_model_is_not_compiled(compiler: Compiler) -> None:
    with pytest.raises(ModelFileError):
        compile_for_edgetpu(b"garbage", program=compiler())


def test_the_compiler_is_found_on_the_path(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = compiler()
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_compiler() == program
    monkeypatch.setenv("PATH", str(program.parent.parent))
    assert find_compiler() is None


def test_the_reader_learns_where_the_compiler_is_from() -> None:
    assert "Edge TPU Compiler" in WHERE_FROM
    assert "64-bit x86 Linux" in WHERE_FROM
    assert "only the file for the CPU was written" in WHERE_FROM
    assert "://" not in WHERE_FROM
