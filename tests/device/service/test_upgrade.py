"""A model is exchanged, or it is as if nothing had been tried."""

from pathlib import Path

import pytest
from edgekit_device.config.file import load
from edgekit_device.runtime_choice import fitting
from edgekit_device.service import systemctl
from edgekit_device.service import upgrade as module
from edgekit_device.service.durable import locked
from edgekit_device.service.probation import Probation, watch
from edgekit_device.service.state import observe
from edgekit_device.service.status import describe
from edgekit_device.service.systemctl import Unit
from edgekit_device.service.upgrade import upgrade
from edgekit_device.service.verify import Model

from edgekit.errors import ModelFileError, ServiceError, UpgradeError
from tests.device.service.conftest import Device, sha, two_runtimes
from tests.device.service.conftest import Model as MakeModel


def _upgrade(device: Device, path: Path) -> None:
    upgrade(device.layout, Model.read(path), device.said.append)


def test_a_good_model_is_changed_to_without_a_restart(running: Device, model: MakeModel) -> None:
    _upgrade(running, model("new"))
    assert running.store.current == sha(model("new"))
    assert running.store.previous == sha(model("old"))
    assert running.store.pending is None
    assert running.calls == []
    assert running.state["loaded"] == sha(model("new"))
    assert "answers; the one before is kept" in running.said[-1]


def test_the_runtime_that_was_faster_is_kept_beside_the_model(
    running: Device, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = two_runtimes(monkeypatch)
    new = model("new")
    _upgrade(running, new)
    record = fitting(running.layout.state / "model.tflite", sha(new))
    assert record is not None
    assert record.chosen == "tflite"
    assert running.said[0].startswith("runtime tflite: litert 2.1.0: 63.1 ms; tflite 2.14.0: 4.8")
    assert tried == ["litert", "tflite"]
    # It holds: going there again measures nothing, and tries the one that will run.
    _upgrade(running, model("old"))
    del tried[:]
    _upgrade(running, new)
    assert tried == ["tflite"]
    # It goes with the model.
    _upgrade(running, model("old"))
    _upgrade(running, model("other"))
    assert len(list((running.layout.state / "models").glob("*.json"))) == 2
    assert fitting(running.store.path(sha(new)), sha(new)) is None


def test_drift_takes_no_model_back(running: Device, model: MakeModel) -> None:
    sign = {"figure": "brightness", "text": "darker"}
    running.set(drift={"since": "2026-01-05T09:00:00Z", "advice": "look", "signs": [sign]})
    _upgrade(running, model("new"))
    assert running.store.current == running.state["loaded"] == sha(model("new"))
    assert running.calls == []


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("refused", "the service refuses it: no good"),
        ("crashes", "the service ended with it (killed by SIGSEGV)"),
        ("stalls", "the service stalled with it"),
        ("aborts", "the service ended with it (the watchdog: no answers for too long)"),
        ("hangs", "no answers from it within 6.5 s; the service says: running"),
        ("ignored", "no answers from it within 6.5 s; the service says: running"),
    ],
)
def test_a_bad_model_is_taken_back(
    running: Device, model: MakeModel, how: str, reason: str
) -> None:
    old, new = sha(model("old")), model("new")
    running.behaves(new, how)
    with pytest.raises(UpgradeError) as raised:
        _upgrade(running, new)
    assert reason in str(raised.value)
    assert f"model {old[:12]} runs again" in str(raised.value)
    assert (running.store.current, running.store.pending) == (old, None)
    assert running.state["loaded"] == old
    assert running.state["active"] == "active"
    assert not running.store.path(sha(new)).exists()
    # A daemon that lives changes back by itself, and so does one that systemd started again.
    assert ("restart edgekit.service" in running.calls) == (how == "aborts")


def test_a_service_that_does_not_run_is_started_with_the_model(
    running: Device, model: MakeModel
) -> None:
    # As after a crash loop: what is there may be what is wrong.
    running.set(active="failed", sub="failed", pid=0, restarts=7)
    _upgrade(running, model("new"))
    assert running.calls == ["reset-failed edgekit.service", "restart edgekit.service"]
    assert running.state["loaded"] == sha(model("new"))


def test_a_service_that_says_nothing_of_itself_has_an_old_unit(
    running: Device, model: MakeModel
) -> None:
    running.set(silent=True)
    with pytest.raises(ServiceError, match="its unit is of an earlier edgekit; write it anew"):
        _upgrade(running, model("new"))
    assert running.store.current == sha(model("old"))
    assert running.calls == []
    assert any(
        "write it anew" in line for line in describe(running.layout, observe(running.layout))
    )


