"""Several recordings on the workers of a Dask cluster, which are processes of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit.offline.jobs import cluster as module
from edgekit.offline.jobs.model_source import versions
from tests.recordings import Edgekit, edgekit, failure, write_pictures
from tests.tiny import tiny_model

distributed = pytest.importorskip("distributed", reason="Dask is not installed")
__all__ = ["edgekit"]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of one with two workers."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        local_directory=str(tmp_path_factory.mktemp("dask")),
    ) as local:
        yield local.scheduler_address


@pytest.fixture
def command(tmp_path: Path) -> list[Any]:
    """A replay of several recordings."""
    orders = {"a": ["red", "green"], "b": ["green", "blue"], "c": ["blue"]}
    folders = [
        write_pictures(tmp_path / name, [colour for colour in colours for _ in range(5)])
        for name, colours in orders.items()
    ]
    return ["replay", "--model", tiny_model(tmp_path / "colours.tflite"), *folders]


def _rows(text: str) -> list[dict[str, Any]]:
    rows = json.loads(text)["recordings"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_results_are_those_of_this_machine_to_the_last_digit(
    edgekit: Edgekit, command: list[Any], scheduler: str, tmp_path: Path
) -> None:
    there = edgekit(*command, "--dask", scheduler, "--json")
    here = edgekit(*command, "--jobs", 1, "--json")
    assert there.exit_code == here.exit_code == 0
    assert _rows(there.stdout) == _rows(here.stdout)
    assert there.stderr == here.stderr
    (victim,) = sorted((tmp_path / "b").iterdir())[:1]
    victim.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    texts = []
    for who in (("--dask", scheduler), ("--jobs", 1)):
        done = edgekit(*command, *who)
        assert "2 of 3 recordings" in failure(done)
        texts.append((done.stdout, done.stderr.replace("replaying", "")))
    assert texts[0] == texts[1]


def test_workers_that_would_answer_otherwise_are_refused(
    edgekit: Edgekit, command: list[Any], scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**versions(), "edgekit": "0.0.1"}
    with monkeypatch.context() as patch:
        patch.setattr(module, "versions", lambda: other)
        said = failure(edgekit(*command, "--dask", scheduler))
    assert "must not take part: it has edgekit 0.1.0, not 0.0.1; install the same" in said
    monkeypatch.setattr(
        "edgekit.offline.jobs.model_source.ModelSource.answers_sha256",
        lambda _: "other answers",
    )
    said = failure(edgekit(*command, "--dask", scheduler))
    assert "the model answers otherwise there" in said


def test_another_recording_of_that_name_is_refused(
    edgekit: Edgekit, command: list[Any], scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.offline.recordings.content_sha256", lambda _: "other content")
    done = edgekit(*command, "--dask", scheduler)
    assert "0 of 3 recordings" in failure(done)
    assert done.stderr.count("the worker has another ") == 3


def test_an_address_without_workers_is_told(
    edgekit: Edgekit, command: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CONNECT", 0.5)
    for address, said in (
        ("nonsense", "is no address of a Dask scheduler: missing port"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers at tcp://127.0.0.1:1 within 0.5 s"),
    ):
        assert said in failure(edgekit(*command, "--dask", address))
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as empty:
        address = empty.scheduler_address
        said = failure(edgekit(*command, "--dask", address))
    assert f"the Dask scheduler at {address} has no workers" in said
