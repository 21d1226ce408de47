import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.report.findings import EdgeTpu, Refusal
from edgekit_convert.target.edgetpu import WHERE_FROM, compile_for_edgetpu, find_compiler, preflight

from demo.fixtures import Material
from edgekit.errors import ConversionError, ModelFileError
from edgekit.model.container import read_model
from edgekit.model.flatbuffer import Graph, Operator, Tensor, parse
from tests.conftest import Edgekit, failure

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


# What the compiler would make of a model ---------------------------------------------------------


class Network:
    """A graph built operator by operator, each reading the output of the one before."""

    def __init__(self, *shape: int, dtype: str = "int8") -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.last = self.activation(*shape, dtype=dtype)

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, *shape: int, dtype: str = "int8", scales: int = 1) -> int:
        name = f"activation_{len(self.tensors)}"
        return self._add(Tensor(name, shape, dtype, (0.1,) * scales, (0,) * scales, 0))

    def constant(self, *shape: int, dtype: str = "int8", scales: int = 1) -> int:
        size = math.prod(shape) * {"int8": 1, "float32": 4, "int32": 4, "int16": 2}[dtype]
        name = f"constant_{len(self.tensors)}"
        return self._add(Tensor(name, shape, dtype, (0.1,) * scales, (0,) * scales, size))

    def then(
        self,
        name: str,
        *shape: int,
        constants: tuple[int, ...] = (),
        version: int = 1,
        dtype: str = "int8",
    ) -> "Network":
        """Add an operator with an output of a shape."""
        output = self.activation(*shape, dtype=dtype)
        self.operators.append(Operator(name, version, (self.last, *constants), (output,)))
        self.last = output
        return self

    def convolution(self, *shape: int, filters: tuple[int, ...], version: int = 3) -> "Network":
        """Add a CONV_2D with weights of a shape, a scale for each of its filters, and a bias."""
        weight = self.constant(*filters, scales=filters[0])
        bias = self.constant(filters[0], dtype="int32", scales=filters[0])
        return self.then("CONV_2D", *shape, constants=(weight, bias), version=version)

    def dense(self, outputs: int, inputs: int, *, scales: int = 1) -> "Network":
        weight = self.constant(outputs, inputs, scales=scales)
        bias = self.constant(outputs, dtype="int32", scales=scales)
        return self.then("FULLY_CONNECTED", 1, outputs, constants=(weight, bias), version=4)

    def graph(self) -> Graph:
        return Graph(tuple(self.tensors), (0,), (self.last,), tuple(self.operators))


def _classifier() -> Network:
    """uint8 in and out, as Coral's own models are."""
    network = Network(1, 32, 32, 3, dtype="uint8").then("QUANTIZE", 1, 32, 32, 3)
    network.convolution(1, 16, 16, 8, filters=(8, 3, 3, 3))
    network.then("MAX_POOL_2D", 1, 8, 8, 8, version=2)
    axes = network.constant(2, dtype="int32", scales=0)
    network.then("MEAN", 1, 8, constants=(axes,), version=2).dense(10, 8)
    return network.then("SOFTMAX", 1, 10, version=2).then("QUANTIZE", 1, 10, dtype="uint8")


def test_a_classifier_is_mapped_entirely() -> None:
    assert preflight(_classifier().graph()) == EdgeTpu(
        operators=7,
        mapped=7,
        refusals=[],
        parameter_bytes=(8 * 3 * 3 * 3 + 8 * 4) + (10 * 8 + 10 * 4),
        streamed_bytes=0,
        compiler=None,
        note="all 7 operators should run on the Edge TPU",
    )


@pytest.mark.parametrize(
    "name", ["tf2_mobilenet_v2_1.0_224_ptq.tflite", "mobilenet_v2_1.0_224_quant.tflite"]
)
def test_corals_own_models_are_mapped_entirely(shared: Path, name: str) -> None:
    found = preflight(parse((shared / "models" / name).read_bytes()))
    assert found.refusals == []
    assert found.mapped == found.operators in (66, 68)
    assert found.parameter_bytes == 3_543_268
    assert found.streamed_bytes == 0


