"""`edgekit run` in a process of its own."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT


class Daemon:
    """`edgekit run` in a process of its own.

    Args:
        options: of the command.
        environment: beside the usual one.
        command: words before that of Python, such as `prlimit`.
    """

    module = "edgekit"

    def __init__(
        self,
        *options: str | Path,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        program = [*command, sys.executable, "-m", self.module, "run", *map(str, options)]
        self.process = subprocess.Popen(
            program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | (environment or {}),
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.said: list[str] = []
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read_errors), threading.Thread(target=self._read_events)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def wait_for(self, text: str) -> str:
        """The next line on stderr that contains `text`."""
        while (line := self._lines.get(timeout=60)) is not None:
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}: {''.join(self.said)}")

    def wait_for_event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next event that is wanted."""
        while not wanted(event := self.events.get(timeout=60)):
            pass
        return event

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 60) -> int:
        """Its exit code, once it has ended by itself."""
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(30)
        assert not any("Traceback" in line for line in self.said), "".join(self.said)
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(30)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Daemon]]:
    """Start daemons; none survives the test."""
    started: list[Daemon] = []

    def start(*options: str | Path, environment: dict[str, str] | None = None) -> Daemon:
        started.append(Daemon(*options, environment=environment))
        return started[-1]

    yield start
    for daemon in started:
        daemon.kill()
