"""What many clips cost: `python -m benchmarks.clips [--help]`.

Replays of equal small clips by a model at 64 px, in 1 and 2 processes, and on two workers of a Dask
scheduler of this machine, by turns. For few clips most of it is the start of the processes, each of
which loads the model once; what a clip costs shows in many.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import distributed

from benchmarks.daemon import _CLIP, _SMALL_MODEL, _prepare
from benchmarks.figures import found

_FOLDER = Path("build/benchmarks/clips")
# Clips that take minutes, and are played once.
_LONG = 1000
_PART = "Many clips"


def _edgekit(*arguments: object) -> str:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    return done.stdout


def _clips(count: int, seconds: float) -> Path:
    """A folder of so many clips, which are copies of one."""
    folder = _FOLDER / str(count)
    one = _FOLDER / "one.clip"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    if not one.exists():
        bounds = ("--output", one, "--max-seconds", seconds)
        _edgekit("record", "--model", _SMALL_MODEL, "--source", _CLIP, *bounds)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        shutil.copy(one, folder / f"clip{number:04}.clip")
    return folder


def _measure(folder: Path, who: tuple[str, ...]) -> tuple[float, str]:
    """Seconds of a replay of all clips, and what came, without how long it took."""
    begun = time.monotonic()
    answer = json.loads(_edgekit("replay", folder, "--model", _SMALL_MODEL, "--json", *who))
    seconds = time.monotonic() - begun
    for row in answer["recordings"]:
        del row["seconds"]
    return seconds, json.dumps(answer)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.clips", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a clip")
    given = parser.parse_args()
    _prepare()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        ways = {
            "1 process": ("--jobs", "1"),
            "2 processes": ("--jobs", "2"),
            "Dask, 2 workers": ("--dask", cluster.scheduler_address),
        }
        for count in given.counts:
            folder = _clips(count, given.seconds)
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(given.rounds if count < _LONG else 1):
                answers = set()
                for name, who in ways.items():
                    seconds, answer = _measure(folder, who)
                    taken[name].append(seconds)
                    answers.add(answer)
                if len(answers) != 1:
                    raise SystemExit("results differ")
            shutil.rmtree(folder)
            alone, *others = taken.values()
            rates = [count / seconds for seconds in alone]
            found(_PART, f"{count:,} clips, one after the other", rates, "clips/s")
            for name, seconds_of in zip([*ways][1:], others, strict=True):
                ratios = [one / other for one, other in zip(alone, seconds_of, strict=True)]
                found(_PART, f"{count:,} clips, {name}: beside that", ratios)


if __name__ == "__main__":
    main()
