"""Runs targets side by side, each in processes of its own, and keeps what came of it."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.fuzz.targets import Target

# Seconds of one process. The next one goes on with what it found.
_SLICE = 90.0
# Inputs per second of a target that was not run yet.
_RATE = 1000.0
# Seconds for an input: a machine must be very busy for that, and no input take long by itself.
_TIMEOUT = 300
# Seconds that a target gets that is not at the core, of those that are.
_SMALL = 6
# Findings, most of them one and the same, after which a target waits to be mended.
_ENOUGH = 5
_STATE = "state.json"
_WORKER, _ROOT = Path(__file__).with_name("worker.py"), Path(__file__).parents[2]
_FINISHED = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVERAGE = re.compile(r"cov: (\d+)")
_KEPT = re.compile(r"Test unit written to (\S+)")


class Progress(msgspec.Struct):
    """What became of a target so far.

    Attributes:
        runs: inputs that were tried.
        seconds: of processor time, about.
        coverage: branches of our code that were reached.
        findings: files with inputs that a reader answers wrongly.
    """

    runs: int = 0
    seconds: float = 0.0
    coverage: int = 0
    findings: list[str] = []


class Campaign:
    """Targets that are fuzzed, and a folder in which inputs and figures are kept.

    Args:
        targets: what is fuzzed.
        folder: is made where it is missing; what is there is gone on with.
        scratch: a folder that is removed by others; processes that libFuzzer ends tidy nothing up.
        notify: called with a line about each process that ended.

    Attributes:
        progress: by target.
        failures: what was said by those that could not run at all, by target.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        folder: Path,
        scratch: Path,
        notify: Callable[[str], None],
    ) -> None:
        self.targets = list(targets)
        self.progress = {target.name: Progress() for target in self.targets}
        self.failures: dict[str, str] = {}
        self._folder = folder.absolute()
        self._scratch = scratch
        self._notify = notify
        self._running = dict.fromkeys(self.progress, 0)
        self._slices = dict.fromkeys(self.progress, 0)
        self._lock = threading.Lock()
        state = self._folder / _STATE
        if state.is_file():
            self.progress |= msgspec.json.decode(state.read_bytes(), type=dict[str, Progress])
        for target in self.targets:
            self._prepare(target)

    def for_seconds(self, seconds: float, jobs: int) -> None:
        """Give each target its time: all of it at the core, a part to others."""
        with ThreadPoolExecutor(jobs) as pool:
            slices = [
                pool.submit(self._slice, target, seconds if target.core else seconds / _SMALL)
                for target in sorted(self.targets, key=lambda one: not one.core)
            ]
        for one in slices:
            one.result()

    def for_runs(self, runs: int, jobs: int, seconds: float) -> None:
        """Give each target so many runs, until that is done or the time is over."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(jobs) as pool:
            workers = [pool.submit(self._work, runs, end) for _ in range(jobs)]
        for one in workers:
            one.result()

    def _work(self, runs: int, end: float) -> None:
        while (left := end - time.monotonic()) > 1:
            open_ = [
                one
                for one in self.targets
                if self._owed(one, runs) > 0
                and one.name not in self.failures
                and len(self.progress[one.name].findings) < _ENOUGH
            ]
            if not open_:
                return
            target = min(open_, key=lambda one: self._turn(one, runs))
            self._slice(target, min(_SLICE, left), runs - self.progress[target.name].runs)

    def _turn(self, target: Target, runs: int) -> tuple[bool, float]:
        """Each begins; then those that are done first, so that many are when the time is over."""
        begun = self._running[target.name] + self.progress[target.name].runs > 0
        return begun, self._owed(target, runs)

    def _owed(self, target: Target, runs: int) -> float:
        """Seconds of one process that a target still needs, less those that are on their way."""
        done = self.progress[target.name]
        rate = done.runs / done.seconds if done.runs and done.seconds else _RATE
        return (runs - done.runs) / rate - _SLICE * self._running[target.name]

    def _slice(self, target: Target, seconds: float, runs: int | None = None) -> None:
        with self._lock:
            self._slices[target.name] += 1
            number = self._slices[target.name]
            self._running[target.name] += 1
        begun = time.monotonic()
        said = self._call(target, seconds, runs, number)
        spent = time.monotonic() - begun
        done = sum(map(int, _FINISHED.findall(said)))
        kept = _KEPT.findall(said)
        with self._lock:
            self._running[target.name] -= 1
            progress = self.progress[target.name]
            progress.runs += done
            progress.seconds += spent
            progress.coverage = max([progress.coverage, *map(int, _COVERAGE.findall(said))])
            progress.findings += kept
            self._save()
        self._notify(f"{target.name}: {done} inputs in {spent:.0f} s")
        if kept:
            self._notify(said[max(0, said.find("Uncaught Python exception")) :][:4000])
        elif not done:
            self.failures[target.name] = said[-4000:]

    def _call(self, target: Target, seconds: float, runs: int | None, number: int) -> str:
        place = self._place(target)
        command = [
            sys.executable, str(_WORKER), target.name,
            str(place / "corpus"), str(place / "seeds"),
            *([f"-dict={place / 'words'}"] if target.words else []),
            f"-artifact_prefix={place}/{number}-",
            # The same code meets the same inputs each time: CI finds nothing by luck.
            f"-seed={number}",
            f"-max_len={target.longest}", f"-max_total_time={max(1, round(seconds))}",
            f"-timeout={_TIMEOUT}", "-rss_limit_mb=0", "-print_final_stats=1", "-len_control=10",
            *([f"-runs={runs}"] if runs else []),
        ]  # fmt: skip
        path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
        environment = {
            **os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1",
            "TMPDIR": str(self._scratch),
        }  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env=environment
        )
        return done.stdout + done.stderr

    def _place(self, target: Target) -> Path:
        return self._folder / target.name

    def _prepare(self, target: Target) -> None:
        place = self._place(target)
        (place / "corpus").mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place / "seeds", ignore_errors=True)
        (place / "seeds").mkdir()
        inputs = [*target.seeds(), *(path.read_bytes() for path in target.kept())]
        for number, data in enumerate(inputs):
            (place / "seeds" / str(number)).write_bytes(data)
        words = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.words)
        (place / "words").write_text("".join(f'"{word}"\n' for word in words))

    def _save(self) -> None:
        temporary = self._folder / f"{_STATE}.new"
        temporary.write_bytes(msgspec.json.encode(self.progress))
        temporary.replace(self._folder / _STATE)


def table(progress: dict[str, Progress]) -> str:
    """What became of each target, a line each."""
    lines = [f"{'target':<12} {'inputs':>12} {'seconds':>8} {'coverage':>9} {'findings':>9}"]
    for name, one in progress.items():
        lines.append(
            f"{name:<12} {one.runs:>12,} {one.seconds:>8.0f} {one.coverage:>9} "
            f"{len(one.findings):>9}"
        )
    return "\n".join(lines)
