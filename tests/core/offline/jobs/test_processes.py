"""Work in several processes: outcomes in order, and none is lost without a word."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgekit import child
from edgekit.errors import SourceError, WorkerLostError
from edgekit.model.container import read_model
from edgekit.model.decision import DecisionSettings
from edgekit.model.foreign import Hints
from edgekit.model.settled import Settled
from edgekit.offline.jobs.model_source import ModelSource
from edgekit.offline.jobs.processes import in_processes
from edgekit.offline.jobs.work import here
from edgekit.offline.recordings import Place
from edgekit.offline.replay import Expectation
from edgekit.offline.replaying import Replayed, Replaying
from edgekit.offline.told import Told
from edgekit.vision.view import ViewSettings
from tests.recordings import write_pictures


@pytest.fixture
def work(model: Path) -> Replaying:
    return Replaying(ModelSource(read_model(model), None, Hints(), "auto", 1))


@pytest.fixture
def items(tmp_path: Path) -> list[Replayed]:
    """Folders with 1 to 3 pictures, and between them one that is not there."""
    folders = [
        write_pictures(tmp_path / f"{count}", ["red", "green", "blue"][:count])
        for count in (1, 2, 3)
    ]
    folders.insert(1, tmp_path / "gone")
    settled = Settled(DecisionSettings(), "the test")
    return [
        Replayed(Place(one.name, one, ViewSettings()), settled, Expectation(), None)
        for one in folders
    ]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started."""
    found: list[subprocess.Popen[bytes]] = []
    start = child.start

    def remember(command: Sequence[str]) -> subprocess.Popen[bytes]:
        found.append(start(command))
        return found[-1]

    monkeypatch.setattr(child, "start", remember)
    return found


def _frames(outcomes: list[Any]) -> list[object]:
    return [one.counts["frames"] if isinstance(one, Told) else str(one) for one in outcomes]


def test_outcomes_are_those_of_this_process_in_the_order_of_the_items(
    work: Replaying, items: list[Replayed], started: list[subprocess.Popen[bytes]]
) -> None:
    done: list[None] = []
    alone = list(here(work, items, lambda: None))
    beside = list(in_processes(work, items, 2, lambda: done.append(None)))
    assert _frames(beside) == _frames(alone)
    assert _frames(beside)[::2] == [1, 2]
    assert isinstance(beside[1], SourceError) and "no recording at" in str(beside[1])
    assert len(done) == 4
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_no_more_processes_than_items(
    work: Replaying, items: list[Replayed], started: list[subprocess.Popen[bytes]]
) -> None:
    assert len(list(in_processes(work, items[:1], 8, lambda: None))) == 1
    assert len(started) == 1


@pytest.mark.parametrize(
    ("end", "told"), [("kill -KILL $$", "SIGKILL, .*memory full"), ("exit 3", "exit code 3,")]
)
def test_a_process_that_ends_costs_its_item_and_is_told(
    work: Replaying, items: list[Replayed], monkeypatch: pytest.MonkeyPatch, end: str, told: str
) -> None:
    commands = [["/bin/sh", "-c", end]]
    python_command = child.python_command
    monkeypatch.setattr(
        child, "python_command", lambda name: commands.pop() if commands else python_command(name)
    )
    outcomes = list(in_processes(work, [items[0], *items[2:]], 1, lambda: None))
    assert isinstance(outcomes[0], WorkerLostError)
    with pytest.raises(WorkerLostError, match=told):
        raise outcomes[0]
    assert _frames(outcomes)[1:] == [2, 3]


def test_whoever_stops_early_ends_all_processes(
    work: Replaying, items: list[Replayed], started: list[subprocess.Popen[bytes]]
) -> None:
    outcomes = in_processes(work, items, 2, lambda: None)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert [process.returncode for process in started] == [-9, -9]


def test_a_process_ends_with_the_one_that_started_it() -> None:
    process = child.start(child.python_command("edgekit.offline.jobs.process"))
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    assert process.stdout.read() == b""
    assert process.wait() == 0
    process.stdout.close()


def test_what_nobody_foresaw_is_raised_with_where_it_was(
    work: Replaying, items: list[Replayed]
) -> None:
    broken = items[0]._replace(settled=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError) as caught:
        list(in_processes(work, [broken], 1, lambda: None))
    (note,) = caught.value.__notes__
    assert note.startswith("1: Traceback")
