"""The real daemon, and files that somebody puts in the place of its model."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_device.health import Status, read_status

from tests.conftest import Edgekit, failure
from tests.tiny import tiny_flatbuffer, tiny_model


def _echo(path: Path) -> Path:
    """A model whose output is its input: it answers with the picture."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tiny_flatbuffer()))
    model.subgraphs[0].outputs = model.subgraphs[0].inputs
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _with_text(path: Path, name: str, text: str) -> Path:
    tiny_model(path, labels=None)
    with zipfile.ZipFile(path, "a") as texts:
        texts.writestr(name, text)
    return path


def _hostile(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files, one after the other, and a part of what is said of each."""
    new = folder / "new"
    new.write_bytes(tiny_flatbuffer()[:300])
    yield new, "is not a usable model"
    yield tiny_model(new, logits=True), "answers no probabilities"
    yield _echo(new), "m.tflite"
    yield tiny_model(new, labels=None, shape=(1, 50_000_000)), "m.tflite"
    yield _with_text(new, "edgekit.json", "[" * 100_000), "m.tflite"
    yield _with_text(new, "labels.txt", "(" * 200_000), "m.tflite"
    with new.open("wb") as stream:
        stream.truncate(1 << 40)
    yield new, "is larger than"
    os.mkfifo(new)
    yield new, "is not a regular file"
    new.symlink_to("m.tflite")
    yield new, "is gone"


def test_no_file_in_the_place_of_its_model_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(tmp_path / "m.tflite")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    program = (
        "from edgekit_device.daemon import hot_swap; hot_swap.LOOK_EVERY = 0.1\n"
        "from edgekit.cli import main; main()\n"
    )
    command = [sys.executable, "-c", program, "run", "--model", str(model), "--source", "test:"]

    def wait_for(state: Callable[[Status], bool]) -> Status:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None
            status = read_status(tmp_path)
            if status is not None and status.pid == process.pid and state(status):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.02)

    with subprocess.Popen([*command, "--no-stdout"], stderr=subprocess.PIPE, text=True) as process:
        try:
            first = wait_for(lambda status: status.health.state == "running").health
            frames, refused = first.frames, None
            for hostile, said in _hostile(tmp_path):
                hostile.rename(model)
                status = wait_for(lambda status: status.refused_model not in (None, refused))  # noqa: B023
                refused, health = status.refused_model, status.health
                assert said in str(refused)
                # The model from before went on meanwhile.
                assert health.model_sha256 == first.model_sha256
                assert health.frames > frames
                frames = health.frames
            tiny_model(tmp_path / "new", labels=b"a\nb\nc\n").rename(model)
            last = wait_for(lambda status: status.health.model_sha256 != first.model_sha256)
            assert (last.refused_model, last.health.restarts) == (None, {"model": 1})
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=30)[1]
            assert process.returncode == 0
            assert "Traceback" not in said
        finally:
            process.kill()


def test_a_start_with_one_is_a_failure_of_one_line(tmp_path: Path, edgekit: Edgekit) -> None:
    os.mkfifo(tmp_path / "pipe")
    for hostile in (_echo(tmp_path / "e"), tmp_path / "pipe"):
        done = edgekit("run", "--model", hostile, "--source", "test:", "--max-frames", 1)
        assert str(hostile) in failure(done)
