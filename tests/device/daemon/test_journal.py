"""`edgekit run` as a process whose output leads to a journal that ends, or hangs."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edgekit_device.sinks.jsonlines import is_journal

from tests.tiny import tiny_model


@contextmanager
def _running(
    folder: Path, *options: str, stderr: bool = False, named: bool = True
) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A live run, and the other end of its output, which JOURNAL_STREAM may name."""
    ours, its = socket.socketpair()
    status = os.fstat(its.fileno())
    stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"} if named else {}
    model = tiny_model(folder / "tiny.tflite")
    command = [
        sys.executable, "-m", "edgekit", "run", "--model", str(model), "--source", "test:",
        "--every-frame", *options,
    ]  # fmt: skip
    with ours, its:
        ours.settimeout(60)
        process = subprocess.Popen(
            command, stdout=its, stderr=its if stderr else subprocess.PIPE, env=os.environ | stream
        )
        its.close()
        try:
            yield process, ours
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("stderr", [False, True])
def test_a_journal_that_ends_is_a_failure(tmp_path: Path, stderr: bool) -> None:
    with _running(tmp_path, stderr=stderr) as (process, journal):
        assert journal.recv(1 << 16)
        journal.close()
        said = process.communicate(timeout=60)[1]
        # Of a kind that lets systemd start it afresh.
        assert process.returncode == 1
        if not stderr:
            lines = said.decode().splitlines()
            assert (
                "edgekit: the journal has closed its end of the output; starting afresh "
                in (lines[-1])
            )
            assert "Traceback" not in said.decode()


def test_another_reader_may_have_had_enough(tmp_path: Path) -> None:
    with _running(tmp_path, named=False) as (process, reader):
        assert reader.recv(1 << 16)
        reader.close()
        process.communicate(timeout=60)
        assert process.returncode == 0


class TestJournal:
    def test_is_the_file_that_systemd_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = socket.socketpair()
        with one, other:
            status = os.fstat(one.fileno())
            monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
            assert is_journal(one.fileno())
            assert not is_journal(other.fileno())
            monkeypatch.delenv("JOURNAL_STREAM")
            assert not is_journal(one.fileno())
            descriptor = one.fileno()
        assert not is_journal(descriptor)
