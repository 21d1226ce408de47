"""A model file that is exchanged: every try comes to an end, and the next one is made."""

import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.daemon import hot_swap, models
from edgekit_device.daemon.hot_swap import ModelWatch
from edgekit_device.daemon.models import Loaded
from edgekit_device.trial_protocol import Report

from edgekit.errors import ModelFileError, SettingsError
from edgekit.files import FileStamp
from edgekit.model.decision import DecisionOverrides
from tests.device.fakes import FakeClassifier, Gate
from tests.tiny import tiny_model

Open = Callable[[Settings], Loaded]


class Bench:
    """A watch over m.tflite, and what it hands over."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = folder / "m.tflite"
        self.path.write_text("first")
        self._monkeypatch = monkeypatch
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.said: list[str] = []
        self.opened: list[str] = []
        self.used = Loaded(FakeClassifier(), FileStamp.of(self.path))  # type: ignore[arg-type]
        settings = Settings(model=self.path)
        self.watch = ModelWatch(settings, self._inbox.put, self._use, self.said.append)

    def _use(self, loaded: Loaded) -> None:
        self.used = loaded

    def opens(self, open_it: Callable[[], object]) -> None:
        """Let a model be opened so: it is good if that returns."""

        def open_model(settings: Settings) -> Loaded:
            stamp = FileStamp.of(self.path)
            self.opened.append(self.path.read_text())
            open_it()
            return Loaded(FakeClassifier(), stamp)  # type: ignore[arg-type]

        self._monkeypatch.setattr(hot_swap, "open_model", open_model)
        self._monkeypatch.setattr(hot_swap, "open_on_cpu", open_model)

    def replace(self, text: str) -> None:
        new = self.path.with_name("new")
        new.write_text(text)
        new.replace(self.path)

    def look(self) -> None:
        self.watch.look(self.used, probe=True)

    def settle(self) -> None:
        """Look until something was loaded, and take what comes of it."""
        deadline = time.monotonic() + 30
        while self._inbox.empty():
            assert time.monotonic() < deadline, "nothing was loaded"
            self.look()
            time.sleep(0.001)
        self.take()

    def take(self) -> None:
        self._inbox.get(timeout=30)()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(hot_swap, "LOOK_EVERY", 0.0)
    bench = Bench(tmp_path, monkeypatch)
    bench.opens(lambda: None)
    return bench


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelFileError("m crashes the runtime; convert it again"), "m crashes the runtime;"),
        (MemoryError(), "m.tflite cannot be loaded: unexpected MemoryError(); convert it again;"),
        (RecursionError("deep"), "unexpected RecursionError('deep'); convert it again; going on"),
        (ValueError("odd"), "unexpected ValueError('odd')"),
        (AssertionError(), "unexpected AssertionError()"),
    ],
)
def test_whatever_a_file_makes_go_wrong_the_next_one_is_tried(
    bench: Bench, error: Exception, said: str
) -> None:
    before = bench.used
    bench.opens(fails(error))
    bench.replace("hostile")
    bench.settle()
    assert bench.used is before
    assert bench.watch.problem is not None
    assert said in bench.watch.problem
    assert bench.watch.problem.endswith("; going on with the one before")
    bench.opens(lambda: None)
    bench.replace("good")
    bench.settle()
    assert (bench.opened, bench.watch.problem) == (["hostile", "good"], None)
    assert bench.used is not before


def test_what_was_refused_is_not_tried_again_and_again(bench: Bench) -> None:
    bench.opens(fails(ModelFileError("bad")))
    bench.replace("bad")
    bench.settle()
    for _ in range(5):
        bench.look()
    assert bench.opened == ["bad"]


def test_what_was_refused_is_tried_again_with_other_settings(bench: Bench) -> None:
    bench.opens(fails(SettingsError("decision.labels.cow: m.tflite has no such class")))
    bench.replace("new")
    bench.settle()
    assert "no such class" in str(bench.watch.problem)
    bench.opens(lambda: None)
    bench.watch.follow(Settings(model=bench.path, decision=DecisionOverrides(enter=0.7)))
    bench.settle()
    assert (bench.opened, bench.watch.problem) == (["new", "new"], None)


def test_other_decision_settings_alone_load_nothing(bench: Bench) -> None:
    bench.watch.follow(Settings(model=bench.path, decision=DecisionOverrides(enter=0.7)))
    for _ in range(3):
        bench.look()
    assert bench.opened == []


def test_one_that_is_being_loaded_is_tried_again_with_other_settings(bench: Bench) -> None:
    gate = Gate()
    bench.opens(gate)
    bench.replace("new")
    while not gate.reached.is_set():
        bench.look()
    bench.watch.follow(Settings(model=bench.path, decision=DecisionOverrides(enter=0.7)))
    gate.open()
    bench.take()
    bench.settle()
    assert bench.opened == ["new", "new"]


def test_a_file_that_comes_while_another_is_loaded_is_tried(bench: Bench) -> None:
    """Also where the one that is loaded is refused: they are not one and the same."""
    gate = Gate()

    def slow() -> None:
        gate()
        raise ModelFileError("bad")

    bench.opens(slow)
    bench.replace("bad")
    while not gate.reached.is_set():
        bench.look()
    bench.replace("good")
    bench.opens(lambda: None)
    gate.open()
    bench.take()
    bench.settle()
    assert bench.opened == ["bad", "good"]
    assert bench.watch.problem is None


def test_one_that_hangs_is_given_up_and_comes_too_late(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_swap, "LOAD_WITHIN", 0.0)
    before, gate = bench.used, Gate()
    bench.opens(gate)
    bench.replace("hangs")
    while bench.watch.problem is None:
        bench.look()
    assert "m.tflite was not loaded within 0 s" in bench.watch.problem
    gate.reached.wait(30)
    gate.open()
    bench.take()
    assert bench.used is before
    monkeypatch.setattr(hot_swap, "LOAD_WITHIN", 30.0)
    bench.opens(lambda: None)
    bench.replace("good")
    bench.settle()
    assert bench.used is not before


def test_that_no_thread_can_be_started_is_a_refusal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        bench.replace("new")
        for _ in range(3):
            bench.look()
    assert bench.watch.problem is not None
    assert "can't start new thread" in bench.watch.problem
    bench.replace("newer")
    bench.settle()
    assert bench.watch.problem is None


def test_one_that_goes_before_it_is_read_is_tried_when_it_is_back(bench: Bench) -> None:
    away = bench.path.with_name("away")

    def vanishes() -> None:
        bench.path.rename(away)
        raise ModelFileError("cannot read it")

    bench.opens(vanishes)
    bench.replace("new")
    bench.settle()
    bench.opens(lambda: None)
    away.rename(bench.path)
    bench.settle()
    assert bench.opened == ["new", "new"]
    assert bench.watch.problem is None


def test_one_that_was_refused_is_tried_again_when_it_comes_back(bench: Bench) -> None:
    bench.opens(fails(ModelFileError("bad")))
    bench.replace("bad")
    bench.settle()
    bench.path.rename(bench.path.with_name("away"))
    bench.look()
    assert "is gone" in str(bench.watch.problem)
    bench.opens(lambda: None)
    bench.path.with_name("away").rename(bench.path)
    bench.settle()
    assert bench.watch.problem is None


def test_a_pipe_in_its_place_is_refused_and_keeps_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_swap, "open_on_cpu", models.open_on_cpu)
    monkeypatch.setattr(hot_swap, "open_model", models.open_model)
    pipe = bench.path.with_name("pipe")
    os.mkfifo(pipe)
    pipe.replace(bench.path)
    bench.settle()
    assert "m.tflite: is not a regular file" in str(bench.watch.problem)


def test_two_hundred_models_leave_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_swap, "open_model", models.open_model)
    monkeypatch.setattr(models, "try_model", lambda *_, **__: Report())
    content = tiny_model(bench.path).read_bytes()
    threads, descriptors, memory = 0, 0, 0
    for number in range(220):
        new = bench.path.with_name("new")
        new.write_bytes(content + number.to_bytes(2, "big"))
        new.replace(bench.path)
        bench.settle()
        if number == 19:
            threads = threading.active_count()
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            memory = board.memory_bytes()
    assert bench.watch.problem is None
    assert threading.active_count() <= threads + 1  # one may be about to end
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert board.memory_bytes() - memory < 10 << 20
