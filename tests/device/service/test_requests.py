"""What the daemon asks root for is read with suspicion, and done with the care of an upgrade."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgekit_device.installed import ANSWER_FILE, REQUEST_FILE, REQUEST_LIMIT
from edgekit_device.service import hooks, recent, requests, upgrade
from edgekit_device.service.durable import locked

from tests.device.service.conftest import QUICK, Device, Model, sha

ID = "0123456789abcdef" * 2
STOPPED = "stop --no-block edgekit-control.path"
MQTT = "control = {mqtt = true}\nmqtt = {host = '::1', user = 'u'}\n"
HTTP = "control = {http = true}\nhttp = {listen = '127.0.0.1:80'}\n"
WATCHED = "start --no-block edgekit-control.path"


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds for which requests would have been held."""
    held: list[float] = []
    monkeypatch.setattr(requests, "time", SimpleNamespace(sleep=held.append))
    return held


@pytest.fixture
def asked(running: Device, model: Model, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device whose clients may ask for models: `old` runs, `night` is installed."""
    monkeypatch.setattr(upgrade, "approve", lambda model, settings, root: None)
    running.layout.config.write_text(f"{QUICK}{MQTT}")
    store = running.store
    store.name(store.add(model("night").read_bytes()), "night")
    running.layout.runtime.mkdir(parents=True)
    return running


def _request(**fields: Any) -> bytes:
    whole = {"id": ID, "kind": "model", "sha256": "0" * 64, "asked_by": "192.0.2.7 over HTTP"}
    return json.dumps(whole | fields).encode()


def _apply(device: Device, content: bytes | None = None) -> dict[str, str] | None:
    """Let root find a request; its answer, if there is one."""
    path = device.layout.runtime / REQUEST_FILE
    answer = device.layout.answers / ANSWER_FILE
    if content is not None:
        path.write_bytes(content)
    requests.apply_request(device.layout, device.said.append)
    assert not path.is_symlink()
    told: dict[str, str] | None = json.loads(answer.read_text()) if answer.exists() else None
    return told


def test_an_installed_model_is_changed_to(asked: Device, model: Model, held: list[float]) -> None:
    night = sha(model("night"))
    told = _apply(asked, _request(sha256=night))
    assert told == {
        "id": ID, "state": "done",
        "message": f"model {night[:12]} answers; the one before is kept: {sha(model('old'))[:12]}",
    }  # fmt: skip
    assert asked.state["loaded"] == asked.store.current == night
    assert asked.said[0] == f"192.0.2.7 over HTTP wants model {night[:12]}, says the daemon"
    assert (asked.layout.answers / ANSWER_FILE).stat().st_mode & 0o777 == 0o644
    assert held == [requests.HOLD]


def test_the_model_before_is_brought_back(asked: Device, model: Model) -> None:
    _apply(asked, _request(sha256=sha(model("night"))))
    told = _apply(asked, _request(kind="rollback", sha256=None))
    assert told is not None
    assert told["state"] == "done"
    assert asked.store.current == sha(model("old"))


def test_a_model_that_fails_is_taken_back_and_the_answer_says_why(
    asked: Device, model: Model
) -> None:
    asked.behaves(model("night"), "stalls")
    told = _apply(asked, _request(sha256=sha(model("night"))))
    assert told is not None
    assert told["state"] == "failed"
    assert "was rolled back: the service stalled with it" in told["message"]
    assert asked.state["loaded"] == sha(model("old"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no model 0000"),
        ({"kind": "rollback", "sha256": None}, "no other model ran before"),
        ({"kind": "rollback"}, "it does not say which model"),
        ({"sha256": None}, "it does not say which model"),
    ],
)
def test_what_is_not_possible_is_answered(
    asked: Device, model: Model, fields: dict[str, Any], reason: str
) -> None:
    told = _apply(asked, _request(**fields))
    assert told is not None
    assert (told["id"], told["state"]) == (ID, "failed")
    assert reason in told["message"]
    assert asked.store.current == sha(model("old"))


def test_a_model_that_lies_there_but_is_not_installed_is_refused(
    asked: Device, model: Model
) -> None:
    # As an upgrade that was cut short leaves one.
    left = asked.store.add(model("left").read_bytes())
    told = _apply(asked, _request(sha256=left))
    assert told is not None
    assert f"no model {left} is installed" in told["message"]


@pytest.mark.parametrize("text", ["", "control = {http = false}\n", "no TOML ["])
def test_nothing_is_done_where_control_is_off(asked: Device, model: Model, text: str) -> None:
    asked.layout.config.write_text(f"{QUICK}{text}")
    told = _apply(asked, _request(sha256=sha(model("night"))))
    assert told is not None
    assert told["state"] == "failed"
    assert asked.store.current == sha(model("old"))


HOSTILE = {
    "nothing": b"",
    "no JSON": b"night",
    "no UTF-8": b'{"id": "\xff"}',
    "deep": b"[" * (REQUEST_LIMIT - 1),
    "huge": b" " * REQUEST_LIMIT + _request(),
    "a list": b"[" + _request() + b"]",
    "a path for a hash": _request(sha256="../../../root/model"),
    "a name for a hash": _request(sha256="night"),
    "a hash with a line behind": _request(sha256="0" * 64 + "\n"),
    "a path for an id": _request(id="../../etc/passwd"),
    "another kind": _request(kind="exec"),
    "more than there is": _request(command="reboot"),
    "long words": _request(asked_by="x" * 201),
    "a number": _request(asked_by=7),
    "no asker": json.dumps({"id": ID, "kind": "rollback", "sha256": None}).encode(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_request_is_dropped(
    asked: Device, model: Model, what: str, held: list[float]
) -> None:
    assert _apply(asked, HOSTILE[what]) is None
    assert asked.said == ["a request of the daemon cannot be understood, and is dropped"]
    assert asked.store.current == sha(model("old"))
    assert not (asked.layout.runtime / REQUEST_FILE).exists()
    assert held == [requests.HOLD]


def test_a_link_leads_nowhere(asked: Device, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(_request())
    (asked.layout.runtime / REQUEST_FILE).symlink_to(secret)
    assert _apply(asked) is None
    assert secret.exists()


def test_a_pipe_keeps_nobody(asked: Device) -> None:
    os.mkfifo(asked.layout.runtime / REQUEST_FILE)
    assert _apply(asked) is None
    assert not (asked.layout.runtime / REQUEST_FILE).exists()


def test_what_cannot_be_removed_ends_the_wait_for_requests(asked: Device) -> None:
    (asked.layout.runtime / REQUEST_FILE).mkdir()
    assert _apply(asked) is None
    assert asked.calls == [STOPPED]
    assert "requests are ignored until a restart" in asked.said[-1]


def test_no_request_is_no_trouble(asked: Device) -> None:
    assert _apply(asked) is None
    assert asked.said == []


def test_words_of_who_asked_steer_no_terminal(asked: Device) -> None:
    _apply(asked, _request(asked_by="\x1b[2J\nroot wants to reboot"))
    assert all(line.isprintable() for line in asked.said)


def test_a_flood_changes_the_model_a_few_times_an_hour(
    asked: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5000.0
    monkeypatch.setattr(recent, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(requests, "roll_back", lambda layout, tell: tell("done"))
    for _ in range(requests.MOST):
        told = _apply(asked, _request(kind="rollback", sha256=None))
        assert told is not None
        assert told["state"] == "done"
    told = _apply(asked, _request(kind="rollback", sha256=None))
    assert told is not None
    assert f"was changed {requests.MOST} times within the hour" in told["message"]
    now += recent.MEMORY
    assert (_apply(asked, _request(kind="rollback", sha256=None)) or {})["state"] == "done"


def test_a_change_that_is_at_work_is_not_disturbed(asked: Device, model: Model) -> None:
    with locked(asked.layout.lock):
        told = _apply(asked, _request(sha256=sha(model("night"))))
    assert told is not None
    assert "another change of the models is at work" in told["message"]


def test_one_that_is_interrupted_says_so(
    asked: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(requests, "use", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _apply(asked, _request(sha256=sha(model("night"))))
    told = json.loads((asked.layout.answers / ANSWER_FILE).read_text())
    assert told["state"] == "failed"


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (MQTT, WATCHED),
        (HTTP, WATCHED),
        ("", STOPPED),
        ("no TOML [", STOPPED),
    ],
)
def test_requests_are_waited_for_where_control_is_on(running: Device, text: str, call: str) -> None:
    running.layout.config.write_text(f"{QUICK}{text}")
    for work in (hooks.before_start, hooks.before_reload):
        work(running.layout, running.said.append)
        assert running.calls[-1] == call


def test_a_missing_unit_is_told_where_it_is_needed(
    running: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SYSTEMD_REFUSES", "start")
    running.layout.config.write_text(f"{QUICK}{HTTP}")
    hooks.before_reload(running.layout, running.said.append)
    assert "edgekit-control.path does not start; repeat" in running.said[-1]
