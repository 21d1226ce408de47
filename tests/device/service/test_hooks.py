"""What the unit runs around a start: pauses between failures, and upgrades that were cut short."""

from types import SimpleNamespace

import pytest
from edgekit_device.retry import SERVICE_RESTART
from edgekit_device.service import hooks, recent
from edgekit_device.service.durable import locked
from edgekit_device.service.store import TRIES
from hypothesis import given
from hypothesis import strategies as st

from tests.device.service.conftest import Device, Model, sha


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that would have been made."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append)
    monkeypatch.setattr(hooks, "time", clock)
    return slept


def _before_start(device: Device) -> None:
    hooks.before_start(device.layout, device.said.append)


def test_pauses_grow_to_a_bound(running: Device, slept: list[float]) -> None:
    for restarts in range(1, 10):
        running.set(restarts=restarts)
        _before_start(running)
    assert slept == [4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0, 120.0]
    assert "1 other restarts within the hour: waiting for 4 s" in running.said


def test_a_start_by_hand_waits_for_nothing(running: Device, slept: list[float]) -> None:
    running.set(restarts=1)
    for _ in range(3):
        _before_start(running)
    running.set(restarts=0)
    _before_start(running)
    running.set(restarts=1)
    _before_start(running)
    assert slept == [4.0, 8.0]


def test_failures_are_forgotten_after_an_hour(
    running: Device, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    running.set(restarts=5)
    now = 1000.0
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=lambda: now))
    for _ in range(3):
        _before_start(running)
    now += recent.MEMORY
    _before_start(running)
    assert slept == [4.0, 8.0]


def test_a_note_that_makes_no_sense_is_forgotten(running: Device, slept: list[float]) -> None:
    running.layout.starts.parent.mkdir(exist_ok=True)
    running.layout.starts.write_text("yesterday\n")
    running.set(restarts=5)
    _before_start(running)
    assert slept == []


@given(st.integers(0, 10**6))
def test_a_pause_fits_into_the_time_that_a_start_has(earlier: int) -> None:
    delay = SERVICE_RESTART.delay
    assert 0.0 <= delay(earlier) <= delay(earlier + 1) <= SERVICE_RESTART.maximum < 180


def test_a_model_that_crashes_after_a_power_cut_is_given_up(running: Device, model: Model) -> None:
    store = running.store
    store.begin(store.add(model("new").read_bytes()))
    for restarts in range(TRIES):
        running.set(restarts=restarts)
        _before_start(running)
        assert store.current == sha(model("new"))
    _before_start(running)
    assert store.current == sha(model("old"))
    assert store.pending is None
    assert any("back to the one before" in line for line in running.said)


def test_a_model_that_answers_after_a_power_cut_is_confirmed(running: Device, model: Model) -> None:
    new = running.store.add(model("new").read_bytes())
    running.store.begin(new)
    running.set(loaded=new)
    hooks.after_start(running.layout, running.said.append)
    assert (running.store.current, running.store.pending) == (new, None)
    assert "proved itself" in running.said[-1]


def test_a_model_that_stalls_after_a_power_cut_is_taken_back(running: Device, model: Model) -> None:
    new = running.store.add(model("new").read_bytes())
    running.store.begin(new)
    running.set(loaded=new, state="stalled")
    hooks.after_start(running.layout, running.said.append)
    assert running.store.current == sha(model("old"))
    assert "rolled back: the service stalled with it" in running.said[-1]


def test_a_living_upgrade_judges_by_itself(
    running: Device, model: Model, slept: list[float]
) -> None:
    running.store.begin(running.store.add(model("new").read_bytes()))
    pending = running.store.pending
    running.set(restarts=9)
    with locked(running.layout.lock):
        for _ in range(TRIES + 1):
            _before_start(running)
        hooks.after_start(running.layout, running.said.append)
    assert running.store.pending == pending
    assert slept == []
    assert set(running.said) == {"network: this machine"}
