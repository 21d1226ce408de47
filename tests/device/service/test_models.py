"""Models that are kept by name, to choose among; and the one before, to go back to."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from edgekit_device.service import models, upgrade
from edgekit_device.service.cli import service
from edgekit_device.service.durable import locked

from edgekit.errors import ModelFileError, ServiceError, UpgradeError
from tests.device.service.conftest import Device, Model, sha

Run = Callable[..., Result]


@pytest.fixture
def run(running: Device, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `edgekit service` on the device; what it raises is raised.

    Models are not tried in a process of their own, which takes a second each.
    """
    for module in (models, upgrade):
        monkeypatch.setattr(module, "approve", lambda model, settings, root: None)

    def invoke(*arguments: str | Path) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(service, words, obj=running.layout, catch_exceptions=False)

    return invoke


def test_a_model_is_kept_without_being_changed_to(run: Run, running: Device, model: Model) -> None:
    said = run("models", "add", model("night")).output
    assert "is installed as night; edgekit service use night changes to it" in said
    assert running.store.names == {"night": sha(model("night"))}
    assert running.store.current == sha(model("old"))
    assert running.calls == []
    assert "nothing was changed" in run("models", "add", model("night")).output


def test_the_list_says_what_runs_and_what_ran_before(
    run: Run, running: Device, model: Model
) -> None:
    run("models", "add", model("night"))
    run("models", "add", model("old"), "--name", "day")
    run("use", "night")
    listed = json.loads(run("models", "--json").output)
    assert [
        (one["name"], one["sha256"], one["current"], one["previous"], one["damaged"])
        for one in listed
    ] == [
        ("day", sha(model("old")), False, True, False),
        ("night", sha(model("night")), True, False, False),
    ]
    assert listed[0]["added"].endswith("Z")
    assert listed[0]["classes"] == ["red", "green", "blue"]
    day, night = run("models").output.splitlines()
    assert day.startswith(f"day    {sha(model('old'))[:12]}  20")
    assert "before  3 classes: red, green, blue" in day
    assert "runs    3 classes: red, green, blue" in night


def test_a_model_without_a_name_is_listed_by_its_hash_while_it_is_needed(
    run: Run, running: Device, model: Model
) -> None:
    old = sha(model("old"))[:12]
    assert run("models").output.startswith(old)
    run("models", "add", model("night"))
    run("use", "night")
    assert old in run("models").output
    run("use", old)
    assert running.store.current == sha(model("old"))


def test_a_model_is_used_by_name_and_outlives_others(
    run: Run, running: Device, model: Model
) -> None:
    run("models", "add", model("night"))
    for name in ("one", "two", "three"):
        run("upgrade", model(name))
    assert running.store.path(sha(model("night"))).is_file()
    assert not running.store.path(sha(model("one"))).exists()
    run("use", "night")
    assert running.state["loaded"] == sha(model("night"))
    assert running.store.previous == sha(model("three"))


def test_an_installed_model_that_fails_is_taken_back_and_stays_installed(
    run: Run, running: Device, model: Model
) -> None:
    run("models", "add", model("night"))
    running.behaves(model("night"), "refused")
    with pytest.raises(UpgradeError, match="was rolled back"):
        run("use", "night")
    assert running.store.current == sha(model("old"))
    assert running.store.names == {"night": sha(model("night"))}
    assert running.store.is_whole(sha(model("night")))


def test_a_name_that_nobody_gave(run: Run) -> None:
    with pytest.raises(ServiceError, match="no model night is installed"):
        run("use", "night")
    with pytest.raises(ServiceError, match="no model has the name night"):
        run("models", "remove", "night")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../models/x", "a/b", ".hidden", "-x", "ä", "a b", "a\n", "n" * 65, "0" * 12,
     "deadbeef" * 8, "abc\x1b[0m"],
)  # fmt: skip
def test_a_name_is_one_that_harms_nobody(
    run: Run, running: Device, model: Model, name: str
) -> None:
    with pytest.raises(ServiceError, match="is no name for a model: a name has at most 64"):
        run("models", "add", model("night"), f"--name={name}")
    assert running.store.names == {}


@pytest.mark.parametrize(
    "name", ["a", "0", "night.v2", "Day_1-b", "n" * 64, "abcdef012345x", "dead"]
)
def test_other_names_are_fine(run: Run, running: Device, model: Model, name: str) -> None:
    run("models", "add", model("night"), "--name", name)
    run("use", name)
    assert running.store.current == sha(model("night"))


def test_a_name_and_a_model_are_given_once(run: Run, running: Device, model: Model) -> None:
    run("models", "add", model("night"))
    with pytest.raises(ServiceError, match="night is another model"):
        run("models", "add", model("other"), "--name", "night")
    with pytest.raises(ServiceError, match="installed already, as night"):
        run("models", "add", model("night"), "--name", "other")
    # What a worn card has taken can be brought again.
    running.store.path(sha(model("night"))).write_bytes(b"worn")
    assert "damaged on the disk" in run("models").output
    with pytest.raises(ModelFileError, match="model night is damaged on the disk"):
        run("use", "night")
    running.store.path(sha(model("night"))).unlink()
    assert "night         its file is gone; edgekit service models remove night" in (
        run("models").output
    )
    run("models", "add", model("other"), "--name", "night")
    run("use", "night")


