"""What `edgekit tune` gains: on the demo's clip, on a noisier scene, and on one it never saw.

    python -m benchmarks.tuning [--passes 48]

A scene is rendered twice, with toys carried past in another order before another wall; one of them
is tuned on, and the settings that come of it are judged on the other by `edgekit evaluate`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.fixtures import make_material
from demo.scene import HEIGHT, RATE, WIDTH, write_clip
from edgekit.offline.tuning.objective import PREFERENCES

_FOLDER = Path("build/bench/tuning")
_MODEL = Path("build/demo/resnet18-int8.tflite")
_SEEDS = {"tuned on": 31, "never seen": 32}

Image = NDArray[np.uint8]


def _edgekit(*arguments: object) -> str:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _dim(rng: np.random.Generator) -> Callable[[Image], Image]:
    """A third of the light, a lens out of focus, and the noise of a small sensor."""

    def spoilt(frame: Image) -> Image:
        soft = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1.6) * 0.35
        noise = rng.standard_normal(frame.shape, dtype=np.float32) * 9
        return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)

    return spoilt


def _scene(name: str, seed: int, passes: int, noisy: bool) -> tuple[Path, Path]:
    """A clip and its truth."""
    stem = f"{name.replace(' ', '-')}{'-noisy' if noisy else ''}"
    clip, truth = _FOLDER / f"{stem}.avi", _FOLDER / f"{stem}.json"
    write_clip(clip, truth, passes, seed)
    if noisy:
        clean = clip.rename(clip.with_name("clean.avi"))
        spoil, source = _dim(np.random.default_rng(seed)), cv2.VideoCapture(str(clean))
        writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
        while True:
            there, frame = source.read()
            if not there:
                break
            writer.write(spoil(np.asarray(frame, np.uint8)))
        writer.release()
    return clip, truth


def _row(name: str, one: dict[str, Any]) -> str:
    right = one.get("right", one.get("right_answers"))
    events = one.get("events", one.get("intervals"))
    repeated = one.get("repeated", "")
    delay = "–" if one["delay_s"] is None else f"{one['delay_s']:.2f}"
    found = f"{one['found']}/{events}"
    return (
        f"  {name:<28} {found:>8} {right:>6}/{one['answers']:<4} {one['answers'] - right:>6} "
        f"{repeated:>6} {delay:>7}"
    )


def _compare(title: str, tuned_on: tuple[Path, Path], unseen: tuple[Path, Path] | None) -> None:
    print(f"\n{title}")
    print(f"  {'':<28} {'found':>8} {'right':>6}/all   {'false':>6} {'again':>6} {'delay':>7}")
    for name in PREFERENCES:
        snippet = _FOLDER / "tuned.toml"
        begun = time.monotonic()
        found = json.loads(
            _edgekit(
                "tune", _MODEL, tuned_on[0], "--truth", tuned_on[1], "--prefer", name, "--json",
                "--output", snippet,
            )
        )  # fmt: skip
        seconds = time.monotonic() - begun
        settings = {key: value for key, value in found["settings"].items() if key != "labels"}
        print(
            f" {name}: {settings}, {len(found['settings']['labels'])} labels apart; gain "
            f"{found['gain']:.3f} ± {found['gain_standard_error']:.3f} an event; {seconds:.0f} s"
        )
        print(_row("default", found["before"]))
        print(_row("tuned, parts left out", found["after"]))
        if unseen is not None:
            evaluate = ("evaluate", _MODEL, unseen[0], "--truth", unseen[1], "--json")
            print(_row("never seen: default", json.loads(_edgekit(*evaluate))))
            tuned = _edgekit(*evaluate, "--config", snippet)
            print(_row("never seen: tuned", json.loads(tuned)), flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.tuning", description=__doc__)
    parser.add_argument("--passes", type=int, default=48, help="toys carried past, in each scene")
    given = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    material = make_material(Path("build/demo"))
    _compare("the demo's clip", (material.clip, material.truth), None)
    for noisy in (False, True):
        scenes = [_scene(name, seed, given.passes, noisy) for name, seed in _SEEDS.items()]
        title = f"{given.passes} toys, {'dim, blurred and noisy' if noisy else 'as in the demo'}"
        _compare(title, scenes[0], scenes[1])


if __name__ == "__main__":
    main()
