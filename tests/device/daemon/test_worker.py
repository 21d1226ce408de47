"""The working thread by itself: what it answers, and how it recovers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_device.config.settings import RecoverySettings, Settings
from edgekit_device.daemon import models
from edgekit_device.daemon import worker as worker_module
from edgekit_device.daemon.drift import DriftWatch
from edgekit_device.daemon.models import Loaded
from edgekit_device.daemon.statistics import Statistics
from edgekit_device.daemon.telling import Snapshots, Teller
from edgekit_device.daemon.worker import Worker
from edgekit_device.retry import RetryPolicy

from edgekit.errors import (
    AcceleratorLostError,
    EdgekitError,
    ImageError,
    InferenceError,
    ModelFileError,
    RuntimeUnavailableError,
    SettingsError,
    SourceError,
    SourceLostError,
)
from edgekit.inference.drift import DriftMonitor
from edgekit.model.decision import DecisionOverrides
from edgekit.vision.view import ViewSettings
from tests.device.fakes import (
    Ending,
    FakeClassifier,
    FakeSource,
    Gate,
    HangingClassifier,
    KeptSink,
    Sources,
    loaded,
)
from tests.device.profiles import BRIGHT
from tests.device.sinks.samples import until

PLAIN = Settings(
    model=Path("m.tflite"),
    source="fake",
    decision=DecisionOverrides(smoothing=1, enter=0.6, leave=0.4, hold=0, heartbeat=0),
)
PLAIN_TOLD = (
    "decision: smoothing 1, enter 0.6, leave 0.4, hold 0, heartbeat 0 (from the configuration)"
)


class Bench:
    """A worker over scripted sources and models, run to its end."""

    def __init__(
        self,
        settings: Settings,
        *sources: FakeSource | Exception,
        paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self.statistics = Statistics()
        self.sink = KeptSink()
        self.messages: list[str] = []  # but for the settings that nearly all tests have
        self.sources = Sources(list(sources))
        self.ending = Ending()
        self.drift_messages: list[str] = []
        self.drift = DriftWatch(self.drift_messages.append)
        self.snapshots = Snapshots()
        self.teller = Teller(
            lambda: [self.sink], self.statistics, self.drift, self.snapshots, self.messages.append
        )
        self.worker = Worker(
            settings, self.statistics, self.drift, self.teller, self.sources, self.ending,
            lambda text: None if text == PLAIN_TOLD else self.messages.append(text),
            paused=paused,
        )  # fmt: skip

    def run(self) -> Exception | None:
        self.worker.start()
        failure = self.ending.wait()
        assert self.worker.join(30)
        return failure

    def labels(self) -> list[str]:
        return [event.label for event in self.sink.events]


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Script what `models.open_model` gives, one after the other, and the CPU model."""

    def script(*steps: Loaded | Exception, cpu: Loaded | None = None) -> None:
        remaining = list(steps)

        def open_model(_settings: Settings) -> Loaded:
            step = remaining.pop(0)
            if isinstance(step, Exception):
                raise step
            return step

        def open_on_cpu(_settings: Settings, because: str | None = None) -> Loaded:
            assert cpu is not None
            return msgspec_replace(cpu, degraded=because)

        monkeypatch.setattr(models, "open_model", open_model)
        monkeypatch.setattr(models, "open_on_cpu", open_on_cpu)

    script(loaded())
    yield script


def msgspec_replace(model: Loaded, **changes: Any) -> Loaded:
    return Loaded(**{**vars(model), **changes})


@pytest.fixture(autouse=True)
def _opens_by_default(opens: Callable[..., None]) -> None:
    """Every test gets a model that works."""


def test_every_frame_is_answered_and_changes_are_told() -> None:
    bench = Bench(PLAIN, FakeSource(0, 0, None, 2, 2, 0, dropped=3))
    assert bench.run() is None
    assert [result.label for result in bench.sink.results] == ["cat", "cat", "eel", "eel", "cat"]
    assert [(e.frame, e.label, e.previous) for e in bench.sink.events] == [
        (0, "cat", None), (2, "eel", "cat"), (4, "cat", "eel"),
    ]  # fmt: skip
    assert (bench.statistics.frames, bench.statistics.events) == (5, 3)
    assert bench.statistics.dropped == 3