def test_a_bad_model_is_not_kept(running: Device, tmp_path: Path, model: Model) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(model("night").read_bytes()[:300])
    with pytest.raises(ModelFileError):
        models.add(running.layout, bad, None, running.said.append)
    assert running.store.names == {}
    assert len(list((running.layout.state / "models").iterdir())) == 1


def test_there_is_an_end_to_their_number(
    run: Run, running: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MOST", 1)
    run("models", "add", model("night"))
    with pytest.raises(ServiceError, match=r"1 models are installed.*remove one first"):
        run("models", "add", model("other"))
    assert list(running.store.names) == ["night"]


def test_room_stays_for_everything_else(
    run: Run, running: Device, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=models.RESERVE)
    monkeypatch.setattr(models, "shutil", SimpleNamespace(disk_usage=lambda path: usage))
    with pytest.raises(ServiceError, match=r"no room for a model of 0\.0 MB: 100 MB are free"):
        run("models", "add", model("night"))
    assert running.store.names == {}


def test_what_runs_is_not_removed_and_what_ran_before_stays(
    run: Run, running: Device, model: Model
) -> None:
    for name in ("day", "night", "third"):
        run("models", "add", model(name))
    run("use", "day")
    run("use", "night")
    with pytest.raises(ServiceError, match="night runs; change to another first"):
        run("models", "remove", "night")
    assert "its file stays, because it ran before" in run("models", "remove", "day").output
    assert running.store.is_whole(sha(model("day")))
    assert run("models", "remove", "third").output == "third is removed\n"
    assert not running.store.path(sha(model("third"))).exists()
    run("rollback")
    assert running.store.current == sha(model("day"))


def test_one_change_at_a_time(run: Run, running: Device, model: Model) -> None:
    run("models", "add", model("night"))
    with locked(running.layout.lock):
        for words in (("models", "add", model("x")), ("models", "remove", "night"),
                      ("use", "night"), ("rollback",)):  # fmt: skip
            with pytest.raises(ServiceError, match="another change of the models is at work"):
                run(*words)


@pytest.mark.parametrize(
    "words", [("models", "add", "FILE"), ("models", "remove", "x"), ("use", "x"), ("rollback",)]
)
def test_there_must_be_a_service(device: Device, model: Model, words: tuple[str, ...]) -> None:
    given = [str(model("x")) if word == "FILE" else word for word in words]
    done = CliRunner().invoke(service, given, obj=device.layout)
    assert isinstance(done.exception, ServiceError)
    assert "no service is installed here" in str(done.exception)


def test_a_list_of_nothing_says_what_to_do(device: Device) -> None:
    done = CliRunner().invoke(service, ["models"], obj=device.layout)
    assert done.output == "no model is installed; edgekit service install --model FILE\n"
    assert (
        json.loads(CliRunner().invoke(service, ["models", "--json"], obj=device.layout).output)
        == []
    )


def test_the_model_before_comes_back_and_a_second_time_the_first(
    run: Run, running: Device, model: Model
) -> None:
    old, new = sha(model("old")), sha(model("new"))
    run("upgrade", model("new"))
    said = run("rollback").output
    assert f"model {old[:12]} answers; the one before is kept: {new[:12]}" in said
    assert (running.store.current, running.store.previous) == (old, new)
    assert running.state["loaded"] == old
    assert running.calls == []
    run("rollback")
    assert (running.store.current, running.store.previous) == (new, old)


def test_a_model_before_that_fails_changes_nothing(run: Run, running: Device, model: Model) -> None:
    run("upgrade", model("new"))
    running.behaves(model("old"), "stalls")
    with pytest.raises(UpgradeError, match="was rolled back: the service stalled with it"):
        run("rollback")
    assert running.store.current == running.state["loaded"] == sha(model("new"))
    # It was not forgotten: what is wrong may be mended.
    assert running.store.previous == sha(model("old"))


def test_there_must_be_a_model_before(run: Run, running: Device, model: Model) -> None:
    with pytest.raises(ServiceError, match="no other model ran before"):
        run("rollback")
    run("upgrade", model("new"))
    running.store.path(sha(model("new"))).write_bytes(b"")
    assert "damaged" in (running.store.settle() or "")
    with pytest.raises(ServiceError, match="no other model ran before"):
        run("rollback")


def test_a_model_before_that_is_damaged_does_not_run(
    run: Run, running: Device, model: Model
) -> None:
    run("upgrade", model("new"))
    running.store.path(sha(model("old"))).write_bytes(model("other").read_bytes())
    with pytest.raises(ModelFileError, match="the model before is damaged on the disk"):
        run("rollback")
    assert running.state["loaded"] == sha(model("new"))


def test_a_rollback_in_an_upgrade_that_was_cut_short_goes_to_what_was_proved(
    run: Run, running: Device, model: Model
) -> None:
    run("upgrade", model("new"))
    store = running.store
    store.begin(store.add(model("unproved").read_bytes()))
    # A change of names does not take what is needed to go back.
    run("models", "add", model("night"))
    run("models", "remove", "night")
    run("rollback")
    assert (store.current, store.pending) == (sha(model("new")), None)
