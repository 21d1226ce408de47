"""`/api/attention` and the pictures of the last changes in memory, over real connections."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from edgekit_device.config.settings import HistorySettings, HttpSettings, Settings
from edgekit_device.daemon.models import open_again
from edgekit_device.pictures import EventPicture
from edgekit_device.sinks.base import Host
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api import attention as api
from edgekit_device.sinks.http.api.attention import AttentionPart
from edgekit_device.sinks.http.api.events import events_of

from edgekit.errors import InferenceError, ModelFileError, RuntimeUnavailableError
from edgekit.inference.classifier import Classifier
from edgekit.inference.pipeline import AnyClassifier, Result
from tests.device.sinks.player import HEALTH, Player, make_change, make_result
from tests.device.sinks.samples import until
from tests.device.sinks.web import Answer, ask, served
from tests.tiny import own_model, tiny_model


@dataclass
class Opens:
    """Opens a model as the daemon does; `before` is called first."""

    settings: Settings
    before: Callable[[], object] = lambda: None
    opened: list[Classifier] = field(default_factory=list)

    def open_again(self, model: AnyClassifier) -> Classifier:
        self.before()
        self.opened.append(open_again(self.settings, model))
        return self.opened[-1]


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return Classifier(own_model(tmp_path / "m.tflite"))


@pytest.fixture
def opens(tmp_path: Path) -> Opens:
    return Opens(Settings(model=tmp_path / "m.tflite"))


def _result(classifier: AnyClassifier) -> Result:
    """A frame 16 x 24 that is red at the upper left of what the model sees, and grey elsewhere."""
    pixels = np.full((16, 24, 3), 90, np.uint8)
    pixels[:8, 4:12, 0] = 255
    result = make_result(pixels=pixels)
    return Result(
        result.frame, result.tensor, result.scores, result.verdict, result.label, 1.0, classifier,
        result.decision,
    )  # fmt: skip


@contextmanager
def _serving(opens: Opens | None) -> Iterator[Http]:
    part = AttentionPart(Host(lambda: HEALTH, models=opens))
    sink = Http(HttpSettings(listen="127.0.0.1:0"), "pi", Player().snapshot, parts=(part,))
    with served(sink):
        yield sink


def _post(sink: Http) -> Answer:
    return ask(sink, "/api/attention", "POST", **{"Content-Type": "application/json"})


def _ended(sink: Http) -> Any:
    until(lambda: ask(sink, "/api/attention").json["state"] != "working")
    return ask(sink, "/api/attention").json


def test_a_map_says_where_the_model_looks(classifier: Classifier, opens: Opens) -> None:
    with _serving(opens) as sink:
        assert ask(sink, "/api/attention").json == {"state": "none", "done": 0.0}
        assert ask(sink, "/api/attention.jpg").status == 404
        assert _post(sink).status == 503
        sink.frame(_result(classifier))
        assert (begun := _post(sink)).status == 202
        assert begun.json["state"] in ("working", "done")
        found = _ended(sink)
        picture = ask(sink, "/api/attention.jpg")
    assert (found["state"], found["done"], found["label"], found["index"]) == (
        "done",
        1.0,
        "red",
        0,
    )
    assert (found["rows"], found["columns"]) == (8, 8)
    assert found["sees"] == pytest.approx([1 / 6, 0, 2 / 3, 1])
    drops = np.array(found["drops"])
    assert drops.shape == (8, 8)
    # Where it is red, and not where it is grey.
    assert drops[1:3, 1:3].min() > 2 * np.abs(drops[6:, 6:]).max()
    assert picture.body.startswith(b"\xff\xd8") and picture.headers["Content-Type"] == "image/jpeg"
    with pytest.raises(InferenceError, match="closed"):
        opens.opened[0].warm_up()


def test_one_that_may_have_slowed_the_daemon_says_so(
    classifier: Classifier, opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.setpriority", refuse)
    with _serving(opens) as sink:
        sink.frame(_result(classifier))
        _post(sink)
        found = _ended(sink)
    assert found["state"] == "done"
    assert found["message"].endswith("may have slowed it: Operation not permitted")


def test_one_is_made_at_a_time_and_ends_with_the_server(
    classifier: Classifier, opens: Opens
) -> None:
    gate = threading.Event()
    opens.before = lambda: gate.wait(60)
    with _serving(opens) as sink:
        sink.frame(_result(classifier))
        assert [_post(sink).status for _ in range(2)] == [202, 409]
        thread = next(one for one in threading.enumerate() if one.name == "attention")
    gate.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_model_that_was_replaced_meanwhile_is_not_looked_at(
    classifier: Classifier, opens: Opens, tmp_path: Path
) -> None:
    own_model(tmp_path / "m.tflite", labels=("a", "b", "c"))
    with _serving(opens) as sink:
        sink.frame(_result(classifier))
        _post(sink)
        ended = _ended(sink)
        assert (ended["state"], "has been replaced" in ended["message"]) == ("failed", True)
        # Nothing is left of it that would keep the next from being made.
        assert _post(sink).status == 202


@pytest.mark.parametrize("beside", [True, False])
def test_of_a_model_on_an_accelerator_the_one_for_the_cpu_is_looked_at(
    classifier: Classifier, tmp_path: Path, opens: Opens, beside: bool
) -> None:
    compiled = tiny_model(tmp_path / "x_edgetpu.tflite", compiled=True)
    classifier.path, classifier.accelerator, classifier.sha256 = compiled, "edgetpu", "0" * 64
    if beside:
        own_model(tmp_path / "x.tflite")
        found = open_again(opens.settings, classifier)
        assert (found.path.name, found.accelerator) == ("x.tflite", "cpu")
        found.close()
    else:
        with pytest.raises((RuntimeUnavailableError, ModelFileError), match="Edge TPU"):
            open_again(opens.settings, classifier)


def test_what_fails_is_told_and_ends_nothing(classifier: Classifier, opens: Opens) -> None:
    def fail() -> None:
        raise MemoryError

    opens.before = fail
    with _serving(opens) as sink:
        sink.frame(_result(classifier))
        _post(sink)
        assert "MemoryError" in _ended(sink)["message"]


@pytest.mark.parametrize(("seconds", "side"), [(0.001, 8), (0.4, 6), (1.0, 4)])
def test_a_slow_board_makes_a_coarse_map(seconds: float, side: int) -> None:
    assert api.grid(seconds) == side


def test_one_that_is_too_slow_makes_none() -> None:
    with pytest.raises(InferenceError, match=r"2\.5 s here: too long for the 17"):
        api.grid(2.5)


class TestPicturesInMemory:
    @pytest.fixture
    def sink(self) -> Iterator[Http]:
        part = events_of(HistorySettings())
        sink = Http(HttpSettings(listen="127.0.0.1:0"), "pi", Player().snapshot, parts=(part,))
        with served(sink):
            yield sink

    def _change(self, sink: Http, number: int, size: Any) -> bytes | None:
        picture = EventPicture(make_result(number), size)
        change = msgspec.structs.replace(
            make_change(number), id=f"20260101T00000000{number}Z-0", picture=size != "off"
        )
        sink.event(change, picture)
        return picture.published

    def test_the_last_changes_have_theirs(self, sink: Http) -> None:
        jpegs = [self._change(sink, number, "full") for number in range(2)]
        events = ask(sink, "/api/events").json["events"]
        assert [event["picture"] for event in events] == [True, True]
        assert all(len(event["view"]) == 4 for event in events)
        for event, jpeg in zip(events, jpegs[::-1], strict=True):
            assert ask(sink, f"/api/events/{event['id']}.jpg").body == jpeg
        # It is held as it goes out, with the marks.
        assert ask(sink, f"/api/events/{events[0]['id']}.jpg?plain").status == 404

    def test_where_pictures_are_off_nobody_can_look_back(self, sink: Http) -> None:
        self._change(sink, 1, "off")
        (event,) = ask(sink, "/api/events").json["events"]
        assert "picture" not in event
        answer = ask(sink, f"/api/events/{event['id']}.jpg")
        assert answer.status == 404 and "pictures.size" in answer.text
