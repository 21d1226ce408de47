"""Signals end a conversion, whatever becomes of the exception that they raise."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from edgekit_convert.interruption import check_interrupted, interruptible
from edgekit_convert.progress import Reporter

from edgekit.errors import ConversionError

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Ctrl-C as a program in the foreground has it; the tests' own handlers come back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
class TestSignals:
    def test_they_end_what_is_at_work(self, number: signal.Signals) -> None:
        with pytest.raises(KeyboardInterrupt), interruptible():
            _send(number)
            raise AssertionError("still at work")

    def test_another_error_made_of_it_is_an_interruption_all_the_same(
        self, number: signal.Signals
    ) -> None:
        with pytest.raises(KeyboardInterrupt), interruptible():
            try:
                _send(number)
            except KeyboardInterrupt as interrupted:
                raise ImportError("numpy.core.multiarray failed to import") from interrupted

    @pytest.mark.parametrize("where", ["before", "inside"])
    def test_one_that_is_swallowed_ends_the_step(self, number: signal.Signals, where: str) -> None:
        reporter = Reporter()
        done = []
        with pytest.raises(KeyboardInterrupt), interruptible():
            if where == "before":
                _swallow(number)
            with reporter.step("first"):
                _swallow(number)
                done.append("first")
            done.append("second")
        assert done == (["first"] if where == "inside" else [])


def _swallow(number: signal.Signals) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        _send(number)


def test_without_a_signal_errors_stay_what_they_are() -> None:
    with pytest.raises(ConversionError), interruptible():
        raise ConversionError("as it was")
    check_interrupted()


def test_afterwards_the_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        _send(signal.SIGINT)
    check_interrupted()


def test_the_command_hears_it_from_its_first_line_on() -> None:
    """While it imports what it needs, too: the signal comes with the first of these."""
    program = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "edgekit_convert.conversion":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
from edgekit.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "convert", "--arch", "18", "--int8", "--weights", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "edgekit: interrupted"
