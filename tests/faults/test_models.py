"""The model's file is exchanged for worse while a daemon runs it."""

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.faults.running import Running, wait_for
from tests.faults.table import row
from tests.tiny import tiny_model

_SWAPS = 200


@pytest.fixture
def path(tmp_path: Path, model: Path) -> Path:
    """The file that the daemon is given."""
    return Path(shutil.copy(model, tmp_path / "model.tflite"))


@pytest.fixture
def daemon(start: Callable[..., Running], path: Path) -> Running:
    daemon = start(top=f'model = "{path}"\nsource = "test:"\nstdout = false')
    daemon.is_well()
    return daemon


def _put(path: Path, other: Path) -> None:
    new = path.with_suffix(".new")
    shutil.copy(other, new)
    new.replace(path)


def test_one_that_is_deleted_is_missed_and_one_that_is_damaged_refused(
    daemon: Running, path: Path, model: Path
) -> None:
    fault, before = row("model-deleted"), daemon.health.model_sha256
    path.unlink()
    daemon.shows(fault)
    daemon.answers()
    _put(path, model)
    assert daemon.recovers(fault).model_sha256 == before
    fault = row("model-damaged")
    damaged = path.with_suffix(".damaged")
    damaged.write_bytes(model.read_bytes()[:300])
    _put(path, damaged)
    daemon.shows(fault)
    daemon.answers()
    _put(path, model)
    daemon.recovers(fault)


def test_a_pipe_in_its_place_is_refused(daemon: Running, path: Path, model: Path) -> None:
    fault, pipe = row("model-fifo"), path.with_suffix(".pipe")
    os.mkfifo(pipe)
    pipe.replace(path)
    try:
        wait_for("a refusal", lambda: daemon.health.problems, 10)
        daemon.shows(fault)
        daemon.answers()
    finally:
        _put(path, model)
    daemon.recovers(fault)


def test_the_last_of_many_runs_and_leaves_nothing_of_those_before(
    daemon: Running, path: Path, model: Path, tmp_path: Path
) -> None:
    fault = row("model-swaps")
    other = tiny_model(tmp_path / "other.tflite", labels=b"ant\nbee\ncow\n")
    others = [other, model]
    hashes = [sha256(each.read_bytes()).hexdigest() for each in others]
    # Once around first, so that all is loaded that ever is.
    for each, wanted in zip(others, hashes, strict=True):
        _put(path, each)
        wait_for("the other", lambda wanted=wanted: daemon.health.model_sha256 == wanted)
    before = daemon.means()
    for number in range(_SWAPS):
        now = (number + number // 20) % 2
        _put(path, others[now])
        # Most are gone before they are seen; some are waited for, one and the other in turn.
        if number % 20 == 0:
            wanted = hashes[now]
            wait_for("a swap", lambda wanted=wanted: daemon.health.model_sha256 == wanted)
    wait_for("the last", lambda: daemon.health.model_sha256 == hashes[now])
    after = daemon.recovers(fault)
    assert after.restarts["model"] >= _SWAPS / 20
    wait_for("threads and files to be let go", lambda: _not_more(daemon.means(), before))
    assert not {"degraded", "stalled"} & set(daemon.states)


def _not_more(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return all(one <= other for one, other in zip(now, before, strict=True))
