"""In how many processes: as many as asked for, where there is work and memory."""

import os
from pathlib import Path

import pytest

from edgekit.offline.jobs import how_many as module
from edgekit.offline.jobs.how_many import free_memory, how_many

_GIB = 1 << 30


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: _GIB)


def test_as_many_as_cores_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3, 5})
    told: list[str] = []
    assert how_many(None, 100, 0, told.append) == 3
    assert how_many(5, 100, 0, told.append) == 5
    assert how_many(None, 2, 0, told.append) == 2
    assert not told


def test_fewer_where_memory_is_short_which_is_told() -> None:
    told: list[str] = []
    assert how_many(8, 100, 50 << 20, told.append) == 2
    assert told == ["2 of 8 processes: each may take 400 MiB, and 1024 MiB of memory are free"]
    assert how_many(8, 100, _GIB, told.append) == 1


def test_a_container_has_less_than_the_machine(tmp_path: Path) -> None:
    meminfo, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert free_memory(meminfo, limit) == 2 << 20
    limit.write_text("max\n")
    assert free_memory(meminfo, limit) == 2 << 20
    limit.write_text("1048576\n")
    assert free_memory(meminfo, limit) == 1 << 20


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(module, "free_memory", lambda: free_memory(tmp_path / "absent"))
    assert how_many(None, 9, 1 << 20, pytest.fail) == 6
