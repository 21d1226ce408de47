"""What the commands that run a daemon say: to those who listen, and to those who do not."""

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from edgekit_device.daemon.ending import finish_saying, say


@contextmanager
def _pipe() -> Iterator[int]:
    """The reader's end of a small pipe that is stderr."""
    finish_saying()
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writer, "w", encoding="utf-8") as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stderr)
        yield reader
        os.close(reader)


def _read(pipe: int, until_text: str) -> str:
    text = ""
    while until_text not in text:
        text += os.read(pipe, 65536).decode()
    return text


def test_lines_come_in_their_order() -> None:
    with _pipe() as pipe:
        for number in range(20):
            say(f"line {number} ☃")
        assert finish_saying()
        text = _read(pipe, "line 19 ☃\n")
    assert text == "".join(f"edgekit: line {n} ☃\n" for n in range(20))


def test_who_does_not_read_delays_nobody_and_learns_what_was_lost() -> None:
    with _pipe() as pipe:
        for _ in range(200):
            say("x" * 1000)
        say("the last")
        text = _read(pipe, "the last")
        assert finish_saying()
    # More than once, where the writer comes to a part of them before the pipe is full.
    told = [int(line.split()[1]) for line in text.splitlines() if "were lost" in line]
    assert told
    assert text.count("edgekit: x") + sum(told) == 200


def test_the_end_does_not_wait_for_who_does_not_read() -> None:
    with _pipe() as pipe:
        for _ in range(200):
            say("x" * 1000)
        assert not finish_saying()
        say("afresh")
        assert "afresh" in _read(pipe, "afresh")
        assert finish_saying()


def test_a_stream_that_fails_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    finish_saying()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stderr", full)
        say("unheard")
        assert finish_saying()
        monkeypatch.undo()


def test_what_hides_is_hidden_and_what_cannot_be_encoded_is_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish_saying()
    content = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(content))
    say("rtsp://u:p@h/x \udcff")
    assert finish_saying()
    assert content.getvalue() == b"edgekit: rtsp://***@h/x \\udcff\n"
