"""What is a change, and what is said of it."""

import json

import pytest
from edgekit_device.fleet.watching import Changes

from tests.device.fleet.samples import device_of

Capture = pytest.CaptureFixture[str]


def _said(capsys: Capture) -> list[str]:
    return [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]


def test_ages_and_temperature_are_no_change(capsys: Capture) -> None:
    changes = Changes(as_json=False)
    changes.show([device_of()], [device_of()], [])
    assert len(_said(capsys)) == 1
    later = device_of(last_seen_s=9.0, temperature_c=80.0, frame_age_s=3.0, model_age_s=1.0)
    changes.show([later], [later], [])
    assert not _said(capsys)


@pytest.mark.parametrize(
    "change",
    [
        {"state": "stalled"}, {"problems": ["away"]}, {"drift": "darker"}, {"label": "cup"},
        {"model": "b.tflite"}, {"model_sha256": "b" * 64}, {"model_signer": "unsigned"},
        {"version": "9"}, {"host": "other"}, {"address": "192.168.1.8"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_else_is_different_is_one(change: dict[str, object], capsys: Capture) -> None:
    changes = Changes(as_json=True)
    for device in (device_of(), device_of(**change)):
        changes.show([device], [device], [])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and change.items() <= json.loads(lines[1])["device"].items()


def test_one_that_no_longer_fits_is_said_once_with_how_it_is_now(capsys: Capture) -> None:
    changes, well = Changes(as_json=False), device_of()
    away = device_of(state="offline", unwell=True)
    changes.show([away], [away], [])
    for _ in range(2):
        changes.show([well], [], [])
    assert [line.split(" · ")[1] for line in _said(capsys)] == ["offline", "running"]


def test_one_that_is_gone_is_said_once(capsys: Capture) -> None:
    changes = Changes(as_json=True)
    changes.show([device_of()], [device_of()], [])
    for _ in range(2):
        changes.show([], [], [])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and json.loads(lines[1])["gone"] == "pi"


def test_a_remark_is_said_when_it_is_new(capsys: Capture) -> None:
    changes = Changes(as_json=True)
    for told in (["a"], ["a"], ["a", "b"]):
        changes.show([], [], told)
    assert capsys.readouterr().err == "edgekit: a\nedgekit: b\n"
