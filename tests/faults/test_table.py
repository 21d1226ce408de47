"""Every row is tried, by the file that the page names, and the page says what the table says."""

import ast
from pathlib import Path

import pytest

from docs import generate_reliability as page
from tests.faults.table import AREAS, Area, Bound

HERE = Path(__file__).parent


def _rows(file: Path) -> list[str]:
    """Names in a file of tests that may be rows: of `row("…")`, or of its parameters."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.title)
def test_every_row_is_tried(area: Area) -> None:
    named = _rows(HERE / area.tests)
    assert [fault.name for fault in area.faults if fault.name not in named] == []


def test_names_are_unique_and_messages_say_something() -> None:
    faults = [fault for area in AREAS for fault in area.faults]
    assert len({fault.name for fault in faults}) == len(faults) > 40
    for fault in faults:
        # What is a problem is named.
        assert bool(fault.message) or "running" in fault.states or "ended" in fault.states


def test_every_file_of_tests_is_named() -> None:
    files = {path.name for path in HERE.glob("test_*.py")} - {Path(__file__).name}
    assert files == {area.tests for area in AREAS}


def test_bounds_are_sums_of_settings() -> None:
    bound = Bound(("camera.timeout", "webhook.timeout"), 3.0)
    assert str(bound) == "`camera.timeout` + `webhook.timeout` + 3 s = 13 s"
    assert bound.seconds() == 13.0


def test_the_page_is_up_to_date() -> None:
    written = page.TARGET.read_text(encoding="utf-8")
    assert page.BEGIN in written
    assert page.render(written) == written, "run: make docs"
