"""Control over HTTP: who may, what is answered, and what clips there are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgekit_device.config.settings import HttpSettings
from edgekit_device.control import ACTIONS, Outcome, RecordingNow
from edgekit_device.sinks.clip.folder import ClipFolder
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api.clips import clips
from edgekit_device.sinks.http.api.control import control

from edgekit.errors import ConfigurationError
from tests.device.sinks.controls import FakeController
from tests.device.sinks.player import Player
from tests.device.sinks.web import TOKEN, Answer, ask, served

BEARER = {"Authorization": f"Bearer {TOKEN}"}
NAME = "20261127T013107123Z.clip"


@pytest.fixture
def controller() -> FakeController:
    return FakeController()


@pytest.fixture
def on() -> bool:
    """Whether control is."""
    return True


@pytest.fixture
def sink(controller: FakeController, token_file: Path, tmp_path: Path, on: bool) -> Iterator[Http]:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / NAME).write_bytes(b"a clip")
    (folder / f"{NAME[:-8]}9Z.clip.part").write_bytes(b"cut off")
    (folder / "secret.txt").write_bytes(b"no clip")
    settings = HttpSettings(listen="127.0.0.1:0", token_file=token_file)
    parts = [control(controller, on), clips(ClipFolder(folder))]
    with served(Http(settings, "pi", Player().snapshot, parts=parts, needs_token=on)) as sink:
        yield sink


def post(sink: Http, name: str, body: str | None = None, **headers: str) -> Answer:
    json = {"Content-Type": "application/json"}
    return ask(sink, f"/api/control/{name}", "POST", body, **(json | BEARER | headers))


def test_what_is_asked_for_is_done(sink: Http, controller: FakeController) -> None:
    answer = post(sink, "record", '{"seconds": 5}')
    assert (answer.status, answer.json) == (200, {"done": True, "message": "it was done"})
    for name in ("pause", "resume"):
        assert post(sink, name).status == 200
    asked_by = "127.0.0.1 over HTTP"
    assert controller.asked == [
        ("record", {"seconds": 5}, asked_by), ("pause", {}, asked_by), ("resume", {}, asked_by),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(False, "it is paused"), 409),
        (Outcome(False, "not so", "wrong"), 422),
        (Outcome(False, "too often", "often"), 429),
    ],
)
def test_what_is_not_done_says_why(
    sink: Http, controller: FakeController, outcome: Outcome, status: int
) -> None:
    controller.outcome = outcome
    answer = post(sink, "snapshot")
    assert (answer.status, answer.json["message"]) == (status, outcome.message)


@pytest.mark.parametrize("body", ['{"seconds": 0}', '{"second": 1}', "[1]", "{", '"pause"'])
def test_what_is_wrong_is_told_to_the_journal_too(
    sink: Http, controller: FakeController, body: str
) -> None:
    assert post(sink, "record", body).status == 422
    assert [(name, why) for name, why, _ in controller.refused] == [("record", "wrong")]
    assert controller.asked == []


def test_it_needs_the_token_on_this_machine_too(sink: Http, controller: FakeController) -> None:
    assert post(sink, "pause", Authorization="Bearer wrong").status == 401
    assert post(sink, "pause", Authorization="").status == 401
    assert ask(sink, "/api/control").status == 401
    assert controller.asked == []


@pytest.mark.parametrize("on", [False])
def test_it_is_off_by_default(sink: Http, controller: FakeController) -> None:
    answer = post(sink, "pause")
    assert answer.status == 403
    assert answer.json["message"] == "control is off: set `http = true` in [control]"
    assert controller.refused and not controller.asked
    assert ask(sink, "/api/control", **BEARER).json["http"] is False


def test_without_a_token_it_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match=r"control\.http is set.*http\.token-file"):
        Http(HttpSettings(listen="127.0.0.1:0"), "pi", Player().snapshot, needs_token=True)


def test_another_site_may_not(sink: Http, controller: FakeController) -> None:
    assert post(sink, "pause", **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert post(sink, "pause", "a=b", **{"Content-Type": "text/plain"}).status == 415
    assert controller.asked == []


def test_what_can_be_asked_for(sink: Http, controller: FakeController) -> None:
    controller.recording = RecordingNow(NAME, "2026-11-27T01:32:07Z", 0.25)
    answer: dict[str, Any] = ask(sink, "/api/control", **BEARER).json
    assert [action["name"] for action in answer["actions"]] == list(ACTIONS)
    assert answer["actions"][-1]["why_not"] == "there is none before this one"
    assert [action["available"] for action in answer["actions"]] == 6 * [True] + [False]
    assert answer["recording"]["done"] == 0.25
    assert (answer["http"], answer["paused"], answer["models"]) == (True, False, [])


def test_clips_are_listed_and_fetched(sink: Http) -> None:
    answer = ask(sink, "/api/clips", **BEARER)
    assert answer.json == {
        "clips": [{"name": NAME, "bytes": 6, "recorded": "2026-11-27T01:31:07.123Z"}]
    }
    assert ask(sink, f"/api/clips/{NAME}", **BEARER).body == b"a clip"
    assert ask(sink, f"/api/clips/{NAME}").status == 401


@pytest.mark.parametrize(
    "name", ["secret.txt", "..%2Fclips%2Fsecret.txt", f"{NAME}.part", f"{NAME}%0A", "%00", "x.clip"]
)
def test_nothing_else_is_fetched(sink: Http, name: str) -> None:
    assert ask(sink, f"/api/clips/{name}", **BEARER).status == 404
