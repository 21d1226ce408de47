import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from edgekit_device.bench import measure as measuring
from edgekit_device.bench.measure import (
    Job,
    Measurement,
    Run,
    Timing,
    measure,
    percentile,
    run,
    summary,
)
from edgekit_device.bench.process import peak_bytes, timed

from edgekit import child
from edgekit.errors import RuntimeUnavailableError
from tests.tiny import tiny_model


def _run(*times: float, load: float = 1, resident: int = 0) -> Run:
    return Run(
        runtime="litert", version="2.1.0", load_ms=load, first_ms=1, times_ms=[*times],
        before=resident, after=resident, peak=resident,
    )  # fmt: skip


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the process that measures end as a test says."""

    def let(returncode: int, out: bytes = b"", error: bytes = b"") -> None:
        done = subprocess.CompletedProcess[bytes]([], returncode, out, error)
        monkeypatch.setattr(child, "run", lambda *_, **__: done)

    return let


JOB = Job(task="inference", model="/model.tflite")


def test_a_model_is_measured(tmp_path: Path) -> None:
    found = measure(tiny_model(tmp_path / "tiny.tflite"), "litert", 1, 0.01)
    assert found.problem is None
    assert (found.runtime, found.threads) == ("litert", 1)
    assert found.version.count(".") == 2
    assert found.p50_ms and found.p90_ms and found.p99_ms and found.minimum_ms is not None
    assert found.minimum_ms <= found.p50_ms <= found.p90_ms <= found.p99_ms
    assert found.before_mib and found.resident_mib and found.peak_mib
    assert found.before_mib < found.resident_mib <= found.peak_mib
    assert found.runs >= 3
    assert found.load_ms and found.load_ms > 0


def test_a_damaged_model_is_a_problem_and_no_figure(tmp_path: Path) -> None:
    model = tmp_path / "damaged.tflite"
    model.write_bytes(b"no model")
    found = measure(model, "litert", 1, 0.01)
    assert found.problem and "damaged.tflite" in found.problem
    assert found.p50_ms is None and found.runs == 0


def test_a_model_that_was_replaced_meanwhile_is_a_problem(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.tflite")
    with pytest.raises(RuntimeUnavailableError, match="was replaced while it was measured"):
        run(Job(task="preprocessing", model=str(model), sha256="0" * 64, seconds=0), Timing)


def test_a_model_for_an_edge_tpu_needs_its_delegate(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny_edgetpu.tflite", compiled=True)
    assert "compiled for an Edge TPU" in (measure(model, "litert", 1, 0.01).problem or "")


def test_a_crash_names_its_signal(ends: Callable[..., None]) -> None:
    ends(-signal.SIGSEGV)
    assert measure(Path("x"), "tflite", 4, 1) == Measurement(
        runtime="tflite", threads=4, problem="ended by SIGSEGV"
    )
    ends(-signal.SIGKILL)
    with pytest.raises(RuntimeUnavailableError, match="memory is short"):
        run(JOB, Run)


def test_a_process_that_says_nothing_is_a_problem(ends: Callable[..., None]) -> None:
    ends(0, b"\n")
    with pytest.raises(RuntimeUnavailableError, match="gave no answer"):
        run(JOB, Run)
    ends(1, b"", b"noise\nwhat is wrong\n")
    with pytest.raises(RuntimeUnavailableError, match=r"^what is wrong$"):
        run(JOB, Run)


def test_a_process_that_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", timeout)

    monkeypatch.setattr(child, "run", hang)
    with pytest.raises(RuntimeUnavailableError, match="did not end within 128 s"):
        run(JOB, Run)


def test_a_percentile_is_a_time_that_was_measured() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, one) for one in (50, 90, 99)] == [50, 90, 99]
    assert [percentile([1.0, 2.0, 3.0], one) for one in (50, 90, 99)] == [2, 3, 3]
    assert percentile([7.0], 50) == 7


def test_rounds_are_one_measurement() -> None:
    mib = 1 << 20
    rounds = [_run(3, 1, load=9, resident=mib), _run(2, load=1), _run(5, 4, load=5, resident=mib)]
    found = summary("litert", 2, rounds, [])
    assert (found.minimum_ms, found.p50_ms, found.p99_ms, found.runs) == (1, 3, 5, 5)
    assert (found.load_ms, found.resident_mib, found.problem) == (5, 1, None)


def test_a_round_that_failed_is_told_beside_the_figures_of_others() -> None:
    found = summary("litert", 2, [_run(3), _run(3)], ["ended by SIGSEGV"])
    assert (found.p50_ms, found.problem) == (3, "1 of 3 rounds: ended by SIGSEGV")


def test_the_warm_up_does_not_count() -> None:
    calls: list[None] = []
    assert len(timed(lambda: calls.append(None), 0)) == 3
    assert len(calls) == 5


def test_the_peak_is_that_of_the_process(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n")
    assert peak_bytes(status) == 2 << 20
    assert peak_bytes(tmp_path / "none") > os.sysconf("SC_PAGE_SIZE")
    assert measuring.MODULE == "edgekit_device.bench.process"
