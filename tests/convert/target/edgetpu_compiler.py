"""A stand-in for Coral's `edgetpu_compiler`, which says and does what the real one does."""

import sys
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

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


def write_compiler(
    folder: Path,
    mode: str = "",
    rows: tuple[tuple[str, int, str], ...] = ALL,
    compiled: bytes | None = None,
) -> Path:
    """Write it into a new folder.

    Args:
        folder: to be made.
        mode: how it fails, where it does.
        rows: operators, their number and status, in its table.
        compiled: what it makes of a model; one custom operator by default.
    """
    folder.mkdir()
    result = folder / "compiled.tflite"
    result.write_bytes(flatbuffer("edgetpu-custom-op") if compiled is None else compiled)
    program = folder / "edgetpu_compiler"
    settings = f"MODE, COMPILED, ROWS = {mode!r}, {str(result)!r}, {rows!r}"
    program.write_text(f"#!{sys.executable}\n{settings}\n{STAND_IN}")
    program.chmod(0o755)
    return program


def flatbuffer(*operators: str) -> bytes:
    """A model of operators in a row; names that TFLite does not know are custom operators."""

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
