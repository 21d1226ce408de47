"""How soon drift is noticed, and how often for nothing: `python -m benchmarks.drift [--help]`.

Cameras of the demo's world, each with a place of its own that no training or calibration picture
has, look at toys going by, at an empty table, or at a toy that was left there. Then something
changes: the light, the lens, the view, the objects. Figures of pictures and answers are computed
once for each frame and kept in a file; hours are drawn from them in blocks as long as a toy's pass,
as neighbouring frames are like each other. Of the thresholds that are tried, each is judged by its
false alarms and by the fraction of changes that it tells of within an hour.
"""

import argparse
import subprocess
import sys
import time
import timeit
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_cameras import CHANGES, HEIGHT, PASS, PASSES, WIDTH, Picture, camera
from demo.fixtures import make_material
from edgekit.inference.classifier import Classifier
from edgekit.inference.drift import THRESHOLDS, DriftMonitor, Tally, Thresholds
from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.geometry import Geometry
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
)
from edgekit.vision.pictures import is_image, read_image
from edgekit.vision.preprocess import prepare

_DEMO, _FOLDER = Path("build/demo"), Path("build/benchmarks/drift")
_FIGURES = len(PICTURE_FIGURES) + len(ANSWER_FIGURES)
_UNCHANGED, _OBJECTS = "unchanged", "other objects"

# Seconds of a recording before something changes, and after.
_BEFORE, _AFTER = 3600, 3600

Figures = NDArray[np.float32]


def _prepare(model: Path) -> None:
    """Convert the demo's network, unless that was done already."""
    material = make_material(_DEMO)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "edgekit", "convert", "--arch", "18", "--int8", "--weights",
        material.checkpoint, "--classes", material.classes, "--calibration", material.calibration,
        "--evaluate", material.evaluation, "--size", "64", "--crop", "1", "--output", model,
    ]  # fmt: skip
    if not model.exists():
        subprocess.run(command, check=True)


def answered(classifier: Classifier, frames: list[Picture]) -> NDArray[np.float32]:
    """Figures (frames, 7) of pictures and answers."""
    rows = []
    for frame in frames:
        tensor = classifier.prepare(frame)
        rows.append(picture_figures(tensor) + answer_figures(classifier.invoke(tensor)))
    return np.array(rows, np.float32)


def _objects(folder: Path | None) -> list[Picture]:
    """Pictures of things that are no toys; without a folder, blots of several colours."""
    if folder is None:
        noise = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
        return [cv2.resize(one, (200, 200), interpolation=cv2.INTER_CUBIC) for one in noise]
    files = sorted(file for file in folder.iterdir() if is_image(file))
    return [cv2.resize(read_image(file), (200, 200)) for file in files]


def compute(model: Path, cameras: int, changed: int, objects: Path | None) -> dict[str, Figures]:
    """Figures (cameras, passes, samples of a pass, 7) of each change."""
    classifier = Classifier(model)
    rows: dict[str, list[Figures]] = {name: [] for name in (_UNCHANGED, *CHANGES, _OBJECTS)}
    things = _objects(objects)
    for seed in range(cameras):
        print(f"\rcomputing figures: camera {seed + 1} of {cameras}", end="", flush=True)
        frames, rng = camera(seed), np.random.default_rng(seed)
        rows[_UNCHANGED].append(answered(classifier, frames))
        if seed < changed:
            rows[_OBJECTS].append(answered(classifier, camera(seed, things)))
            for name, change in CHANGES.items():
                seen = [change(frame, rng) for frame in frames]
                rows[name].append(answered(classifier, seen))
    print()
    shape = (-1, PASSES, PASS, _FIGURES)
    return {name: np.stack(figures).reshape(shape) for name, figures in rows.items()}


