"""Clocks, signals, pipes and memory turn against a running daemon."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.camera import Camera
from tests.faults.running import SLACK, DeafDaemon, Running, wait_for
from tests.faults.table import row
from tests.integration.broker import running_broker
from tests.tiny import tiny_model

_YEAR = 365 * 24 * 3600


def _top(model: Path, more: str = "every-frame = true") -> str:
    return f'model = "{model}"\nsource = "test:"\n{more}'


# Clocks.


@pytest.fixture(scope="module")
def shifted_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that shifts the clock of a process; see `shifted_clock.c`."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to compile a clock")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("shifted_clock.c")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True, timeout=120)
    return library


@pytest.mark.parametrize(
    ("name", "seconds"), [("clock-forward", _YEAR), ("clock-back", -_YEAR)]
)  # fmt: skip
def test_a_clock_that_jumps(
    start: Callable[..., Running],
    model: Path,
    tmp_path: Path,
    shifted_clock: Path,
    name: str,
    seconds: int,
) -> None:
    fault, shift = row(name), tmp_path / "shift"
    shift.write_text("0")
    daemon = start(
        top=_top(model),
        environment={"LD_PRELOAD": str(shifted_clock), "CLOCK_SHIFT": str(shift)},
    )
    before = daemon.is_well()
    shift.write_text(str(seconds))

    def has_jumped(ts: str) -> bool:
        jump = datetime.fromisoformat(ts) - datetime.fromisoformat(before.ts)
        return abs(jump.total_seconds() - seconds) < 3600

    wait_for("the other year", lambda: has_jumped(daemon.health.ts))
    daemon.answers()
    after = daemon.shows(fault)
    # Time passes as before.
    assert 0 < after.uptime_s - before.uptime_s < 2 * SLACK
    assert after.restarts == before.restarts
    event = daemon.daemon.wait_for_event(lambda event: has_jumped(event["ts"]))
    assert event["state"] == "running"
    assert set(daemon.states) <= {"starting", "running"}


# Signals.


def test_a_process_that_was_stopped_goes_on(
    start: Callable[..., Running], model: Path, tmp_path: Path
) -> None:
    """For longer than a camera's time-out, an inference's, and what a broker waits for."""
    fault, camera = row("process-stopped"), Camera()
    try:
        with running_broker(tmp_path) as broker:
            daemon = start(
                top=f'model = "{model}"\nsource = "{camera.url}"\nstdout = false',
                mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
                recovery="inference-timeout = 0.5",
            )
            daemon.is_well()
            daemon.daemon.signal(signal.SIGSTOP)
            before = daemon.health.frames
            # The broker gives a silent client one and a half times its promise of a second.
            wait_for("its will", lambda: any("exceeded timeout" in line for line in broker.log))
            daemon.daemon.signal(signal.SIGCONT)
            daemon.shows(fault)
            assert daemon.recovers(fault).frames > before
    finally:
        camera.close()


def test_wrong_files_many_at_once_and_one_beside_a_swap(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    path = tiny_model(tmp_path / "m.tflite")
    daemon = start(top=_top(path))
    daemon.is_well()
    good = daemon.config.read_bytes()
    fault = row("reload-bad")
    for content in (b"threads = -1", b"a = " + b"[" * 3000, b"\xff\xfe", b"",
                    b"threads = " + b"1" * 9999, b"\0", None, "pipe", "/dev/zero",
                    "/"):  # fmt: skip
        daemon.config.unlink(missing_ok=True)
        if content == "pipe":
            os.mkfifo(daemon.config)
        elif isinstance(content, str):
            daemon.config.symlink_to(content)
        elif content is not None:
            daemon.config.write_bytes(content)
        daemon.reload()
        daemon.shows(fault)
        daemon.config.unlink(missing_ok=True)
        daemon.config.write_bytes(good)
        daemon.reload()
        daemon.recovers(fault)

    fault, before = row("reload-often"), daemon.means()
    for number in range(100):
        daemon.write(top=_top(path, f"every-frame = true\ntop-k = {1 + number % 3}"))
        daemon.reload()
    daemon.recovers(fault)
    wait_for("an event", lambda: daemon.daemon.wait_for_event(lambda e: len(e["labels"]) == 1))
    wait_for("threads and files to be let go", lambda: _not_more(daemon.means(), before))

    fault = row("reload-swap")
    tiny_model(tmp_path / "new.tflite", labels=b"ant\nbee\ncow\n").replace(path)
    for _ in range(20):
        daemon.write(top=_top(path, "every-frame = true\ntop-k = 2"))
        daemon.reload()
    daemon.daemon.wait_for_event(
        lambda e: len(e["labels"]) == 2 and e["labels"][0]["label"] in ("ant", "bee", "cow")
    )
    daemon.recovers(fault)


def _not_more(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return all(one <= other for one, other in zip(now, before, strict=True))


def test_sigterm_is_heard_in_every_wait(start: Callable[..., Running], model: Path) -> None:
    """While a camera is lost, a broker and a webhook away, and a hundred reloads are asked for."""
    fault, camera = row("stop-anytime"), Camera()
    try:
        daemon = start(
            top=f'model = "{model}"\nsource = "{camera.url}"\nevery-frame = true',
            mqtt='host = "127.0.0.1"\nport = 9', webhook='url = "http://127.0.0.1:9/"',
        )  # fmt: skip
        wait_for("answers", lambda: daemon.health.frames > 5)
        camera.mode = "silence"
        daemon.shows(fault)
        for _ in range(100):
            daemon.reload()
        daemon.daemon.signal(signal.SIGTERM)
        assert daemon.daemon.end(SLACK) == 0
        said = "".join(daemon.daemon.said)
        assert "mqtt: " in said
        assert "events were not delivered" in said
    finally:
        camera.close()


# What is said.


@contextmanager
def _process(model: Path, *options: str, **streams: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.faults.impatient", "run", "--model", str(model),
               "--source", "test:", "--every-frame", *options]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, **streams) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def test_a_pipe_whose_reader_had_enough_is_a_success(model: Path) -> None:
    with _process(model, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(SLACK) == 0


def test_a_journal_that_has_gone_is_a_failure(model: Path) -> None:
    """So that systemd, which gives a service a socket, starts it again."""
    row("stdout-reader-gone")
    ours, theirs = socket.socketpair()
    made_by_systemd = os.fstat(theirs.fileno())
    journal = {"JOURNAL_STREAM": f"{made_by_systemd.st_dev}:{made_by_systemd.st_ino}"}
    started = _process(model, stdout=theirs, stderr=theirs, env=os.environ | journal)
    with ours, theirs, started as process:
        theirs.close()
        assert ours.recv(1)
        ours.close()
        assert process.wait(SLACK) == 1


def test_a_reader_of_stdout_that_takes_nothing(start: Callable[..., Running], model: Path) -> None:
    fault = row("stdout-blocked")
    daemon = start(top=_top(model), camera="fps = 240\ntimeout = 5", deaf_to="stdout")
    assert daemon.shows(fault).sinks["stdout"].dropped > 0
    daemon.answers()
    assert isinstance(daemon.daemon, DeafDaemon)
    daemon.daemon.listen()
    daemon.recovers(fault)


def test_a_reader_of_stderr_that_takes_nothing(start: Callable[..., Running], model: Path) -> None:
    fault = row("stderr-blocked")
    daemon = start(top=_top(model, "stdout = false"), deaf_to="stderr")
    daemon.is_well()
    # More words than the pipe takes.
    for number in range(40):
        daemon.write(top=_top(model, f"stdout = {number}"))
        daemon.reload()
        told = "got whole number"
        wait_for("a problem", lambda told=told: any(told in p for p in daemon.health.problems))
        daemon.write(top=_top(model, "stdout = false"))
        daemon.reload()
        wait_for("none", lambda: not daemon.health.problems)
    daemon.answers()
    daemon.shows(fault)
    daemon.daemon.signal(signal.SIGTERM)
    assert daemon.daemon.process.wait(SLACK) == 0


# Memory.


def test_a_source_that_there_is_no_memory_for(start: Callable[..., Running], model: Path) -> None:
    fault = row("memory-short")
    daemon = start(top=_top(model))
    daemon.is_well()
    process = Path("/proc") / str(daemon.pid) / "status"
    lines = dict(line.split(":", 1) for line in process.read_text().splitlines())
    kilobytes = int(lines["VmData"].split()[0]) + 50_000
    resource.prlimit(daemon.pid, resource.RLIMIT_DATA, (kilobytes * 1024, kilobytes * 1024))
    daemon.write(camera="width = 8192\nheight = 8192\ntimeout = 2")
    daemon.reload()
    daemon.shows(fault)
    daemon.write(camera="timeout = 2")
    daemon.reload()
    daemon.recovers(fault)
