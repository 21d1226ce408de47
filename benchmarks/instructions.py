"""How many instructions an inference takes on Raspberry Pis' processors, in each TFLite runtime.

    python -m benchmarks.instructions MODEL.tflite … [--root DIR] [--qemu PROGRAM]

Prints a Markdown table. An emulator executes the runtimes' own aarch64 wheels on one thread, and
counts; the difference between three inferences and one is two, without start and loading.
Instructions are not time: memory, caches and how many a processor executes at once are not in them.

Needs gcc, qemu-aarch64 7 or 8 that was built with plugins (Debian 12's qemu-user; qemu-user-static
was not), and a folder with an arm64 Debian 12 and its python3; without --root it is made as for
`make test-pi`.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click

from tests.pi.image import root_filesystem

_BUILD = Path("build/instructions")
_WHEELS = ("numpy==1.26.4", "ai-edge-litert==2.3.0", "tflite-runtime==2.14.0")
_PLATFORMS = (
    "manylinux2014",
    "manylinux_2_17",
    "manylinux_2_27",
    "manylinux_2_28",
    "manylinux_2_34",
)
_RUNTIMES = ("ai_edge_litert", "tflite_runtime")
_OLD = "fp asimd evtstrm crc32 cpuid"
_NEW = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)
# By QEMU's name: the boards, the part in /proc/cpuinfo, and the features there.
_PROCESSORS = {
    "cortex-a53": ("Pi 3, Zero 2 W", 0xD03, _OLD),
    "cortex-a72": ("Pi 4", 0xD08, _OLD),
    "cortex-a76": ("Pi 5", 0xD0B, _NEW),
}
# Runs under the emulator; the model's values do not matter, the input's neither.
_GUEST = """\
import importlib, sys
packages, runtime, model, times = sys.argv[1:]
sys.path.insert(0, packages)
import numpy as np
interpreter = importlib.import_module(runtime + ".interpreter").Interpreter(model, num_threads=1)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
picture = np.random.default_rng(0).integers(0, 128, details["shape"]).astype(details["dtype"])
interpreter.set_tensor(details["index"], picture)
for _ in range(int(times)):
    interpreter.invoke()
"""


class Counts(NamedTuple):
    """Instructions: all, those that multiply 16 int8 at once, and those that multiply 8 or less."""

    all: int
    dot: int
    widening: int


@contextmanager
def _processor(root: Path, part: int, features: str) -> Iterator[None]:
    """Let /proc/cpuinfo, by which a runtime chooses its kernels, be that of four such cores."""
    path = root / "proc/cpuinfo"
    lines = f"Features\t: {features}\nCPU implementer\t: 0x41\nCPU architecture: 8\n" \
            f"CPU variant\t: 0x0\nCPU part\t: {part:#x}\nCPU revision\t: 4\n"  # fmt: skip
    path.write_text("".join(f"processor\t: {core}\n{lines}\n" for core in range(4)))
    try:
        yield
    finally:
        path.unlink()


def _count(emulator: list[str], root: Path, runtime: str, model: Path, times: int) -> Counts:
    command = [*emulator, str(root / "usr/bin/python3"), "-c", _GUEST,
               str(_BUILD.resolve() / "packages"), runtime, str(model.resolve()),
               str(times)]  # fmt: skip
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    found = re.search(r"^counted (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise click.ClickException(f"{runtime} with {model}: {done.stdout.strip()[-400:]}")
    return Counts(*map(int, found.groups()))


def _inference(emulator: list[str], root: Path, runtime: str, model: Path) -> Counts:
    """What one inference takes."""
    one, three = (_count(emulator, root, runtime, model, times) for times in (1, 3))
    return Counts(*((after - before) // 2 for before, after in zip(one, three, strict=True)))


def _prepare() -> None:
    """Build the plugin, and fetch the wheels."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    source = str(Path(__file__).with_suffix(".c"))
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-o", str(_BUILD / "count.so"), source], check=True
    )
    if not (_BUILD / "packages").is_dir():
        platforms = [f"--platform={one}_aarch64" for one in _PLATFORMS]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
             "--python-version=3.11", *platforms, "--target", str(_BUILD / "packages"), *_WHEELS],
            check=True,
        )  # fmt: skip


def _row(name: str, model: Path, litert: Counts, tflite: Counts) -> str:
    boards = _PROCESSORS[name][0]
    millions = [f"{value / 1e6:,.0f}" for value in (litert.all, litert.dot, tflite.all, tflite.dot)]
    cells = [model.stem, f"{name.title()} ({boards})", *millions, f"{litert.all / tflite.all:.2f}"]
    return f"| {' | '.join(cells)} |"


@click.command(help=__doc__)
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--root", type=click.Path(exists=True, path_type=Path))
@click.option("--qemu", default="qemu-aarch64")
def main(models: tuple[Path, ...], root: Path | None, qemu: str) -> None:
    root = root or root_filesystem("bookworm", Path("build/pi"))
    _prepare()
    print("| model | processor | LiteRT, millions | of these SDOT | tflite-runtime, millions "
          "| of these SDOT | LiteRT : tflite-runtime |")  # fmt: skip
    print(f"|{' --- |' * 7}")
    for model in models:
        for name, (_, part, features) in _PROCESSORS.items():
            emulator = [qemu, "-cpu", name, "-L", str(root), "-plugin", str(_BUILD / "count.so")]
            with _processor(root, part, features):
                counts = [_inference(emulator, root, runtime, model) for runtime in _RUNTIMES]
            print(_row(name, model, *counts), flush=True)


if __name__ == "__main__":
    main()
