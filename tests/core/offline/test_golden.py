"""Golden files that are none."""

from pathlib import Path

import msgspec
import pytest

from edgekit.errors import GoldenError
from edgekit.offline.golden import (
    SCHEMA,
    Change,
    Golden,
    check_same,
    read_golden,
    shown,
    write_golden,
)

GOLDEN = Golden(
    schema=SCHEMA, recording="a.clip", recording_sha256="00", model="m.tflite", model_sha256="ff",
    decision={"smoothing": 5}, frames=9, changes=[Change(0, 0.0, "cat", 0.5)],
)  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_golden(tmp_path / "g", GOLDEN)
    assert read_golden(tmp_path / "g") == GOLDEN


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b'"cat"', b'"c\xfft"', "is not a golden file: it is not UTF-8"),
        (b'"smoothing": 5', b'"x": ' + b"[" * 100_000, "a golden file: .*nested too deeply"),
        (b'"schema": 1', b'"schema": 0', "is not a golden file: Expected `int` >= 1"),
        (b'"frames": 9', b'"frames": ' + b"9" * 9999, "is not a golden file: Integer value out"),
        (b'"frames": 9', b'"\\u001b[2J": 9', r"unknown field ` \[2J`"),
        (b'"schema": 1', b'"schema": 2, "new": 1', "was written by a later edgekit; install that"),
    ],
    ids=["utf-8", "deep", "version", "huge", "escape", "later"],
)
def test_what_is_damaged_or_later_is_refused(
    tmp_path: Path, before: bytes, after: bytes, message: str
) -> None:
    write_golden(tmp_path / "g", GOLDEN)
    content = (tmp_path / "g").read_bytes()
    assert before in content
    (tmp_path / "g").write_bytes(content.replace(before, after))
    with pytest.raises(GoldenError, match=message) as caught:
        read_golden(tmp_path / "g")
    assert str(caught.value).isprintable()


def test_one_that_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match=r"cannot read the golden file .*; --update writes one"):
        read_golden(tmp_path / "none")


def test_a_label_steers_no_terminal() -> None:
    assert shown(Change(0, 0.0, "c\x1b[2Jat", 0.5)).endswith("c [2Jat")


def test_settings_that_differ_are_named_those_of_labels_too() -> None:
    own = {"cat": {"enter": 0.9, "ignore": False}, "d\x1bg": {"enter": 0.9}}
    now = msgspec.structs.replace(GOLDEN, decision={"smoothing": 9, "labels": own})
    with pytest.raises(GoldenError) as caught:
        check_same(Path("g"), GOLDEN, now, any_model=False)
    assert str(caught.value) == (
        "g was made with other decision settings: smoothing 5, not 9, labels.cat.enter None, not "
        "0.9, labels.cat.ignore None, not False, labels.d g.enter None, not 0.9; set those, or "
        "--update"
    )
    many = {str(index): {"enter": 0.9} for index in range(100)}
    now = msgspec.structs.replace(GOLDEN, decision={"smoothing": 5, "labels": many})
    with pytest.raises(GoldenError, match=r"labels.5.enter None, not 0.9, …; set those"):
        check_same(Path("g"), GOLDEN, now, any_model=False)
    check_same(Path("g"), now, now, any_model=False)