def test_what_follows_a_refused_operator_stays_on_the_cpu() -> None:
    network = Network(1, 8, 8, 4).then("RELU", 1, 8, 8, 4).then("ELU", 1, 8, 8, 4)
    found = preflight(network.then("RELU", 1, 8, 8, 4).graph())
    assert (found.operators, found.mapped) == (3, 1)
    assert found.refusals == [Refusal("ELU v1", 1, "the Edge TPU has no such operator")]
    assert found.note == (
        "1 of 3 operators should run on the Edge TPU; ELU v1 at position 1 does not: the Edge TPU "
        "has no such operator"
    )


def test_float_ends_stay_on_the_cpu_and_the_middle_is_mapped() -> None:
    network = Network(1, 8, 8, 4, dtype="float32").then("QUANTIZE", 1, 8, 8, 4)
    network.then("RELU", 1, 8, 8, 4, version=2).then("RELU", 1, 8, 8, 4, version=2)
    found = preflight(network.then("DEQUANTIZE", 1, 8, 8, 4, dtype="float32", version=2).graph())
    assert found.mapped == 2
    assert [(refusal.operator, refusal.position) for refusal in found.refusals] == [
        ("QUANTIZE v1", 0),
        ("DEQUANTIZE v2", 3),
    ]
    assert "is float32" in found.refusals[0].reason


def test_a_constant_border_is_refused_with_the_remedy() -> None:
    network = Network(1, 8, 8, 3)
    border = network.constant(1, 8, 3, 3)
    found = preflight(network.then("CONCATENATION", 1, 8, 11, 3, constants=(border,)).graph())
    assert found.mapped == 0
    assert "convert with --edgetpu, which normalizes by a 1x1 convolution" in (
        found.refusals[0].reason
    )


def test_activations_may_be_concatenated() -> None:
    network = Network(1, 8, 8, 3)
    other = network.activation(1, 8, 8, 3)
    graph = network.then("CONCATENATION", 1, 8, 8, 6, constants=(other,), version=2).graph()
    assert preflight(graph).refusals == []


# Compiler 16 said so of these versions: google-coral/edgetpu issues 631, 845 and 879.
@pytest.mark.parametrize(
    ("name", "version"), [("CONV_2D", 6), ("TRANSPOSE_CONV", 4), ("QUANTIZE", 3)]
)
def test_a_newer_version_makes_the_compiler_refuse_the_file(name: str, version: int) -> None:
    network = Network(1, 8, 8, 4).then("RELU", 1, 8, 8, 4)
    found = preflight(network.then(name, 1, 8, 8, 4, version=version).graph())
    assert found.mapped == 0
    assert found.refusals == [
        Refusal(
            f"{name} v{version}",
            1,
            f"the compiler reads it up to version {version - 1} and refuses the whole file",
        )
    ]


def test_an_operator_younger_than_the_compiler_makes_it_refuse_the_file() -> None:
    network = Network(1, 8, 8, 4).then("ELU", 1, 8, 8, 4).then("RELU", 1, 8, 8, 4)
    found = preflight(network.then("GELU", 1, 8, 8, 4).graph())
    assert found.mapped == 0
    assert found.note == (
        "0 of 3 operators should run on the Edge TPU; GELU v1 at position 2 does not: the compiler "
        "is older than this operator and refuses the whole file"
    )


def test_a_dynamic_size_makes_the_compiler_refuse_the_file() -> None:
    found = preflight(Network(-1, 8, 8, 4).then("RELU", -1, 8, 8, 4).graph())
    assert found.mapped == 0
    assert "is unknown before run time" in found.refusals[0].reason


def _reason(network: Network) -> str:
    (refusal,) = preflight(network.graph()).refusals
    assert "\n" not in refusal.reason
    return refusal.reason


@pytest.mark.parametrize("dtype", ["float32", "int16", "int32", "bool"])
def test_activations_have_8_bits(dtype: str) -> None:
    assert f"is {dtype}" in _reason(Network(1, 8, 8, 4, dtype=dtype).then("ADD", 1, 8, 8, 4))


def test_constants_are_quantized() -> None:
    network = Network(1, 8, 8, 4)
    weight = network.constant(4, 1, 1, 4, dtype="float32")
    assert "is float32" in _reason(network.then("CONV_2D", 1, 8, 8, 4, constants=(weight,)))