def test_answers_are_counted_by_label() -> None:
    bench = Bench(PLAIN, FakeSource(0, 0, None, 2, 2, 0))
    assert bench.run() is None
    answers = bench.statistics.answers.snapshot()
    assert (answers.frames, answers.label) == (5, "cat")
    counts = {label: tuple(count) for label, count in answers.labels.items()}
    assert counts == {"unknown": (0, 0), "cat": (3, 2), "dog": (0, 0), "eel": (2, 1)}


def test_what_a_recording_has_to_say_at_its_end_is_told() -> None:
    source = FakeSource(0, lambda: setattr(source, "message", "left out 1 file: 1 .txt"))
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    assert bench.messages == ["recording: fake.avi left out 1 file: 1 .txt"]


def test_it_ends_after_max_frames() -> None:
    source = FakeSource(0, 1, 2)
    bench = Bench(msgspec.structs.replace(PLAIN, max_frames=2), source)
    assert bench.run() is None
    assert bench.statistics.frames == 2
    assert source.closed == 1


def test_stop_ends_it() -> None:
    source = FakeSource(0, lambda: bench.worker.stop(), 1)
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    assert bench.labels() == ["cat"]
    assert source.closed == 1


def test_a_wrong_source_shows_before_the_model_is_opened(opens: Callable[..., None]) -> None:
    opens()
    bench = Bench(PLAIN, SourceError("no source at x"))
    assert str(bench.run()) == "no source at x"


def test_a_bad_model_ends_it(opens: Callable[..., None]) -> None:
    opens(ModelFileError("damaged"))
    source = FakeSource(0)
    assert isinstance(Bench(PLAIN, source).run(), ModelFileError)
    assert source.closed == 1


def test_a_recording_that_breaks_is_not_tried_again() -> None:
    bench = Bench(PLAIN, FakeSource(0, SourceError("truncated")))
    assert str(bench.run()) == "truncated"


def test_a_camera_that_never_worked_is_not_tried_again() -> None:
    bench = Bench(PLAIN, FakeSource(SourceError("stalled"), live=True))
    assert str(bench.run()) == "stalled"


QUICK = RecoverySettings(camera=5, delegate=5)


def test_a_camera_that_breaks_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(
        msgspec.structs.replace(PLAIN, recovery=QUICK),
        FakeSource(0, SourceError("unplugged"), live=True, dropped=2, damaged=1),
        SourceError("still gone"),
        FakeSource(0, 1, live=True, dropped=5, damaged=3),
    )
    assert bench.run() is None
    # The decision outlives the camera: cat is no news.
    assert bench.labels() == ["cat", "dog"]
    assert bench.statistics.restarts == {"camera": 1}
    assert (bench.statistics.dropped, bench.statistics.damaged) == (7, 4)
    assert bench.worker.problems == {}
    assert [text.split(";")[0] for text in bench.messages] == [
        "camera: unplugged", "camera: still gone",
    ]  # fmt: skip


def test_what_a_camera_gives_otherwise_is_said_once() -> None:
    source = FakeSource(0, 1, live=True, name="camera")
    source.message = "gives 320x240, not 640x480"
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    assert bench.messages == ["camera: camera gives 320x240, not 640x480"]


def test_a_camera_that_stays_away_is_given_up_with_its_own_exit_code() -> None:
    settings = msgspec.structs.replace(PLAIN, recovery=RecoverySettings(camera=0))
    failure = Bench(settings, FakeSource(0, SourceError("unplugged"), live=True)).run()
    assert isinstance(failure, SourceLostError)
    assert failure.exit_code == 10
    assert "unplugged" in str(failure)


def test_stop_ends_the_wait_for_a_camera() -> None:
    settings = msgspec.structs.replace(PLAIN, recovery=RecoverySettings(camera=1000))
    script: list[FakeSource | Exception] = [SourceError("gone") for _ in range(20)]
    bench = Bench(settings, FakeSource(0, SourceError("gone"), live=True), *script)
    bench.worker.start()
    until(lambda: bench.messages)
    assert not bench.worker.join(0)
    bench.worker.stop()
    assert bench.ending.wait() is None


def on_delegate(settings: Settings = PLAIN, **changes: Any) -> Settings:
    return msgspec.structs.replace(settings, delegate="edgetpu", recovery=QUICK, **changes)


