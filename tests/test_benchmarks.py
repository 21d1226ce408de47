"""What becomes of figures that benchmarks find; the figures themselves are no test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import page
from benchmarks.figures import Figure, found, short
from benchmarks.processes import measure, resident

FIGURES = [
    Figure("Daemon", "rate", [0.97, 0.99, 0.98], "", ">= 0.98"),
    Figure("Daemon", "memory <resident>", [101.0], "MiB", "<= 95"),
    Figure("Scale", "inference", [4.8123], "ms"),
]


def test_bounds_hold_for_the_median() -> None:
    assert [figure.kept for figure in FIGURES] == [True, False, None]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.98765, "0.988"), (4.8, "4.8"), (123.4, "123"), (2e4, "20,000")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert short(value) == text


def test_a_figure_is_printed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept"
    monkeypatch.setenv("EDGEKIT_FIGURES", str(file))
    found("Daemon", "memory", [101, 102, 103], "MiB", "<= 95")
    assert capsys.readouterr().out == "memory: 102 MiB, 101 to 103 in 3 rounds, NOT <= 95\n"
    assert file.read_text().count("\n") == 1


def test_a_table_for_each_part() -> None:
    text = page.tables(FIGURES)
    assert text.count("### ") == 2
    assert "| rate | 0.98 | 0.97 to 0.99 | >= 0.98 |" in text
    assert "| memory <resident> | 101 MiB |  | <= 95 MiB: **missed** |" in text


def test_the_plot_shows_what_has_a_bound() -> None:
    text = page.plot(FIGURES)
    assert text.count("<circle") == 2
    assert "memory &lt;resident&gt;" in text and "inference" not in text
    # What is to be nothing has no part of its bound.
    lost = Figure("Scale", "events lost", [0.0], "", "<= 0")
    assert page.plot([*FIGURES, lost]) == text


def test_the_page_keeps_what_was_written_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}old\n{page.END}after\n")
    monkeypatch.setattr(page, "PAGE", file)
    monkeypatch.setattr(page, "PLOT", tmp_path / "plot.svg")
    page.write(FIGURES, 0.5)
    text = file.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text and "load 0.5" in text
    file.write_text("without marks")
    with pytest.raises(ValueError, match="has lost its marks"):
        page.write(FIGURES, 0.5)


def test_the_page_has_its_marks() -> None:
    text = (Path(__file__).parents[1] / page.PAGE).read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_every_module_that_make_bench_runs_is_there() -> None:
    folder = Path(command.__file__).parent
    assert [name for name in command.MODULES if not (folder / f"{name}.py").exists()] == []


def test_resident_memory_is_of_a_process_that_runs() -> None:
    hold = "held = bytearray(40 << 20); print('ready', flush=True); input()"
    command_line = [sys.executable, "-c", hold]
    with subprocess.Popen(command_line, stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 40 < resident(process.pid) < 100
        process.kill()
        # Before anybody has asked how it ended, it is still listed, and takes nothing.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(OSError, match="has ended"):
            resident(process.pid)
    with pytest.raises(OSError, match="No such file"):
        resident(process.pid)


def test_what_a_program_takes_is_with_its_children(tmp_path: Path) -> None:
    child = "import time; held = bytearray(40 << 20); time.sleep(0.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert 40 < measure([sys.executable, "-c", code], tmp_path).memory < 200