def test_neither_model_runs(running: Device, model: MakeModel) -> None:
    running.set(active="failed", sub="failed", pid=0)
    for name in ("old", "new"):
        running.behaves(model(name), "crashes")
    with pytest.raises(UpgradeError, match="is back, but: the service does not start") as raised:
        _upgrade(running, model("new"))
    assert "the service does not start with it (killed by SIGSEGV)" in str(raised.value)
    assert running.store.current == sha(model("old"))


def test_a_damaged_model_changes_nothing(running: Device, model: MakeModel, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(model("new").read_bytes()[:300])
    with pytest.raises(ModelFileError):
        _upgrade(running, damaged)
    assert running.store.current == sha(model("old"))
    assert running.calls == []


def test_the_model_in_use_is_no_upgrade(running: Device, model: MakeModel) -> None:
    _upgrade(running, model("old"))
    assert "in use already" in running.said[-1]
    assert running.store.previous is None
    running.set(active="failed", sub="failed", pid=0)
    with pytest.raises(ServiceError, match="in place already, but the service does not run"):
        _upgrade(running, model("old"))


def test_a_paused_service_tries_no_model(running: Device, model: MakeModel) -> None:
    running.set(state="paused")
    with pytest.raises(ServiceError, match="the service is paused, and tries no model; resume it"):
        _upgrade(running, model("new"))
    assert running.store.current == sha(model("old"))
    assert running.calls == []


def test_a_service_that_is_paused_while_a_model_is_tried_keeps_the_one_before(
    running: Device, model: MakeModel
) -> None:
    running.behaves(model("new"), "pauses")
    with pytest.raises(UpgradeError, match="the service was paused while it was tried; model"):
        _upgrade(running, model("new"))
    assert running.store.current == running.state["loaded"] == sha(model("old"))
    # It is not started for that: somebody wants no answers now.
    assert running.calls == []


def test_one_upgrade_at_a_time(running: Device, model: MakeModel) -> None:
    with (
        locked(running.layout.lock) as ours,
        pytest.raises(ServiceError, match="another change of the models"),
    ):
        assert ours
        _upgrade(running, model("new"))


def test_there_must_be_a_service(device: Device, model: MakeModel) -> None:
    with pytest.raises(ServiceError, match="no service is installed here; edgekit service install"):
        _upgrade(device, model("new"))


def test_ctrl_c_takes_the_model_back(
    running: Device, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        assert running.store.current == sha(model("new"))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "watch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _upgrade(running, model("new"))
    assert (running.store.current, running.store.pending) == (sha(model("old")), None)


def test_an_upgrade_after_one_that_was_cut_short_goes_back_to_what_was_proved(
    running: Device, model: MakeModel
) -> None:
    running.store.begin(running.store.add(model("unproved").read_bytes()))
    running.behaves(model("new"), "refused")
    with pytest.raises(UpgradeError):
        _upgrade(running, model("new"))
    assert running.store.current == sha(model("old"))


def test_the_probation_takes_longer_than_the_daemon_needs_to_notice(running: Device) -> None:
    required = Probation.of(load(None, {}))
    for slow in ({"health.stall-after": 30}, {"recovery.inference-timeout": 30}):
        assert Probation.of(load(None, slow)).noticed == 30.0
    assert required.noticed == 10.0
    assert required.passed(15.0, 10.0)
    # A unit without a watchdog has no better sign.
    assert required.passed(15.0, None)
    assert not required.passed(14.9, 14.9)
    assert not required.passed(100.0, 9.9)


def test_a_daemon_that_was_started_again_between_two_looks_has_ended(running: Device) -> None:
    before = observe(running.layout)
    running.set(pid=101, result="signal", exit=6)
    reason = watch(running.layout, before.health.model_sha256, before, Probation(0.0, 50.0))
    assert reason == "the service ended with it (killed by SIGABRT)"


def test_answers_must_come_without_a_break(
    running: Device, model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state changes from look to look, and half a second passes between two."""
    layout, old = running.layout, sha(model("old"))
    before = observe(layout)
    states = ["running", "running", "starting", "running", "degraded", "running", "running"]
    left = iter(states)

    def show() -> Unit:
        running.set(state=next(left))
        return look()

    look = systemctl.show
    monkeypatch.setattr(systemctl, "show", show)
    assert watch(layout, old, before, Probation(noticed=1.0, timeout=50.0)) is None
    assert list(left) == []
