"""Run an emulated board, and print what came of it."""

import argparse
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from tests.pi.image import ROOT, CannotRunError
from tests.pi.payload import judge


def main(run: Callable[[Path], Path], title: str, description: str | None) -> None:
    """Run, judge by the result file, and end with exit code 1 when a step failed.

    Args:
        run: runs the board with a folder for what is kept; returns the payload's folder.
        title: what was run.
        description: for `--help`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "pi", metavar="DIR")
    cache: Path = parser.parse_args().cache.resolve()
    started = time.monotonic()
    try:
        folder = run(cache)
    except CannotRunError as reason:
        print(f"skipped: an emulated board ({title}): {reason}\n0 passed, 0 failed, 1 skipped")
        return
    verdicts = judge(folder)
    print(f"\n{title}")
    for verdict in verdicts:
        word = "passed" if verdict.passed else "FAILED"
        print(f"{word}  {verdict.seconds:6.1f} s  {verdict.step}")
        if verdict.told:
            print(textwrap.indent(verdict.told, " " * 18))
    failed = sum(not verdict.passed for verdict in verdicts)
    if failed:
        print(f"the console is in {folder.parent / 'console.log'}")
    print(f"{time.monotonic() - started:.0f} s in all")
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