def test_a_delegate_that_fails_is_opened_again_and_no_frame_is_lost(
    opens: Callable[..., None],
) -> None:
    first = FakeClassifier(accelerator="edgetpu", failures=[])
    opens(
        loaded(first),
        RuntimeUnavailableError("no device"),
        loaded(FakeClassifier(accelerator="edgetpu")),
    )
    bench = Bench(
        on_delegate(), FakeSource(0, lambda: first.failures.append(InferenceError("usb")), 1, 2)
    )
    assert bench.run() is None
    assert [result.frame.number for result in bench.sink.results] == [0, 1, 2]
    assert bench.labels() == ["cat", "dog", "eel"]
    assert bench.statistics.restarts == {"accelerator": 1}
    # What failed must let go of the device before it can be opened again.
    assert first.closed


def test_a_delegate_that_stays_away_is_given_up_with_its_own_exit_code(
    opens: Callable[..., None],
) -> None:
    opens(RuntimeUnavailableError("no device"))
    settings = msgspec.structs.replace(on_delegate(), recovery=RecoverySettings(delegate=0))
    failure = Bench(settings, FakeSource(0)).run()
    assert isinstance(failure, AcceleratorLostError)
    assert failure.exit_code == 11
    assert "no device" in str(failure)


def test_the_cpu_takes_over_only_when_it_is_allowed_and_everything_says_so(
    opens: Callable[..., None],
) -> None:
    opens(RuntimeUnavailableError("no device"), cpu=loaded())
    settings = msgspec.structs.replace(
        on_delegate(allow_cpu_fallback=True), recovery=RecoverySettings(delegate=0)
    )
    bench = Bench(settings, FakeSource(0))
    assert bench.run() is None
    assert [event.state for event in bench.sink.events] == ["degraded"]
    assert "no device" in bench.worker.problems["accelerator"]


def test_a_failure_on_the_cpu_ends_it(opens: Callable[..., None]) -> None:
    opens(loaded(FakeClassifier(failures=[InferenceError("broken")])))
    failure = Bench(PLAIN, FakeSource(0)).run()
    assert isinstance(failure, InferenceError)


def test_another_model_takes_over_between_two_frames() -> None:
    other = loaded(FakeClassifier(("ant", "bee", "cow"), name="other.tflite"))
    bench = Bench(PLAIN, FakeSource(0, lambda: bench.worker.change_to(other), 0))
    assert bench.run() is None
    assert [(e.label, e.model) for e in bench.sink.events] == [
        ("cat", "m.tflite"), ("ant", "other.tflite"),
    ]  # fmt: skip


def test_a_model_with_the_same_labels_changes_nothing_of_the_decision() -> None:
    other = loaded(FakeClassifier(name="other.tflite"))
    bench = Bench(PLAIN, FakeSource(0, lambda: bench.worker.change_to(other), 0, 1))
    assert bench.run() is None
    assert bench.labels() == ["cat", "dog"]


def test_another_view_holds_from_the_next_frame_and_the_decision_begins_afresh() -> None:
    mirrored = msgspec.structs.replace(PLAIN, view=ViewSettings(mirror=True))
    source = FakeSource(0, 0, lambda: bench.worker.change_to(mirrored), 0, 1)
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    # As at the beginning, nothing is known to have changed.
    assert [(e.frame, e.label, e.previous) for e in bench.sink.events] == [
        (0, "cat", None), (2, "cat", None), (3, "dog", "cat"),
    ]  # fmt: skip
    assert [result.frame.view.mirror for result in bench.sink.results] == [
        False, False, True, True,
    ]  # fmt: skip
    # It was the same source all the time.
    assert (len(bench.sources.settings), source.closed) == (1, 1)


def test_a_source_that_is_taken_over_is_looked_at_by_the_settings_of_now() -> None:
    source = FakeSource(0)
    settings = msgspec.structs.replace(PLAIN, view=ViewSettings(mirror=True))
    bench = Bench(settings)
    bench.worker.source = source
    assert bench.run() is None
    assert bench.sink.results[0].frame.view == settings.view


