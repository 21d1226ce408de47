"""What many clips cost: `python -m benchmarks.clips [--help]`.

Replays of equal small clips by the demo's model at 64 px, in 1 and 2 processes, and on two workers
of a Dask scheduler of this machine. Rounds are interleaved; what is printed are medians.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import distributed

_MODEL, _VIDEO = Path("build/demo/resnet18-int8.tflite"), Path("build/demo/clip.avi")
_FOLDER = Path("build/benchmarks/clips")


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
        _edgekit("record", "--model", _MODEL, "--source", _VIDEO, *bounds)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        shutil.copy(one, folder / f"clip{number:04}.clip")
    return folder


def _measure(folder: Path, who: tuple[str, ...]) -> tuple[float, str]:
    """Seconds of a replay of all clips, and what came, without how long it took."""
    begun = time.monotonic()
    found = json.loads(_edgekit("replay", folder, "--model", _MODEL, "--json", *who))
    seconds = time.monotonic() - begun
    for row in found["recordings"]:
        del row["seconds"]
    return seconds, json.dumps(found)


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a clip")
    arguments = parser.parse_args()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        ways = {
            "1 process": ("--jobs", "1"),
            "2 processes": ("--jobs", "2"),
            "Dask, 2 workers": ("--dask", cluster.scheduler_address),
        }
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, before\n")
        print("| clips | | seconds | clips a second | beside 1 process |")
        print("| --- | --- | --- | --- | --- |")
        for count in arguments.counts:
            folder = _clips(count, arguments.seconds)
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                answers = set()
                for name, who in ways.items():
                    seconds, found = _measure(folder, who)
                    taken[name].append(seconds)
                    answers.add(found)
                if len(answers) != 1:
                    raise SystemExit("results differ")
            alone = taken["1 process"]
            for name, seconds_of in taken.items():
                median = statistics.median(seconds_of)
                ratio = statistics.median(
                    one / other for one, other in zip(alone, seconds_of, strict=True)
                )
                print(
                    f"| {count} | {name} | {median:.2f} | {count / median:.1f} | {ratio:.2f} |",
                    flush=True,
                )
            shutil.rmtree(folder)
    print(f"\nload {os.getloadavg()[0]:.1f}, after")


if __name__ == "__main__":
    main()