def test_weights_are_constant() -> None:
    network = Network(1, 8)
    weight = network.activation(4, 8)
    reason = _reason(network.then("FULLY_CONNECTED", 1, 4, constants=(weight,)))
    assert reason == "its weights are not constant"


def test_an_absent_bias_is_no_matter() -> None:
    network = Network(1, 8, 8, 4)
    weight = network.constant(4, 1, 1, 4)
    assert preflight(network.then("CONV_2D", 1, 8, 8, 4, constants=(weight, -1)).graph()).mapped


def test_dense_weights_have_one_scale() -> None:
    assert preflight(Network(1, 8).dense(4, 8).graph()).refusals == []
    assert "a scale for each channel" in _reason(Network(1, 8).dense(4, 8, scales=4))


def test_an_activation_has_one_scale() -> None:
    network = Network(1, 8, 8, 4)
    network.last = network.activation(1, 8, 8, 4, scales=4)
    assert "a scale for each channel" in _reason(network.then("RELU", 1, 8, 8, 4))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(2, 8, 8, 4).then("RELU", 2, 8, 8, 4), "a batch of 2"),
        (Network(1, 1, 8, 8, 4).then("RELU", 1, 1, 8, 8, 4), "has 5 dimensions"),
        (Network(3, 8).then("SOFTMAX", 3, 8), "more than one dimension"),
        (Network(1, 16_001).then("SOFTMAX", 1, 16_001), "more than 16,000 elements"),
        (Network(1, 8, 8, 6).then("MEAN", 1, 8, 8, 1), "no multiple of 4"),
    ],
)
def test_shapes(network: Network, words: str) -> None:
    assert words in _reason(network)


def test_what_does_not_fit_the_chip_is_streamed() -> None:
    network = Network(1, 8, 8, 2048)
    for _ in range(3):
        network.convolution(1, 8, 8, 2048, filters=(2048, 1, 1, 2048))
    found = preflight(network.graph())
    assert found.parameter_bytes == 3 * (2048 * 2048 + 4 * 2048)
    assert found.streamed_bytes == pytest.approx(12.02 * MIB - 6.9 * MIB, rel=0.01)


def test_parameters_on_the_cpu_are_not_streamed() -> None:
    network = Network(1, 8, 8, 2048).then("ELU", 1, 8, 8, 2048)
    for _ in range(3):
        network.convolution(1, 8, 8, 2048, filters=(2048, 1, 1, 2048))
    found = preflight(network.graph())
    assert found.parameter_bytes > 12 * MIB
    assert found.streamed_bytes == 0


# Running the compiler ----------------------------------------------------------------------------