def test_it_is_told_once_how_much_of_frames_the_model_sees() -> None:
    region = ViewSettings(region=(0, 0, 0.5, 1))
    first, second = msgspec.structs.replace(PLAIN, view=region), PLAIN
    source = FakeSource(0, lambda: bench.worker.change_to(first), 0, 0,
                        lambda: bench.worker.change_to(second), 0)  # fmt: skip
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    assert [line for line in bench.messages if line.startswith("view")] == [
        "view: the model looks at 1 x 1 of 2 x 2 pixels, from (0, 0) on; the model takes 2 x 2, so "
        "that they are enlarged: choose a larger region, or larger frames"
    ]


def test_masks_that_leave_the_model_nothing_are_a_problem() -> None:
    # Of what is left the model sees nothing: it looks at the first of two columns.
    blind = ViewSettings(region=(0, 0, 0.6, 1), masks=((0, 0, 0.55, 1),))
    source = FakeSource(0)
    source.view = blind
    bench = Bench(PLAIN, source)
    assert bench.run() is None
    assert bench.worker.problems == {"view": "masks hide all that the model looks at"}


def test_other_settings_hold_from_the_next_frame_on() -> None:
    told = msgspec.structs.replace(PLAIN, every_frame=True, top_k=1)
    bench = Bench(PLAIN, FakeSource(0, 0, lambda: bench.worker.change_to(told), 0, 0))
    assert bench.run() is None
    assert [(event.frame, len(event.labels)) for event in bench.sink.events] == [
        (0, 3), (2, 1), (3, 1),
    ]  # fmt: skip


def test_another_source_replaces_the_one_before() -> None:
    first = FakeSource(0, lambda: bench.worker.change_to(elsewhere), 0, name="first")
    elsewhere = msgspec.structs.replace(PLAIN, source="second")
    bench = Bench(PLAIN, first, FakeSource(1, name="second"))
    assert bench.run() is None
    assert [(event.source, event.label) for event in bench.sink.events] == [
        ("first", "cat"), ("second", "dog"),
    ]  # fmt: skip
    assert first.closed == 1


def test_a_source_that_does_not_open_leaves_the_one_before() -> None:
    elsewhere = msgspec.structs.replace(PLAIN, source="second")
    bench = Bench(
        PLAIN,
        FakeSource(0, lambda: bench.worker.change_to(elsewhere), 0, name="first"),
        SourceError("no source at second"),
        FakeSource(1, name="first"),
    )
    assert bench.run() is None
    assert bench.labels() == ["cat", "dog"]
    assert [settings.source for settings in bench.sources.settings] == ["fake", "second", "fake"]
    assert any("no source at second" in text for text in bench.messages)
    # Frames of the one before do not make the refusal undone.
    assert bench.worker.problems == {
        "source": "no source at second; going on with the source before"
    }


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (FakeSource(SourceError("truncated"), name="second"), "truncated"),
        (FakeSource(ImageError("no picture"), name="second"), "no picture"),
        (FakeSource(None, name="second"), "second has no frames"),
        (FakeSource(SourceError("stalled"), name="second", live=True), "stalled"),
        (SettingsError("cannot read the source-password"), "cannot read the source-password"),
    ],
)
def test_a_source_that_gives_no_frame_leaves_the_one_before(
    broken: FakeSource | Exception, reason: str
) -> None:
    elsewhere = msgspec.structs.replace(PLAIN, source="second", top_k=1)
    bench = Bench(
        PLAIN,
        FakeSource(0, lambda: bench.worker.change_to(elsewhere), 0, name="first", live=True),
        broken,
        FakeSource(1, SourceError("unplugged"), name="first", live=True),
        FakeSource(2, name="first", live=True),
    )
    assert bench.run() is None
    assert [(e.label, len(e.labels)) for e in bench.sink.events] == [
        ("cat", 3), ("dog", 1), ("eel", 1),
    ]  # fmt: skip
    # Opened again later, it is still the one that works.
    opened = [settings.source for settings in bench.sources.settings]
    assert opened == ["fake", "second", "fake", "fake"]
    assert bench.worker.problems == {"source": f"{reason}; going on with the source before"}


