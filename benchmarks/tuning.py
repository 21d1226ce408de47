"""What `edgekit tune` gains: on the demo's clip, on a noisier scene, and on one it never saw.

    python -m benchmarks.tuning [--passes 36]

A scene is rendered twice, with toys carried past in another order before another wall; one of them
is tuned on, and the settings that come of it are judged on the other. Beside them, the settings
that are cheapest on what was tuned on, whatever chance had to do with it.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.fixtures import make_material
from demo.scene import HEIGHT, RATE, WIDTH, write_clip
from edgekit.inference.classifier import Classifier
from edgekit.model.decision import DecisionSettings
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording
from edgekit.offline.truth import read_truth
from edgekit.offline.tuning.candidates import lowest_enter
from edgekit.offline.tuning.figures import Figures, figures
from edgekit.offline.tuning.objective import PREFERENCES
from edgekit.offline.tuning.parts import Parts
from edgekit.offline.tuning.scores import Scores, gather
from edgekit.offline.tuning.tuner import tune

_FOLDER = Path("build/bench/tuning")
_MODEL = Path("build/demo/resnet18-int8.tflite")
_DEFAULTS = DecisionSettings()
# As in the demo, and with as much of the light, out of focus and noisy.
_LIGHTS = (None, 0.7, 0.6)
_SEEDS = {"tuned-on": 31, "never-seen": 32}

Image = NDArray[np.uint8]


def _dim(light: float, rng: np.random.Generator) -> Callable[[Image], Image]:
    """A part of the light, a lens out of focus, and the noise of a small sensor."""

    def spoilt(frame: Image) -> Image:
        soft = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1.2) * light
        noise = rng.standard_normal(frame.shape, dtype=np.float32) * 10
        return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)

    return spoilt


def _spoil(clip: Path, spoilt: Path, light: float, seed: int) -> None:
    """Write a clip as such a camera would have."""
    spoil, source = _dim(light, np.random.default_rng(seed)), cv2.VideoCapture(str(clip))
    writer = cv2.VideoWriter(str(spoilt), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    while True:
        there, frame = source.read()
        if not there:
            break
        writer.write(spoil(np.asarray(frame, np.uint8)))
    writer.release()


def _scores(model: Classifier, clip: Path, truth: Path) -> Scores:
    player = Player(clip.name, None, model, _DEFAULTS)
    frames = (player.play(player.prepare(frame)) for frame in Recording(clip))
    shown, lowest = read_truth(truth, model.labels), lowest_enter(_DEFAULTS)
    return gather(clip.name, frames, shown, model.labels, frozenset(), lowest)


def _row(name: str, one: Figures) -> str:
    delay = "–" if one.median_delay is None else f"{one.median_delay:.2f}"
    mean = f"{statistics.mean(one.delays):.3f}" if one.delays else "–"
    return (
        f"  {name:<24} {one.found:>5}/{one.events:<4} {one.right:>5}/{one.answers:<4} "
        f"{one.false:>6} {one.repeated:>6} {delay:>7} {mean:>7} {one.cost:>8.3f}"
    )


def _compare(title: str, tuned_on: Scores, unseen: Scores | None) -> None:
    print(f"\n{title}: {len(tuned_on.events)} events in {tuned_on.span:.0f} s")
    print(f"the model alone answers {tuned_on.right:.1%} of the judged frames right")
    heads = ("found", "right", "false", "again", "median", "mean", "cost")
    print(f"  {'':<24} {heads[0]:>10} {heads[1]:>10} " + " ".join(f"{one:>7}" for one in heads[2:]))
    for name, cost in PREFERENCES.items():
        begun = time.monotonic()
        found = tune([tuned_on], _DEFAULTS, cost)
        seconds = time.monotonic() - begun
        one = found.settings
        print(
            f" {name}: smoothing {one.smoothing}, enter {one.enter:g}, leave {one.leave:g}, hold "
            f"{one.hold:g}, apart: {', '.join(one.labels) or 'none'}; gain "
            f"{found.gain.value:.3f} ± {found.gain.error:.3f} an event; {seconds:.0f} s"
        )
        print(_row("default", found.before))
        print(_row("tuned, parts left out", found.after))
        if unseen is not None:
            parts = Parts([unseen])
            cheapest = found.tried.settings[int(found.tried.costs.sum(axis=1).argmin())]
            outcomes = parts.outcomes([_DEFAULTS, one, cheapest])
            for place, which in enumerate(("default", "tuned", "cheapest")):
                chosen = [place] * parts.count
                judged = figures(outcomes, cost.of(outcomes), chosen, unseen.span / 3600)
                print(_row(f"never seen: {which}", judged), flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.tuning", description=__doc__)
    parser.add_argument("--passes", type=int, default=36, help="toys carried past, in each scene")
    given = parser.parse_args()
    _FOLDER.mkdir(parents=True, exist_ok=True)
    material, model = make_material(Path("build/demo")), Classifier(_MODEL)
    _compare("the demo's clip", _scores(model, material.clip, material.truth), None)
    for name, seed in _SEEDS.items():
        write_clip(_FOLDER / f"{name}.avi", _FOLDER / f"{name}.json", given.passes, seed)
    for light in _LIGHTS:
        scenes = []
        for name, seed in _SEEDS.items():
            clip, truth = _FOLDER / f"{name}.avi", _FOLDER / f"{name}.json"
            if light is not None:
                clip = clip.with_name(f"{name}-dim.avi")
                _spoil(_FOLDER / f"{name}.avi", clip, light, seed)
            scenes.append(_scores(model, clip, truth))
        how = f"{light:g} of the light, blurred and noisy" if light else "as in the demo"
        _compare(f"{given.passes} toys, {how}", *scenes)
        _compare("the same, tuned on the other scene", *reversed(scenes))


if __name__ == "__main__":
    main()