# What Coral's edgetpu_compiler does, as far as it is told of in its documentation and in the issues
# of google-coral/edgetpu; MODE says how this one fails.
STAND_IN = '''
import argparse, os, pathlib, shutil, signal, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("-s", "--show_operations", action="store_true")
parser.add_argument("-o", "--out_dir", type=pathlib.Path, default=".")
parser.add_argument("-t", "--timeout_sec", type=int, default=180)
parser.add_argument("model", type=pathlib.Path)
options = parser.parse_args()
assert options.model.read_bytes()[4:8] == b"TFL3"
stem = options.out_dir / options.model.stem


def say(text):
    print(text, flush=True)


def give_up(*lines):
    for line in lines:
        say(line)
    sys.exit(1)


say("Edge TPU Compiler version 16.0.384591198")
if MODE == "version":
    print(
        "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this "
        "builtin might be supported. Are you using an old TFLite binary with a newer model?\\n\\n"
        "ERROR: Registration failed.\\n",
        file=sys.stderr, flush=True,
    )
    give_up(f"Invalid model: {options.model}", "Model could not be parsed")
if MODE == "new operator":
    give_up(
        "ERROR: Op builtin_code out of range: 150. Are you using old TFLite binary with newer "
        "model?", "ERROR: Registration failed.", f"Invalid model: {options.model}",
        "Model could not be parsed",
    )
if MODE == "not quantized":
    give_up(f"Invalid model: {options.model}", "Model not quantized")
if MODE == "invalid":
    give_up(f"Invalid model: {options.model}", "Model could not be parsed")
say(f"Started a compilation timeout timer of {options.timeout_sec} seconds.")
if MODE == "internal":
    give_up("", "Internal compiler error. Aborting! ")
if MODE == "large":
    give_up(
        "ERROR: Restored original execution plan after delegate application failure.",
        "Compilation failed: Compilation failed due to large activation tensors in model.",
        "Compilation child process completed within timeout period.", "Compilation failed! ",
    )
if MODE == "dynamic":
    give_up(
        "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph "
        "that has dynamic-sized tensors.",
        "Compilation failed: Model failed in Tflite interpreter. Please ensure model can be "
        "loaded/run in Tflite interpreter.",
        "Compilation child process completed within timeout period.", "Compilation failed! ",
    )
if MODE == "interpreter":
    give_up(
        "ERROR: Encountered unresolved custom op: Atan.",
        "Compilation failed: Model failed in Tflite interpreter. Please ensure model can be "
        "loaded/run in Tflite interpreter.",
        "Compilation child process completed within timeout period.", "Compilation failed! ",
    )
if MODE == "timeout":
    give_up(
        "Compilation timeout. This is usually caused by large activations.", "Compilation failed! "
    )
if MODE == "silent":
    give_up("Compilation child process completed within timeout period.", "Compilation failed! ")
if MODE == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if MODE == "child killed":
    sys.exit(128 + signal.SIGSEGV)
if MODE == "wrong machine":
    say("/usr/bin/edgetpu_compiler: line 7: cannot execute binary file: Exec format error")
    sys.exit(126)
if MODE == "hang":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path(__file__).with_name("child").write_text(str(child.pid))
    time.sleep(60)
if MODE == "no file":
    sys.exit(0)

mapped = sum(count for _, count, status in ROWS if status == "Mapped to Edge TPU")
total = sum(count for _, count, _ in ROWS)
table = "\\n".join(f"{name:<31}{count:<11}{status}" for name, count, status in ROWS)
say(f"""
Model compiled successfully in 1942 ms.

Input model: {options.model}
Input size: 11.25MiB
Output model: {stem}_edgetpu.tflite
Output size: 11.37MiB
On-chip memory used for caching model parameters: 6.91MiB
On-chip memory remaining for caching model parameters: 1.00KiB
Off-chip memory used for streaming uncached model parameters: 4.25MiB
Number of Edge TPU subgraphs: 1
Total number of operations: {total}
Operation log: {stem}_edgetpu.log
""")
if mapped < total:
    say(
        "Model successfully compiled but not all operations are supported by the Edge TPU. A "
        "percentage of the model will instead run on the CPU, which is slower. If possible, "
        "consider updating your model to use only operations supported by the Edge TPU. For "
        "details, visit g.co/coral/model-reqs.\\n"
        f"Number of operations that will run on Edge TPU: {mapped}\\n"
        f"Number of operations that will run on CPU: {total - mapped}\\n"
    )
if options.show_operations:
    say(f"Operator                       Count      Status\\n\\n{table}")
say("Compilation child process completed within timeout period.\\nCompilation succeeded! ")
if MODE == "garbage":
    pathlib.Path(f"{stem}_edgetpu.tflite").write_bytes(b"garbage")
else:
    shutil.copy(COMPILED, f"{stem}_edgetpu.tflite")
if MODE != "no log":
    pathlib.Path(f"{stem}_edgetpu.log").write_text(
        f"""Edge TPU Compiler version 16.0.384591198
Input: {options.model}
Output: {stem}_edgetpu.tflite

Operator                       Count      Status

{table}
"""
    )
'''

MAPPED = "Mapped to Edge TPU"
ALL = (("CONV_2D", 1, MAPPED), ("MEAN", 1, MAPPED), ("RELU", 2, MAPPED))
NONE = tuple((name, count, "Operation not supported") for name, count, _ in ALL)


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    """Write a stand-in for `edgetpu_compiler`, which says and does what the real one does."""

    def write(
        mode: str = "", rows: tuple[tuple[str, int, str], ...] = ALL, compiled: bytes | None = None
    ) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        result = folder / "compiled.tflite"
        result.write_bytes(_flatbuffer("edgetpu-custom-op") if compiled is None else compiled)
        program = folder / "edgetpu_compiler"
        settings = f"MODE, COMPILED, ROWS = {mode!r}, {str(result)!r}, {rows!r}"
        program.write_text(f"#!{sys.executable}\n{settings}\n{STAND_IN}")
        program.chmod(0o755)
        return program

    return write