def test_settings_that_are_put_right_end_the_complaint() -> None:
    elsewhere = msgspec.structs.replace(PLAIN, source="second")
    bench = Bench(
        PLAIN,
        FakeSource(0, lambda: bench.worker.change_to(elsewhere), 0),
        SourceError("no source at second"),
        FakeSource(1, lambda: bench.worker.change_to(PLAIN), None, 1),
    )
    assert bench.run() is None
    assert bench.worker.problems == {}


def test_a_recording_that_breaks_after_its_first_frame_is_an_end() -> None:
    elsewhere = msgspec.structs.replace(PLAIN, source="second")
    bench = Bench(
        PLAIN,
        FakeSource(0, lambda: bench.worker.change_to(elsewhere), 0),
        FakeSource(1, SourceError("truncated"), name="second"),
    )
    assert str(bench.run()) == "truncated"


def test_other_settings_are_heard_while_a_camera_is_lost() -> None:
    settings = msgspec.structs.replace(PLAIN, recovery=RecoverySettings(camera=10_000))
    elsewhere = msgspec.structs.replace(settings, source="second")
    first = FakeSource(0, SourceError("gone"), live=True)
    bench = Bench(settings, first, FakeSource(1, name="second"))
    bench.worker._camera.failed = lambda: 9_000.0  # type: ignore[method-assign]
    bench.worker.start()
    until(lambda: bench.messages)
    bench.worker.change_to(elsewhere)
    assert bench.ending.wait() is None
    assert bench.labels() == ["cat", "dog"]
    assert bench.worker.problems == {}


def test_another_model_is_taken_while_a_camera_is_lost() -> None:
    other = loaded(FakeClassifier(("ant", "bee", "cow"), name="other.tflite"))
    first = FakeSource(0, SourceError("gone"), live=True)
    bench = Bench(PLAIN, first, FakeSource(1, live=True))
    delays = iter([0.5])

    def failed() -> float:
        bench.worker.change_to(other)
        return next(delays)

    bench.worker._camera.failed = failed  # type: ignore[method-assign]
    assert bench.run() is None
    assert bench.labels() == ["cat", "bee"]


def test_what_a_source_lost_is_counted_once_also_while_it_is_closed() -> None:
    """Whoever reads meanwhile sees no counter fall."""
    counts: list[tuple[int, int]] = []
    first = FakeSource(0, SourceError("gone"), live=True, dropped=7, damaged=2)
    bench = Bench(PLAIN, first, FakeSource(1, live=True))

    def close() -> None:
        counts.append(bench.worker.lost_frames())

    first.close = close  # type: ignore[method-assign]
    bench.run()
    assert [*counts, bench.worker.lost_frames()] == [(7, 2), (7, 2)]


