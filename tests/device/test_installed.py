"""The models that a daemon may choose among, and how it asks for one."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from edgekit_device import installed
from edgekit_device.folders import data_folder
from edgekit_device.installed import installed_models, list_models, request_change
from edgekit_device.service.store import Store

Root = Callable[[dict[str, str]], dict[str, str] | None]


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime folder of a service, whose models and answers lie beside it."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    monkeypatch.setattr(installed, "ANSWERS_FOLDER", tmp_path / "answers")
    monkeypatch.setattr(installed, "MODELS_FOLDER", tmp_path / "models")
    return folder


@pytest.fixture
def root(runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Root]:
    """What root does at each moment that the daemon waits, first to last; a second passes each."""
    steps: list[Root] = []
    now = 0.0

    def sleep(_seconds: float) -> None:
        nonlocal now
        now += 1.0
        path = runtime / installed.REQUEST_FILE
        request = json.loads(path.read_bytes()) if path.exists() else {}
        answer = steps.pop(0)(request) if steps else None
        if answer is not None:
            path.unlink(missing_ok=True)
            (tmp_path / "answers").mkdir(exist_ok=True)
            (tmp_path / "answers" / installed.ANSWER_FILE).write_text(json.dumps(answer))

    monkeypatch.setattr(installed, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: now))
    return steps


def test_models_with_a_name_come_first_and_then_what_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    day, night, other = (store.add(content) for content in (b"day", b"night", b"other"))
    store.name(night, "night")
    store.use(other)
    store.use(store.add(b"day"))
    assert [(one.name, one.current, one.previous) for one in list_models(tmp_path)] == [
        ("night", False, False), (day[:12], True, False), (other[:12], False, True),
    ]  # fmt: skip
    store.name(day, "day")
    assert [one.name for one in list_models(tmp_path)] == ["day", "night", other[:12]]
    assert all(one.added.endswith("Z") for one in list_models(tmp_path))


def test_what_is_no_model_is_not_listed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.name(store.add(b"day"), "day")
    names = tmp_path / "names"
    (names / "gone").symlink_to(f"../models/{'0' * 64}.tflite")
    (names / "elsewhere").symlink_to("/etc/passwd")
    (names / ".day.new").symlink_to("x")
    (names / "file").write_text("")
    (names / "folder").mkdir()
    assert [one.name for one in list_models(tmp_path)] == ["day"]


def test_there_are_none_outside_the_service(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "models")
    store.use(store.add(b"day"))
    assert [one.current for one in installed_models()] == [True]
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    assert installed_models() == []
    told = request_change("rollback", None, "MQTT")
    assert not told.done
    assert "only the service keeps several models" in told.message


def test_root_does_what_it_is_asked_for(root: list[Root]) -> None:
    seen: list[dict[str, str]] = []

    def take(request: dict[str, str]) -> dict[str, str]:
        seen.append(request)
        return {"id": request["id"], "state": "working"}

    def end(_request: dict[str, str]) -> dict[str, str]:
        return {"id": seen[0]["id"], "state": "done", "message": "model 1234 answers"}

    root += [lambda _: None, take, lambda _: None, end]
    told = request_change("model", "a" * 64, "192.0.2.7 over HTTP")
    assert (told.done, told.message) == (True, "model 1234 answers")
    (request,) = seen
    assert request == {"id": request["id"], "kind": "model", "sha256": "a" * 64,
                       "asked_by": "192.0.2.7 over HTTP"}  # fmt: skip


def test_a_failure_says_why(root: list[Root]) -> None:
    root.append(lambda request: {"id": request["id"], "state": "failed", "message": "no\x1bgood"})
    told = request_change("rollback", None, "MQTT")
    assert not told.done
    assert told.message == "no good"


@pytest.mark.parametrize("answer", ["{", '{"id": "1", "state": "done"}', "[" * 5000, ""])
def test_what_is_no_answer_to_it_does_not_count(
    root: list[Root], runtime: Path, tmp_path: Path, answer: str
) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / installed.ANSWER_FILE).write_text(answer)
    told = request_change("rollback", None, "MQTT")
    assert not told.done
    assert "nobody took the request up within 30 s" in told.message
    # Nobody does it when it is no longer expected.
    assert not (runtime / installed.REQUEST_FILE).exists()


def test_a_change_without_an_end_is_not_waited_for_for_ever(root: list[Root]) -> None:
    root.append(lambda request: {"id": request["id"], "state": "working"})
    told = request_change("rollback", None, "MQTT")
    assert "no end of it within 600 s" in told.message


def test_one_request_at_a_time(root: list[Root]) -> None:
    told: list[str] = []

    def ask_too(request: dict[str, str]) -> dict[str, str]:
        other = threading.Thread(
            target=lambda: told.append(request_change("rollback", None, "MQTT").message)
        )
        other.start()
        other.join()
        return {"id": request["id"], "state": "done", "message": "well"}

    root.append(ask_too)
    assert request_change("rollback", None, "HTTP").done
    assert told == ["another change of the model is at work; wait for its end"]


def test_who_asks_with_many_words_is_cut(root: list[Root]) -> None:
    root.append(lambda request: {"id": request["id"], "state": "done",
                                 "message": str(len(request["asked_by"]))})  # fmt: skip
    assert int(request_change("rollback", None, "x" * 5000).message) <= installed.LONGEST_ASKER


def test_a_folder_that_cannot_be_written_is_told(
    root: list[Root], runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime / "gone"))
    assert "cannot write" in request_change("rollback", None, "MQTT").message


def test_the_folder_for_data_is_that_of_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/private/edgekit-data")
    assert data_folder() == Path("/var/lib/private/edgekit-data")
    monkeypatch.delenv("STATE_DIRECTORY")
    assert data_folder() is None
