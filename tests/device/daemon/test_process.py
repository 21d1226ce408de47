"""`edgekit run` as a process: signals, pipes, and what it loads."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Edgekit, failure

F_SETPIPE_SZ = 1031  # `fcntl` names it on Linux only


@pytest.fixture
def options(shared: Path) -> list[str]:
    """A real model with 1001 classes over 200 photos, every frame answered."""
    return [
        "--model", str(shared / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"),
        "--labels", str(shared / "models" / "imagenet_labels.txt"),
        "--source", str(shared / "data" / "photos"), "--every-frame",
    ]  # fmt: skip


@contextmanager
def _started(*options: str, changed: str = "") -> Iterator[subprocess.Popen[str]]:
    """The process, in which some Python of ours may have run before."""
    program = f"{changed}\nfrom edgekit.cli import main; main()"
    command = [sys.executable, "-c", program, "run", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _blocked(options: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The process with a full pipe on stdout: each line is larger than the pipe."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a pipe's size can be set on Linux only")
    with _started(*options, "--top-k", "1001") as process:
        assert process.stdout is not None
        fcntl.fcntl(process.stdout, F_SETPIPE_SZ, 4096)
        assert process.stdout.readline().endswith("}\n")
        # Once a part of the next line is there, the process waits to write the rest of it.
        assert select.select([process.stdout], [], [], 30)[0]
        yield process


def _errors(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    text = process.stderr.read()
    assert "Traceback" not in text
    assert "Exception" not in text
    return text


# What signals end a recording with: what was asked for, or an interruption.
ENDINGS = [(signal.SIGTERM, 0), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_stalled_reader_does_not_keep_it_alive(
    options: list[str], number: signal.Signals, code: int
) -> None:
    with _blocked(options) as process:
        process.send_signal(number)
        assert process.wait(timeout=10) == code
        said = _errors(process)
        assert "frames (0 dropped)" in said
        # The line that its reader did not take.
        assert "edgekit: stdout: 1 of 2 events were not delivered" in said
        assert said.endswith("edgekit: interrupted\n") == (code == 130)


def test_a_second_ctrl_c_forces_it(options: list[str]) -> None:
    with _blocked(options) as process:
        for _ in range(100):
            # Two signals sent at once may arrive as one, so this keeps pressing.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                continue
        assert process.wait(timeout=1) == 128 + signal.SIGINT


def test_a_repeated_sigterm_is_one_sigterm(options: list[str]) -> None:
    # `timeout` sends it to the process and to its group.
    with _blocked(options) as process:
        process.send_signal(signal.SIGTERM)
        # Sent at once, the two would arrive as one; the process is blocked for a second.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_stops_it_while_it_loads(
    options: list[str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    # Opening a FIFO to write waits until someone opens it to read: the worker waits for the end of
    # the model's trial then, which goes on for as long as nothing is written.
    pipe, waits = tmp_path / "pipe", tmp_path / "waits"
    for fifo in (pipe, waits):
        os.mkfifo(fifo)
    slow = (
        "from edgekit_device import trial\n"
        f"trial.child.python_command = lambda *_: ['/bin/sh', '-c', 'read line < {pipe}']\n"
        "wait = trial.Trial.wait\n"
        f"trial.Trial.wait = lambda one: (open({str(waits)!r}).close(), wait(one))[1]"
    )
    loading = threading.Event()
    writers: list[int] = []

    def wait() -> None:
        writers.extend(os.open(fifo, os.O_WRONLY) for fifo in (pipe, waits))
        loading.set()

    threading.Thread(target=wait, daemon=True).start()
    with _started(*options, changed=slow) as process:
        assert loading.wait(timeout=30)
        process.send_signal(number)
        assert process.wait(timeout=10) == code
        assert "edgekit: stopped before the first frame\n" in _errors(process)
    for writer in writers:
        os.close(writer)


def _troubles(said: str) -> list[str]:
    """Lines of ours, but for what was understood of the model and what it sees."""
    ours = (line for line in said.splitlines() if line.startswith("edgekit:"))
    return [one for one in ours if not one.startswith(("edgekit: model: ", "edgekit: view: "))]


def test_a_reader_that_has_enough_is_success(options: list[str]) -> None:
    with _started(*options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert not _troubles(_errors(process))


def test_a_full_disk_is_one_line(options: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "run", *options],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    (trouble,) = _troubles(done.stderr)
    assert trouble.startswith("edgekit: cannot write to the output: No space left on device; ")
    assert trouble.endswith("events were not delivered")


def test_answers_come_in_the_order_of_the_files(
    options: list[str], shared: Path, edgekit: Edgekit
) -> None:
    done = edgekit("run", *options, "--top-k", "1")
    assert done.returncode == 0, done.stderr
    best = [int(line.split('"index":')[1].split(",")[0]) for line in done.stdout.splitlines()]
    rows = (shared / "data" / "photos" / "labels.tsv").read_text().splitlines()[1:]
    # This model's class 0 is "background".
    truth = [int(row.split("\t")[1]) + 1 for row in sorted(rows)]
    assert len(best) == len(truth) == 200
    assert sum(a == b for a, b in zip(best, truth, strict=True)) > 170


def test_bad_sources_are_one_line(options: list[str], tmp_path: Path, edgekit: Edgekit) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    cases = [
        (tmp_path / "text.mp4", "does not open as a video"),
        (tmp_path / "empty", "no images in"),
        ("v4l2:/dev/null", "does not open as a camera"),
        ("v4l2:", "no camera at v4l2:"),
        ("v4l2:97", "no camera at /dev/video97"),
        ("97", "no camera at /dev/video97"),
    ]
    for source, expected in cases:
        assert expected in failure(edgekit("run", *options, "--source", source))


def test_it_loads_and_keeps_nothing_that_it_does_not_use(options: list[str]) -> None:
    # Also says, on stderr, when pages of libraries are let go: how many threads there are, whose.
    code = (
        "import os, sys, threading; from edgekit_device import board\n"
        "release = board.release_library_pages\n"
        "def told(*of):\n"
        "    print('released', threading.active_count(), *of, file=sys.stderr); release(*of)\n"
        "board.release_library_pages = told\n"
        "from edgekit.cli import main; main(); print(os.environ['OPENBLAS_NUM_THREADS'])\n"
        "print('\\n'.join(sys.modules))"
    )
    command = [sys.executable, "-c", code, "run", *options, "--source", "test:"]
    done = subprocess.run(
        [*command, "--max-frames", "1"], capture_output=True, text=True, timeout=60, check=True
    )
    _event, blas_threads, *names = done.stdout.splitlines()
    loaded = set(names)
    assert "edgekit_device.daemon.daemon" in loaded
    unwanted = {"torch", "tensorflow", "torchvision", "matplotlib", "rich", "PIL", "onnx", "scipy"}
    # What reads and writes recordings, and the sinks that nobody asked for.
    unwanted |= {"edgekit.offline.recording", "edgekit.offline.player", "sqlite3", "tarfile"}
    unwanted |= {"edgekit_device.sinks.mqtt", "edgekit_device.sinks.http", "urllib.request"}
    assert not loaded & (unwanted | {"edgekit_convert", "demo"})
    assert blas_threads == "1"
    released = [line.split() for line in done.stderr.splitlines() if line.startswith("released")]
    assert released[0] == ["released", "1"]
    assert Path(released[1][2]).name in ("ai_edge_litert", "tflite_runtime")