class TestOrdersWhileADelegateIsLost:
    """It is not tried again for hours, unless something else is asked for."""

    @pytest.fixture(autouse=True)
    def _hours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker_module, "DELEGATE", RetryPolicy(9000, 9000))

    SETTINGS = msgspec.structs.replace(
        PLAIN, delegate="edgetpu", recovery=RecoverySettings(delegate=90_000)
    )

    def lost(self, opens: Callable[..., None], *then: Loaded, source: FakeSource) -> Bench:
        """A worker whose delegate failed on the second frame, and waits."""
        first = FakeClassifier(accelerator="edgetpu")
        opens(loaded(first), *then)
        fails = lambda: first.failures.append(InferenceError("usb"))  # noqa: E731
        source.script.insert(1, fails)
        bench = Bench(self.SETTINGS, source, FakeSource(2, name="second"))
        bench.worker.start()
        until(lambda: "accelerator" in bench.worker.problems)
        return bench

    def test_other_settings_are_tried_at_once(self, opens: Callable[..., None]) -> None:
        bench = self.lost(opens, loaded(), source=FakeSource(0, 1))
        bench.worker.change_to(msgspec.structs.replace(self.SETTINGS, delegate="none"))
        assert bench.ending.wait() is None
        assert bench.labels() == ["cat", "dog"]

    def test_a_model_that_was_opened_elsewhere_answers_the_same_frame(
        self, opens: Callable[..., None]
    ) -> None:
        bench = self.lost(opens, source=FakeSource(0, 1))
        bench.worker.change_to(loaded(FakeClassifier(("ant", "bee", "cow"))))
        assert bench.ending.wait() is None
        assert bench.labels() == ["cat", "bee"]

    def test_other_settings_alone_do_not_make_it_well(
        self, opens: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench, opening = self.lost(opens, source=FakeSource(0, 1)), Gate()

        def open_model(_settings: Settings) -> Loaded:
            opening()
            raise RuntimeUnavailableError("no device")

        monkeypatch.setattr(models, "open_model", open_model)
        bench.worker.change_to(msgspec.structs.replace(self.SETTINGS, top_k=1))
        assert opening.reached.wait(30)
        assert "usb" in bench.worker.problems["accelerator"]
        opening.open()
        until(lambda: "no device" in bench.worker.problems["accelerator"])
        bench.worker.stop()
        assert bench.ending.wait() is None

    def test_a_frame_of_a_source_that_was_exchanged_meanwhile_is_dropped_and_counted(
        self, opens: Callable[..., None]
    ) -> None:
        bench = self.lost(opens, loaded(), source=FakeSource(0, 1))
        elsewhere = msgspec.structs.replace(self.SETTINGS, source="second", delegate="none")
        bench.worker.change_to(elsewhere)
        assert bench.ending.wait() is None
        assert bench.labels() == ["cat", "eel"]
        assert bench.statistics.dropped == 1


def test_settings_whose_source_was_refused_are_told_with_those_that_hold() -> None:
    told: list[tuple[str | None, str | None, int]] = []
    bench = Bench(PLAIN, FakeSource(0, None, live=True), SourceError("none"), FakeSource(1))
    bench.worker._kept = lambda refused, kept: told.append(
        (refused.source, kept.source, kept.top_k)
    )
    bench.worker.change_to(msgspec.structs.replace(PLAIN, source="second", top_k=1))
    bench.run()
    assert told == [("second", "fake", 1)]


def test_an_abandoned_worker_says_nothing_more(opens: Callable[..., None]) -> None:
    gate = Gate()
    opens(loaded(HangingClassifier(gate)))
    source = FakeSource(0, 1)
    bench = Bench(PLAIN, source)
    bench.worker.start()
    assert gate.reached.wait(30)
    assert bench.worker.busy_since is not None
    assert bench.worker.abandon() is source
    gate.open()
    assert bench.worker.join(30)
    assert bench.sink.results == []
    assert source.closed == 0


def test_errors_of_the_program_itself_end_it_too(opens: Callable[..., None]) -> None:
    opens(loaded(FakeClassifier(failures=[ZeroDivisionError()])))
    failure = Bench(PLAIN, FakeSource(0)).run()
    assert isinstance(failure, ZeroDivisionError)
    assert not isinstance(failure, EdgekitError)


class TestDrift:
    """What the worker lets be watched; tests/device/daemon/test_drift.py has the rest."""

    def test_every_answer_is_seen_and_the_model_and_source_that_it_is_of(self) -> None:
        elsewhere = msgspec.structs.replace(PLAIN, source="second")
        other = loaded(FakeClassifier(("ant", "bee", "cow")))
        bench = Bench(
            PLAIN,
            FakeSource(0, lambda: bench.worker.change_to(other), 1,
                       lambda: bench.worker.change_to(elsewhere)),
            FakeSource(2, 2),
        )  # fmt: skip
        seen: list[Any] = []

        def follow(classifier: Any, settings: Settings) -> None:
            seen.append((classifier.labels[0], settings.source))

        bench.drift.follow = follow  # type: ignore[method-assign]
        bench.drift.update = lambda result: seen.append(result)  # type: ignore[method-assign]
        assert bench.run() is None
        # Each before its first answer.
        first, second, third = (
            bench.sink.results[:1],
            bench.sink.results[1:2],
            bench.sink.results[2:],
        )
        assert seen == [
            ("cat", "fake"), *first, ("ant", "fake"), *second, ("ant", "second"), *third,
        ]  # fmt: skip

    def test_sinks_have_an_answer_before_it_is_looked_at(self) -> None:
        bench = Bench(PLAIN, FakeSource(0, 1))
        told: list[int] = []
        bench.drift.update = lambda _: told.append(len(bench.labels()))  # type: ignore[method-assign]
        assert bench.run() is None
        assert told == [1, 2]

    def test_a_monitor_that_fails_costs_no_frame(
        self, opens: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("a mistake")

        monkeypatch.setattr(DriftMonitor, "update", fail)
        classifier = FakeClassifier()
        classifier.profile = BRIGHT  # type: ignore[assignment]
        opens(loaded(classifier))
        bench = Bench(PLAIN, FakeSource(0, 1, 2))
        assert bench.run() is None
        assert bench.labels() == ["cat", "dog", "eel"]
        assert bench.worker.problems == {}
        assert len(bench.drift_messages) == 1

    def test_of_a_frame_that_hung_nothing_is_seen(self, opens: Callable[..., None]) -> None:
        gate = Gate()
        opens(loaded(HangingClassifier(gate)))
        bench = Bench(PLAIN, FakeSource(0, live=True))
        seen: list[object] = []
        bench.drift.update = seen.append  # type: ignore[method-assign]
        bench.worker.start()
        assert gate.reached.wait(30)
        bench.worker.abandon()
        gate.open()
        assert bench.worker.join(30)
        assert seen == []


class TestPause:
    def test_the_source_is_closed_and_opened_again_afresh(self) -> None:
        paused = [False]
        first = FakeSource(1, 1, lambda: paused.__setitem__(0, True), live=True, name="camera")
        bench = Bench(PLAIN, first, FakeSource(1, 2), paused=lambda: paused[0])
        bench.worker.start()
        until(lambda: bench.worker.rested_at is not None)
        assert first.closed and bench.worker.source is None
        assert bench.labels() == ["dog"]
        paused[0] = False
        assert bench.ending.wait() is None
        # The same label is news again, and nothing came before it.
        assert [(e.label, e.previous) for e in bench.sink.events] == [
            ("dog", None), ("dog", None), ("eel", "dog"),
        ]  # fmt: skip

    def test_nothing_is_opened_while_it_starts_paused(self) -> None:
        paused = [True]
        bench = Bench(PLAIN, FakeSource(0), paused=lambda: paused[0])
        bench.worker.start()
        until(lambda: bench.worker.rested_at is not None)
        assert bench.worker.loaded is not None
        assert bench.sources.settings == []
        paused[0] = False
        assert bench.ending.wait() is None
        assert bench.labels() == ["cat"]

    def test_another_source_waits_for_its_end(self) -> None:
        paused = [True]
        bench = Bench(PLAIN, FakeSource(2, name="second"), paused=lambda: paused[0])
        bench.worker.start()
        until(lambda: bench.worker.rested_at is not None)
        bench.worker.change_to(msgspec.structs.replace(PLAIN, source="second"))
        rested = bench.worker.rested_at
        until(lambda: bench.worker.rested_at != rested)
        assert bench.sources.settings == []
        paused[0] = False
        assert bench.ending.wait() is None
        assert [settings.source for settings in bench.sources.settings] == ["second"]
        assert bench.labels() == ["eel"]

    def test_it_ends_where_it_is_to_stop(self) -> None:
        bench = Bench(PLAIN, paused=lambda: True)
        bench.worker.start()
        until(lambda: bench.worker.rested_at is not None)
        bench.worker.stop()
        assert bench.ending.wait() is None

    def test_a_lost_camera_is_no_problem_meanwhile(self) -> None:
        paused = [False]
        lost = FakeSource(0, SourceError("unplugged"), live=True, name="camera")
        bench = Bench(PLAIN, lost, FakeSource(1), paused=lambda: paused[0])
        bench.worker.start()
        until(lambda: "camera" in bench.worker.problems)
        paused[0] = True
        until(lambda: bench.worker.rested_at is not None)
        assert bench.worker.problems == {}
        paused[0] = False
        assert bench.ending.wait() is None
        assert bench.labels() == ["cat", "dog"]


class TestSnapshot:
    def test_the_next_frame_has_an_event(self) -> None:
        bench = Bench(PLAIN, FakeSource(0, 0, 0))
        place = bench.snapshots.ask()
        bench.sources.script[0] = FakeSource(0, 0, lambda: places.append(bench.snapshots.ask()), 0)
        places: list[Any] = []
        assert bench.run() is None
        assert [event.event for event in bench.sink.events] == ["change", "snapshot"]
        # A change has its picture anyway.
        assert [place.get(timeout=0), places[0].get(timeout=0)] == bench.sink.events
        assert bench.statistics.events == 2