def hours(camera: Figures, seconds: int, rng: np.random.Generator) -> Figures:
    """A recording (seconds, 7), drawn from a camera's passes (passes, samples, 7).

    By turns, for ten minutes each on average: toys go by; nobody is there; a toy is left there.
    """
    parts: list[Figures] = []
    while sum(map(len, parts)) < seconds:
        length, scene = int(rng.exponential(600)) + PASS, rng.integers(3)
        if scene == 0:
            drawn = camera[rng.integers(PASSES, size=length // PASS)].reshape(-1, _FIGURES)
        elif scene == 1:
            drawn = camera[-1][rng.integers(PASS, size=length)]
        else:
            left = camera[rng.integers(PASSES - 1)][3:7]
            drawn = left[rng.integers(len(left), size=length)]
        parts.append(drawn)
    return np.concatenate(parts)[:seconds]


def _parts(monitor: DriftMonitor, figures: Figures) -> list[tuple[Tally, Figures]]:
    """What looks at pictures, and at answers, and its part of figures (N, 6)."""
    pictures, answers = np.split(figures.astype(np.float64), [len(PICTURE_FIGURES)], axis=1)
    return [(monitor.pictures, pictures), (monitor.answers, answers)]


def _beyond(tally: Tally, figures: Figures) -> NDArray[np.bool_]:
    """Which figures (N, figures) lie beyond which limits: (limits, N)."""
    beyond = [~(side * figures[:, index] <= limit) for index, side, limit in tally.checks]
    return np.array(beyond, bool).reshape(-1, len(figures))


def told(monitor: DriftMonitor, figures: Figures) -> NDArray[np.bool_]:
    """Whether drift is told after each sample (seconds,): `DriftMonitor.add`, all at once."""
    windows = monitor.thresholds.pictures.samples, monitor.thresholds.answers.samples
    found = np.zeros(len(figures), bool)
    for (tally, part), window in zip(_parts(monitor, figures), windows, strict=True):
        counts = _beyond(tally, part).cumsum(axis=1, dtype=np.int32)
        counts[:, window:] -= counts[:, :-window].copy()
        rises, falls = counts >= tally.raised, counts < tally.taken_back
        last = np.where(rises | falls, np.arange(len(figures)), 0)
        signs = np.take_along_axis(rises, np.maximum.accumulate(last, axis=1), axis=1)
        found |= signs.any(axis=0)
    return found


def _rises(signals: NDArray[np.bool_]) -> int:
    return int(signals[0]) + int((signals[1:] & ~signals[:-1]).sum())


def false_alarms(
    profile: Profile, thresholds: Thresholds, cameras: Figures, length: int
) -> tuple[float, float]:
    """Alarms an hour of unchanged cameras in `length` hours each; fraction that had any."""
    monitor, alarms = DriftMonitor(profile, thresholds), []
    for number, one in enumerate(cameras):
        drawn = hours(one, 3600 * length, np.random.default_rng([number, 0]))
        alarms.append(_rises(told(monitor, drawn)))
    return float(np.mean(alarms)) / length, float(np.mean(np.array(alarms) > 0))


def minutes_to_alarm(
    profile: Profile, thresholds: Thresholds, before: Figures, after: Figures, draws: int = 3
) -> NDArray[np.float64]:
    """Of cameras that change after an hour; infinite where nothing is told within another.

    Those where something is told already are left out.
    """
    monitor, minutes = DriftMonitor(profile, thresholds), []
    for number, (usual, changed) in enumerate(zip(before, after, strict=False)):
        for draw in range(draws):
            rng = np.random.default_rng([number, draw, 1])
            seen = np.concatenate([hours(usual, _BEFORE, rng), hours(changed, _AFTER, rng)])
            before_it, signals = np.split(told(monitor, seen), [_BEFORE])
            if not before_it[-1]:
                minutes.append(signals.argmax() / 60 if signals.any() else np.inf)
    return np.array(minutes)


def check(profile: Profile, cameras: Figures) -> None:
    """Hold that `told` says of an hour what the monitor says itself."""
    for number, one in enumerate(cameras):
        drawn, monitor = hours(one, 3600, np.random.default_rng(number)), DriftMonitor(profile)
        said = []
        for second, sample in enumerate(drawn):
            monitor.add(sample.tolist(), float(second))
            said.append(monitor.drift is not None)
        assert said == told(monitor, drawn).tolist()


# What is tried, by kind of sign.
_TRIED: dict[str, list[tuple[float, Thresholds]]] = {
    "pictures": [
        (value, THRESHOLDS._replace(deviations=value))
        for value in (1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 3.5)
    ],
    "answers": [
        (value, THRESHOLDS._replace(answers=THRESHOLDS.answers._replace(part=value)))
        for value in (0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.75)
    ],
}


class Point(NamedTuple):
    """Thresholds on the ROC: what is varied, false alarms an hour, fraction of changes found."""

    value: float
    alarms: float
    found: float
    chosen: bool


def roc(profile: Profile, figures: dict[str, Figures], length: int) -> dict[str, list[Point]]:
    """What was tried, for each kind of sign alone."""
    parts = {
        "pictures": Profile(pictures=profile.pictures),
        "answers": Profile(answers=profile.answers),
    }
    curves: dict[str, list[Point]] = {}
    for kind, tried in _TRIED.items():
        print(f"\n{kind:<10} alarms/h   cameras   changes found")
        for value, thresholds in tried:
            alarms, cameras = false_alarms(parts[kind], thresholds, figures[_UNCHANGED], length)
            minutes = [
                minutes_to_alarm(parts[kind], thresholds, figures[_UNCHANGED], figures[name])
                for name in (*CHANGES, _OBJECTS)
            ]
            found = float(np.mean([np.isfinite(ones).mean() for ones in minutes]))
            chosen = thresholds == THRESHOLDS
            words = "  <- chosen" if chosen else ""
            print(f"{value:>10} {alarms:>8.3f} {cameras:>9.0%} {found:>15.0%}{words}", flush=True)
            curves.setdefault(kind, []).append(Point(value, alarms, found, chosen))
    return curves


def plot(curves: dict[str, list[Point]], path: Path) -> None:
    """The ROC as SVG: false alarms an hour to the right, changes found upwards."""
    width, height, left, top = 640, 380, 70, 30
    most = 0.4

    def at(alarms: float, found: float) -> tuple[float, float]:
        return (
            left + (width - left - 30) * min(alarms, most) / most,
            top + (height - top - 60) * (1 - found),
        )

    def text(x: float, y: float, words: str, more: str = "") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{words}</text>'

    (x0, y0), (x1, y1) = at(0, 0), at(most, 1)
    limit = at(0.1, 0)[0]
    parts = [
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#555"/>',
        f'<path d="M{limit:.1f} {y1}V{y0}" stroke="#999" stroke-dasharray="4 4"/>',
        text(limit + 6, y1 + 10, "one in ten hours", 'fill="#666"'),
        text((x0 + x1) / 2, height - 14, "false alarms an hour", 'text-anchor="middle"'),
        text(x0, y1 - 12, "changes found within an hour", 'text-anchor="start"'),
    ]
    for step in range(5):
        x, y = at(step / 10, 0)
        parts.append(text(x, y + 20, f"{step / 10:.1f}", 'text-anchor="middle"'))
    for step in range(0, 101, 20):
        x, y = at(0, step / 100)
        parts.append(text(x - 8, y + 4, f"{step} %", 'text-anchor="end"'))
    for (kind, points), colour in zip(curves.items(), ("#0b6bcb", "#c2410c"), strict=True):
        shown = [point for point in points if point.alarms <= most]
        line = " ".join("{:.1f},{:.1f}".format(*at(one.alarms, one.found)) for one in shown)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for value, alarms, found, chosen in shown:
            x, y = at(alarms, found)
            size = 6 if chosen else 3
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>')
            words = f"{value:g}: {kind}, chosen" if chosen else f"{value:g}"
            parts.append(text(x + 9, y + 14, words, f'fill="{colour}"'))
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {style}>\n'
        f"{body}\n</svg>\n"
    )


def table(profile: Profile, figures: dict[str, Figures], length: int) -> None:
    """What the chosen thresholds do."""
    alarms, cameras = false_alarms(profile, THRESHOLDS, figures[_UNCHANGED], length)
    count = len(figures[_UNCHANGED])
    print(f"\n{count} unchanged cameras, {length} hours each: {alarms:.3f} alarms an hour,")
    print(f"on {cameras:.0%} of the cameras\n")
    print(f"{'change':<28} {'found':>6}   minutes to the alarm (median, where found)")
    for name in (_UNCHANGED, *CHANGES, _OBJECTS):
        minutes = minutes_to_alarm(profile, THRESHOLDS, figures[_UNCHANGED], figures[name])
        found = minutes[np.isfinite(minutes)]
        median = f"{np.median(found):.1f}" if found.size else "-"
        print(f"{name:<28} {found.size / minutes.size:>6.0%}   {median}")


def still_pictures(model: Path, folder: Path) -> None:
    """Photos, each for ever before a camera, for a model whose profile is of other ones."""
    classifier, photos = Classifier(model), _photos(folder)
    usual = answered(classifier, photos)
    rng = np.random.default_rng(0)
    print(f"\n{len(photos)} photos, {model.name}: drift is told of so many that are not changed")
    for count in (len(photos) // 2, len(photos) // 5, len(photos) // 10):
        parts = []
        for _ in range(40):
            order = rng.permutation(len(photos))
            monitor = DriftMonitor(_profile(usual[order[:count]]))
            parts.append(_unusual(monitor, usual[order[count:]]).mean())
        print(f"profile of {count}: {np.mean(parts):.1%}")
    monitor = DriftMonitor(_profile(usual[1::2]))
    for name, change in CHANGES.items():
        changed = answered(classifier, [change(photo, rng) for photo in photos[::2]])
        print(f"{name:<28} {_unusual(monitor, changed).mean():>6.0%}", flush=True)


def _photos(folder: Path) -> list[Picture]:
    """The middle of each, as a camera sees it (240, 320, 3)."""
    view = Geometry(height=HEIGHT, width=WIDTH, crop=1.0)
    files = sorted(file for file in folder.iterdir() if is_image(file))
    return [prepare(read_image(file), view)[0] for file in files]


def _profile(figures: Figures) -> Profile:
    values = np.quantile(figures, np.linspace(0, 1, QUANTILES), axis=0).T.tolist()
    named = dict(zip(PICTURE_FIGURES + ANSWER_FIGURES, values, strict=True))

    def reference(names: tuple[str, ...]) -> Reference:
        part = {name: named[name] for name in names}
        return Reference(images=len(figures), source="calibration", figures=part)

    return Profile(pictures=reference(PICTURE_FIGURES), answers=reference(ANSWER_FIGURES))


def _unusual(monitor: DriftMonitor, figures: Figures) -> NDArray[np.bool_]:
    """Which of pictures (N, figures) would be told if nothing else were seen."""
    return np.concatenate([_beyond(tally, part) for tally, part in _parts(monitor, figures)]).any(0)


def cost(profile: Profile) -> None:
    """Time of a frame at 224 px with 1,000 classes: one that is looked at, and on average."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    tensor = rng.integers(0, 256, (1, 224, 224, 3), np.uint8)
    scores = rng.dirichlet(np.ones(1000)).astype(np.float32)
    for name, apart in (("each frame looked at", 1.0), ("25 frames a second", 0.04)):
        monitor, count = DriftMonitor(profile), 500

        def run(monitor: DriftMonitor = monitor, count: int = count, apart: float = apart) -> None:
            monitor.reset()
            for number in range(count):
                monitor.update(tensor, scores, number * apart)

        best = min(timeit.repeat(run, number=1, repeat=20, timer=time.thread_time)) / count
        print(f"{name}: {1e3 * best:.4f} ms of processor time a frame")


def main() -> None:
    """Compute, or find what was computed; measure; plot."""
    parser = argparse.ArgumentParser(prog="benchmarks.drift", description=__doc__)
    parser.add_argument("--cameras", type=int, default=60, help="that do not change")
    parser.add_argument("--changed", type=int, default=8, help="of them, to which changes happen")
    parser.add_argument("--hours", type=int, default=10, help="of each unchanged camera")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="also the other objects")
    parser.add_argument("--model", type=Path, metavar="TFLITE", help="that answers photos, too")
    parser.add_argument("--plot", type=Path, default=_FOLDER / "roc.svg", metavar="SVG")
    options = parser.parse_args()
    model, kept = _FOLDER / "demo.tflite", _FOLDER / "figures.npz"
    _prepare(model)
    if not kept.exists():
        np.savez(kept, **compute(model, options.cameras, options.changed, options.photos))
    with np.load(kept) as file:
        figures = {name: file[name] for name in file.files}
    profile = Classifier(model).profile
    if profile is None:
        raise SystemExit(f"{model} has no profile; delete it, so that it is converted again")
    cost(profile)
    check(profile, figures[_UNCHANGED][:3])
    plot(roc(profile, figures, options.hours), options.plot)
    table(profile, figures, options.hours)
    print(f"\nROC: {options.plot}")
    if options.model is not None and options.photos is not None:
        still_pictures(options.model, options.photos)


if __name__ == "__main__":
    main()
