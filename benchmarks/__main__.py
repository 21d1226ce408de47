"""All that `make bench` measures, into docs/benchmarks.md: `python -m benchmarks [NAME ...]`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks import page
from benchmarks.figures import FILE, Figure

# In the order of the page: each a module of this folder.
MODULES = (
    "daemon",
    "everything",
    "scale",
    "clips",
    "offline",
    "conversion",
    "fidelity",
    "tuning",
)
_FOLDER = Path("build/bench")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}; all")
    parser.add_argument("--page", action="store_true", help="write the page of what is there")
    given = parser.parse_args()
    if wrong := set(given.names) - set(MODULES):
        parser.error(f"there is no {', '.join(sorted(wrong))}; there is {', '.join(MODULES)}")
    _FOLDER.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    missing = []
    for name in () if given.page else given.names or MODULES:
        print(f"\n== {name}", flush=True)
        # Kept only once it is whole, so that what is broken off leaves the last ones.
        partial = _FOLDER / f"{name}.partial"
        partial.unlink(missing_ok=True)
        partial.touch()
        environment = os.environ | {FILE: str(partial)}
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], env=environment)
        if done.returncode:
            missing.append(name)
        else:
            partial.replace(_FOLDER / f"{name}.jsonl")
    figures = []
    for name in MODULES:
        file = _FOLDER / f"{name}.jsonl"
        if file.exists():
            figures += msgspec.json.Decoder(Figure).decode_lines(file.read_bytes())
    page.write(figures, load)
    if missing:
        sys.exit(f"failed: {', '.join(missing)}; the page keeps what was measured of them before")


if __name__ == "__main__":
    main()
