"""The fleet as people read it."""

import click
import pytest
from edgekit_device.fleet.table import age, fit, line, render, summary, width

from tests.device.fleet.samples import device_of


def _lines(*arguments: object) -> list[str]:
    return click.unstyle(render(*arguments)).splitlines()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.04, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d"),
     (-300, "-5 min")],
)  # fmt: skip
def test_ages_are_short(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("mug", 5, "mug  "), ("kettle", 4, "ket…"), ("水杯水杯", 5, "水杯…"), ("水杯水杯", 4, "水… "),
     ("e\u0301e\u0301", 3, "e\u0301e\u0301 ")],
)  # fmt: skip
def test_texts_are_as_wide_as_a_terminal_shows_them(text: str, columns: int, shown: str) -> None:
    assert fit(text, columns) == shown and width(shown) == columns


def test_columns_are_under_each_other_whatever_is_in_them() -> None:
    head, *rows = _lines([device_of("a", label="水杯"), device_of("bb", label="mug")], None)
    model = head.index("MODEL")
    assert [width(row[: row.index("toys")]) for row in rows] == [model, model]


def test_what_is_wrong_is_below_its_device() -> None:
    device = device_of(problems=["camera: away"], drift="darker than usual", unwell=True)
    assert _lines([device], None)[2:] == ["    camera: away", "    drift: darker than usual"]


@pytest.mark.parametrize("columns", [160, 120, 100, 80, 60, 40, 32, 20, 14])
def test_a_narrow_terminal_leaves_columns_out_and_says_which(columns: int) -> None:
    device = device_of("a" * 20, problems=["x" * 500])
    lines = _lines([device], columns)
    assert all(width(text) <= columns for text in lines)
    assert columns < 20 or ("NAME" in lines[0] and "STATE" in lines[0])
    titles = ("SIGNER", "FRAME", "SINCE", "HASH", "SEEN")
    left = [title for title in titles if title not in lines[0]]
    told = " ".join(lines[3:])
    assert told.startswith("left out for want of room: ") == bool(left)
    assert all(title in told for title in left)


def test_a_low_terminal_leaves_devices_out_and_counts_them() -> None:
    devices = [device_of(f"d{number}", problems=["away"]) for number in range(50)]
    for lines in range(5, 110):
        shown = _lines(devices, None, lines)
        assert len(shown) <= lines
        last = shown[-1]
        rows = sum(row.startswith("d") for row in shown)
        assert rows == 50 or last == f"… and {50 - rows} more"
    assert rows == 50


def test_the_summary_counts_states_models_and_versions() -> None:
    devices = [
        device_of("a"), device_of("b", state="offline", unwell=True),
        device_of("c", model="b.tflite", version="0.2.0"),
    ]  # fmt: skip
    first, models, versions = summary(devices).splitlines()
    assert first == "3 device(s): 2 running, 1 offline; 1 unwell"
    assert models == "models: 2 toys-int8.tflite 9f86d081884c, 1 b.tflite 9f86d081884c"
    assert versions == "versions: 2 0.1.0, 1 0.2.0"


def test_no_device_is_not_all_well() -> None:
    assert summary([]) == "no device fits"


def test_many_models_are_counted_together() -> None:
    devices = [device_of(f"d{number}", model=f"{number}.tflite") for number in range(9)]
    assert summary(devices).splitlines()[1].endswith("and 3 others")


def test_a_change_is_one_line_with_all_that_changed() -> None:
    text = line(device_of(state="degraded", problems=["camera: away"], drift="darker"))
    assert text == (
        "pi · degraded · mug · toys-int8.tflite 9f86d081884c · 0.1.0 · camera: away · drift: darker"
    )
