"""`make test-wheels`: what `make dist` wrote, as a stranger gets it, on each Python there is.

`python -m release.clean [DIST] [--convert VERSION …]`, in any environment. For each of `PYTHONS`
that is installed, an environment is made with the wheels of DIST and what `constraints.txt` lets
pip bring. The device side has to answer the demo's clip; with `--convert`, the workstation's side
has to convert the demo's network, too, which brings gigabytes of PyTorch.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from release import building

PYTHONS = ("3.11", "3.12", "3.13")
"""Those that the metadata names."""
UNSURE = "unknown"


def find_python(version: str) -> str | None:
    """A Python of a version such as 3.12, on PATH or of pyenv; None where there is none."""
    found = [shutil.which(f"python{version}")]
    found += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    for candidate in filter(None, found):
        # pyenv puts a name on PATH for each version, which may refuse to be one.
        done = subprocess.run([candidate, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    return None


def install(python: str, folder: Path, wheels: Sequence[str]) -> Path:
    """Make an environment with some wheels; its `edgekit`.

    Args:
        python: which makes it.
        folder: of the environment; what was there goes.
        wheels: their paths, with extras. By path, so that no stranger's package of their names can
            come from a registry.
    """
    building.run(python, "-m", "venv", "--clear", folder)
    pip = (folder / "bin" / "python", "-m", "pip")
    building.run(
        *pip, "install", "--quiet", "--constraint", building.ROOT / "constraints.txt", *wheels
    )
    building.run(*pip, "check")
    return folder / "bin" / "edgekit"


def faults_of_answers(
    events: Sequence[dict[str, object]], truth: Sequence[str | None]
) -> list[str]:
    """What is wrong with the answers to the demo's clip, in words.

    Args:
        events: as `edgekit run` prints them.
        truth: the label of each frame; None where something comes or goes.
    """
    told = [(int(str(e["frame"])), str(e["label"])) for e in events if e["label"] != UNSURE]
    found = [
        f"frame {frame} is {truth[frame]}, and was called {label}"
        for frame, label in told
        if truth[frame] not in (None, label)
    ]
    missed = set(filter(None, truth)) - {label for _, label in told}
    return found + [f"{label} was never told" for label in sorted(missed)]


def check_origin(edgekit: Path, commit: building.Commit) -> None:
    """Check that it says the commit that is checked out.

    Raises:
        SystemExit: it says another.
    """
    said = building.run(edgekit, "--version", cwd=edgekit.parent).strip()
    if f"from commit {commit.name[:12]} of " not in said or "\n" in said:
        raise SystemExit(f"{edgekit} --version says `{said}`; expected commit {commit.name[:12]}: "
                         "build it with `make dist`")  # fmt: skip


def answer_clip(edgekit: Path, model: Path, demo: Path) -> int:
    """Run the daemon over the demo's clip; how many events it told.

    Raises:
        SystemExit: it fails, or its answers are wrong.
    """
    said = building.run(
        edgekit, "run", "--model", model, "--source", demo / "clip.avi", cwd=edgekit.parent
    )
    events = [json.loads(line) for line in said.splitlines()]
    truth = json.loads((demo / "truth.json").read_text(encoding="utf-8"))
    if found := faults_of_answers(events, truth):
        raise SystemExit(f"{edgekit} answers the clip wrongly: {'; '.join(found[:5])}")
    return len(events)


def convert(edgekit: Path, demo: Path, output: Path) -> None:
    """Convert the demo's network.

    Raises:
        SystemExit: it fails.
    """
    building.run(edgekit, "convert", "--help", cwd=edgekit.parent)
    building.run(
        edgekit, "convert", "--arch", "18", "--weights", demo / "resnet18_demo.pth", "--int8",
        "--size", "64", "--crop", "1", "--classes", demo / "classes.txt",
        "--calibration", demo / "calibration", "--output", output,
        cwd=edgekit.parent,
    )  # fmt: skip


def main() -> None:
    """Try all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", nargs="?", type=Path, default=building.ROOT / "dist")
    parser.add_argument("--convert", action="append", default=[], choices=PYTHONS,
                        metavar="VERSION", help="convert with this Python, too")  # fmt: skip
    options = parser.parse_args()
    demo, place = building.ROOT / "build" / "demo", building.ROOT / "build" / "clean"
    if not (demo / "truth.json").is_file():
        raise SystemExit(f"there is no {demo / 'truth.json'}; make it with `make demo`")
    wheels = {name: _wheel(options.dist.resolve(), name) for name in building.PROJECTS}
    commit = building.head()
    for version in PYTHONS:
        python = find_python(version)
        if python is None:
            print(f"NOT TRIED: there is no Python {version} here", file=sys.stderr)
            continue
        core = wheels["edgekit-core"]
        device = install(python, place / f"{version}-device", [core, wheels["edgekit-device"]])
        check_origin(device, commit)
        events = answer_clip(device, demo / "resnet18-int8.tflite", demo)
        print(f"Python {version}: edgekit-device tells {events} right events of the demo's clip")
        if version not in options.convert:
            continue
        model = place / f"{version}.tflite"
        workstation = install(
            python, place / f"{version}-convert", [core, f"{wheels['edgekit-convert']}[torch]"]
        )
        check_origin(workstation, commit)
        convert(workstation, demo, model)
        events = answer_clip(device, model, demo)
        print(f"Python {version}: edgekit-convert converts; its model tells {events} right events")


def _wheel(dist: Path, name: str) -> str:
    found = sorted(dist.glob(f"{name.replace('-', '_')}-*.whl"))
    if len(found) != 1:
        raise SystemExit(f"{dist} has {len(found)} wheels of {name}; build one with `make dist`")
    return str(found[0])


if __name__ == "__main__":
    main()
