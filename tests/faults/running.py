"""A daemon under faults: what it says of itself, and how soon it is well again."""

import fcntl
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edgekit_device.health import Health, Status, read_status

from tests.faults.table import Fault
from tests.integration.daemon import Daemon

_T = TypeVar("_T")
# Seconds that a machine may be too slow by; a test that passes waits for none of them.
SLACK = 45.0


def wait_for(what: str, find: Callable[[], _T | None], timeout: float = SLACK) -> _T:
    """What `find` gives, as soon as it is something; fails with `what` when it is not in time."""
    deadline = time.monotonic() + timeout
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class ImpatientDaemon(Daemon):
    """`edgekit run` with the waits of `tests.faults.impatient`."""

    module = "tests.faults.impatient"


class DeafDaemon(ImpatientDaemon):
    """One whose `deaf_to`, `stdout` or `stderr`, is read by nobody until `listen`."""

    def __init__(self, *options: str | Path, deaf_to: str, **more: Any) -> None:
        self._deaf_to = deaf_to
        self._listening = threading.Event()
        super().__init__(*options, **more)
        stream = getattr(self.process, deaf_to)
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)

    def listen(self) -> None:
        """Read it from now on."""
        self._listening.set()

    def _read_errors(self) -> None:
        if self._deaf_to == "stderr":
            self._listening.wait()
        super()._read_errors()

    def _read_events(self) -> None:
        if self._deaf_to == "stdout":
            self._listening.wait()
        super()._read_events()

    def kill(self) -> None:
        """See `Daemon`."""
        self.listen()
        super().kill()


class Running:
    """A daemon with a configuration, watched through the status that it leaves in its folder.

    Args:
        folder: for its files.
        sections: of its configuration, as text; `top` stands before them.
        command: words before that of Python, such as `prlimit`.
        environment: beside the usual one.
        deaf_to: of its `stdout` and `stderr`, what nobody reads.
    """

    def __init__(
        self,
        folder: Path,
        *,
        deaf_to: str = "",
        command: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        **sections: str,
    ) -> None:
        self.folder = folder
        self.run_folder = folder / "run"
        self.run_folder.mkdir(exist_ok=True)
        self.config = folder / "edgekit.toml"
        self.sections = sections
        self.write()
        self.fallen: list[str] = []
        self.states: list[str] = []
        kind = functools.partial(DeafDaemon, deaf_to=deaf_to) if deaf_to else ImpatientDaemon
        self.daemon = kind(
            "--config", self.config, command=command,
            environment={"RUNTIME_DIRECTORY": str(self.run_folder), **(environment or {})},
        )  # fmt: skip
        self.pid = self.daemon.process.pid
        self._ending = threading.Event()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()

    def write(self, **changed: str) -> None:
        """Write the configuration, with other sections from now on."""
        self.sections |= changed
        usual = {"health": "interval = 0.2\nstall-after = 1.5", "camera": "timeout = 1"}
        sections = usual | self.sections
        top = sections.pop("top", "")
        text = "".join(f"\n[{name}]\n{lines}\n" for name, lines in sections.items())
        (self.folder / "new.toml").write_text(f'name = "pi"\n{top}\n{text}')
        (self.folder / "new.toml").replace(self.config)

    @property
    def status(self) -> Status | None:
        """What it left last; None where that is not of this process."""
        status = read_status(self.run_folder)
        return status if status and status.pid == self.pid else None

    @property
    def health(self) -> Health:
        """How it is."""
        return self._alive().health

    def shows(self, fault: Fault) -> Health:
        """How it is as soon as it shows what the table says of a fault."""

        def find() -> Health | None:
            health = self.health
            told = not fault.message or any(map(fault.pattern.search, health.problems))
            return health if health.state in fault.states and told else None

        return wait_for(f"{fault.states} {fault.message!r} (last: {self.status})", find)

    def recovers(self, fault: Fault) -> Health:
        """How it is as soon as it is well: within the bound of the table."""
        return self.is_well(fault.bound.seconds() + SLACK)

    def is_well(self, timeout: float = SLACK) -> Health:
        """How it is as soon as nothing is wrong, and frames are answered."""
        before = self.health.frames

        def find() -> Health | None:
            health = self.health
            well = health.state == "running" and not health.problems and health.frames > before
            return health if well else None

        health = wait_for("its being well", find, timeout)
        assert not self.fallen, self.fallen
        return health

    def answers(self, more: int = 5) -> None:
        """Return once it has answered more frames."""
        before = self.health.frames
        wait_for("answers", lambda: self.health.frames >= before + more)

    def reload(self) -> None:
        """Have it read its configuration again."""
        self.daemon.signal(signal.SIGHUP)

    def means(self) -> tuple[int, int]:
        """Threads and open files of the process."""
        process = Path("/proc") / str(self.pid)
        threads, files = (len([*(process / kind).iterdir()]) for kind in ("task", "fd"))
        return threads, files

    def has_said(self, text: str) -> bool:
        """Whether a line on stderr holds this."""
        return any(text in line for line in self.daemon.said)

    def _alive(self) -> Status:
        def find() -> Status | None:
            code = self.daemon.process.poll()
            assert code is None, f"it ended with {code}: {''.join(self.daemon.said)}"
            return self.status

        return wait_for("a status", find)

    def _watch(self) -> None:
        """No counter falls, and every state is noted."""
        before: dict[str, int] = {}
        while not self._ending.wait(0.05):
            status = self.status
            if status is None:
                continue
            if self.states[-1:] != [status.health.state]:
                self.states.append(status.health.state)
            now = dict(_counters(status.health))
            self.fallen += [
                f"{name} fell from {before[name]} to {now[name]}"
                for name in before.keys() & now.keys()
                if now[name] < before[name]
            ]
            before |= now

    def close(self) -> None:
        """End it, whatever it does."""
        self._ending.set()
        self._watching.join()
        self.daemon.kill()


def _counters(health: Health) -> Iterator[tuple[str, int]]:
    for name in ("frames", "dropped", "damaged", "events"):
        yield name, getattr(health, name)
    for part, count in health.restarts.items():
        yield f"restarts of {part}", count
    for name, sink in health.sinks.items():
        yield f"sent by {name}", sink.sent
        yield f"dropped by {name}", sink.dropped


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[Running]:
    """A daemon that answers frames; see `Running`."""
    daemon = Running(folder, **options)
    try:
        yield daemon
    finally:
        daemon.close()