def _flatbuffer(*operators: str) -> bytes:
    """A model of operators in a row; names that TFLite does not know are custom operators."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), [1, 8, 8, 4], 0
        made.type = schema.TensorType.INT8
        return made

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.inputs, graph.outputs = [tensor("x")], [0], [len(operators)]
    model.operatorCodes, graph.operators = [], []
    for i, name in enumerate(operators):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        builtin = getattr(schema.BuiltinOperator, name, None)
        if builtin is None:
            builtin, code.customCode = schema.BuiltinOperator.CUSTOM, name.encode()
        code.builtinCode = code.deprecatedBuiltinCode = builtin
        code.version = 2
        operator.opcodeIndex, operator.inputs, operator.outputs = i, [i], [i + 1]
        model.operatorCodes.append(code)
        graph.operators.append(operator)
        graph.tensors.append(tensor(f"y{i}"))
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="session")
def model() -> bytes:
    """An int8 flatbuffer of four operators, to be compiled."""
    return _flatbuffer("CONV_2D", "RELU", "MEAN", "RELU")


def test_a_compiled_model_and_what_the_compiler_said_of_it(
    compiler: Compiler, model: bytes
) -> None:
    compiled = compile_for_edgetpu(model, program=compiler())
    assert compiled.flatbuffer == _flatbuffer("edgetpu-custom-op")
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
        model, program=compiler(rows=rows, compiled=_flatbuffer("edgetpu-custom-op", "MEAN"))
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
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    program = compiler("hang")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(3)
    try:
        with pytest.raises(KeyboardInterrupt):
            compile_for_edgetpu(model, program=program)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert _has_ended(int(program.with_name("child").read_text()))


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
    program = compiler(rows=rows, compiled=_flatbuffer(*compiled))
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


# The whole conversion ----------------------------------------------------------------------------


def test_a_conversion_writes_a_file_for_the_edge_tpu_beside_that_for_the_cpu(
    compiler: Compiler,
    converted: Path,
    material: Material,
    edgekit: Edgekit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What the compiler gives back: one custom operator between the model's own input and output.
    whole = FlatbufferEditor(read_model(converted).flatbuffer)
    operator = whole.add_operator("CUSTOM")
    whole.model.operatorCodes[-1].customCode = b"edgetpu-custom-op"
    operator.inputs, operator.outputs = whole.graph.inputs, whole.graph.outputs
    whole.graph.operators = [operator]
    program = compiler(compiled=whole.pack())
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    options = (
        "convert", "--arch", "18", "--int8", "--size", "64", "--crop", "1", "--edgetpu",
        "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.calibration, "--output", tmp_path / "toys.tflite",
    )  # fmt: skip
    done = edgekit(*options)
    assert done.returncode == 0, done.stderr
    assert "toys_edgetpu.tflite (Edge TPU compiler 16.0" in done.stdout
    for_cpu, for_tpu = (read_model(tmp_path / f"toys{end}.tflite") for end in ("", "_edgetpu"))
    assert for_cpu.labels == for_tpu.labels
    assert for_cpu.manifest is not None and for_tpu.manifest is not None
    assert for_cpu.manifest.fidelity == for_tpu.manifest.fidelity
    assert for_tpu.graph.operator_counts() == {"edgetpu-custom-op": 1}
    # A compiler that fails fails the conversion: nothing is left that could be mistaken for both.
    (program.parent / "edgetpu_compiler").write_text("#!/bin/sh\nexit 1\n")
    line = failure(edgekit(*options[:-1], tmp_path / "other.tflite"))
    assert "the Edge TPU compiler failed" in line
    assert not list(tmp_path.glob("other*"))


def test_without_the_compiler_the_file_for_the_cpu_is_written_and_says_where_to_get_it(
    material: Material, edgekit: Edgekit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = edgekit(
        "convert", "--arch", "18", "--int8", "--size", "64", "--crop", "1", "--edgetpu",
        "--weights", material.checkpoint, "--classes", material.classes,
        "--calibration", material.calibration, "--output", tmp_path / "toys.tflite",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert WHERE_FROM in done.stdout
    assert [path.name for path in sorted(tmp_path.glob("toys*.tflite"))] == ["toys.tflite"]
