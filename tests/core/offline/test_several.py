"""`edgekit replay` and `edgekit evaluate` with several recordings."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recordings import Edgekit, failure, write_pictures

ORDERS = {"a": ["red", "green"], "b": ["green", "green", "blue"], "c": ["blue"]}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Recordings: folders with 5 pictures of each colour."""
    return [
        write_pictures(tmp_path / name, [colour for colour in colours for _ in range(5)])
        for name, colours in ORDERS.items()
    ]


@pytest.fixture
def truths(tmp_path: Path) -> Path:
    folder = tmp_path / "truths"
    folder.mkdir()
    for name in ORDERS:
        (folder / f"{name}.csv").write_text("start,end,label\n0,5,red\n5,10,green\n")
    return folder


def _timeless(value: Any) -> Any:
    """What was answered, without how long it took."""
    return [
        {key: item for key, item in row.items() if key != "seconds"} for row in value["recordings"]
    ] + [value["all"], value["failed"], value["differ"]]


def test_results_are_the_same_whatever_the_number_of_processes(
    edgekit: Edgekit, model: Path, folders: list[Path], truths: Path
) -> None:
    for command in (("replay", "--model", model), ("evaluate", model, "--truth", truths)):
        name, *rest = command
        found, texts = [], []
        for jobs in (1, 2):
            done = edgekit(name, *rest, *folders, "--jobs", jobs, "--json")
            assert done.exit_code == 0
            found.append(_timeless(json.loads(done.stdout)))
            texts.append(done.stderr)
        assert found[0] == found[1]
        assert [row["name"] for row in found[0][:3]] == [str(one) for one in folders]
        assert found[0][3]["frames"] == 30
        assert texts[0] == texts[1]


def test_each_is_what_it_is_alone(edgekit: Edgekit, model: Path, folders: list[Path]) -> None:
    together = json.loads(
        edgekit("replay", *folders, "--model", model, "--jobs", 1, "--json").stdout
    )
    for folder, row in zip(folders, together["recordings"], strict=True):
        alone = json.loads(edgekit("replay", folder, "--model", model, "--json").stdout)
        del alone["seconds"], row["seconds"], row["name"]
        assert row == alone


def test_one_that_fails_is_told_and_does_not_stop_the_others(
    edgekit: Edgekit, model: Path, folders: list[Path]
) -> None:
    (victim,) = sorted(folders[1].iterdir())[:1]
    victim.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    done = edgekit("replay", *folders, "--model", model, "--jobs", 2)
    assert (
        failure(done) == "2 of 3 recordings replayed; what is wrong with the others is said above"
    )
    assert f"edgekit: {folders[1]}: " in done.stderr
    assert "2 of 3 recordings replayed: 15 frames" in done.stdout
    row = json.loads(edgekit("replay", *folders, "--model", model, "--json").stdout)
    assert (row["failed"], set(row["recordings"][1])) == (1, {"name", "error"})


def test_golden_files_lie_in_a_folder(
    edgekit: Edgekit, model: Path, folders: list[Path], tmp_path: Path
) -> None:
    goldens = tmp_path / "goldens"
    base = ("replay", *folders, "--model", model, "--jobs", 2, "--golden", goldens)
    assert "is no folder" in failure(edgekit(*base, "--update"))
    goldens.mkdir()
    assert edgekit(*base, "--update").exit_code == 0
    assert sorted(file.name for file in goldens.iterdir()) == [
        f"{name}.golden.json" for name in ORDERS
    ]
    done = edgekit(*base)
    assert done.exit_code == 0
    assert done.stdout.count("all as expected") == 3
    done = edgekit(*base, "--decision-smoothing", 1, "--any-model")
    assert "0 of 3 recordings replayed" in failure(done)
    (goldens / "b.golden.json").unlink()
    assert "cannot read the golden file" in failure(edgekit(*base))


def test_pages_lie_in_a_folder(
    edgekit: Edgekit, model: Path, folders: list[Path], truths: Path, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    done = edgekit("evaluate", model, *folders, "--truth", truths, "--report", pages, "--jobs", 2)
    assert done.exit_code == 0
    assert sorted(file.name for file in pages.iterdir()) == [f"{name}.html" for name in ORDERS]
    assert "3 of 3 recordings evaluated: " in done.stdout


def test_wrong_usage_is_refused(
    edgekit: Edgekit, model: Path, folders: list[Path], truths: Path
) -> None:
    replay = ("replay", "--model", model)
    for arguments, said in (
        ((*replay, *folders, "--jobs", 0), "is not in the range"),
        ((*replay, *folders, "--jobs", 1000), "is not in the range"),
        ((*replay, *folders, "--jobs", 2, "--dask", "tcp://h:1"), "give one"),
        ((*replay, folders[0], "--dask", "tcp://h:1"), "several recordings"),
        (("evaluate", model, *folders), "--truth"),
        (("evaluate", model, folders[0], "--jobs", 2), "one at a time"),
    ):
        done = edgekit(*arguments)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert "named twice" in failure(edgekit(*replay, folders[0], folders[0]))
    (truths / "b.json").write_text("[]")
    done = edgekit("evaluate", model, *folders, "--truth", truths)
    assert "both are there" in failure(done)
