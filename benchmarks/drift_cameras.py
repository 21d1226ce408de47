"""Cameras of the demo's world, and what happens to them: the material of `benchmarks.drift`."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.scene import HEIGHT, NOTHING, WIDTH, Pose, random_place, render
from demo.toys import TOYS

# Samples, a second apart, of a toy's pass; passes of each camera, of which the last has no toy.
PASS, PASSES = 10, 6

Picture = NDArray[np.uint8]
Change = Callable[[Picture, np.random.Generator], Picture]


def camera(seed: int, objects: list[Picture] | None = None) -> list[Picture]:
    """Frames (240, 320, 3) uint8 of one camera, `PASSES` passes of `PASS` frames."""
    rng = np.random.default_rng([seed, 18])
    place = random_place(rng)
    frames = []
    for number in range(PASSES):
        label = [*TOYS][int(rng.integers(len(TOYS)))] if number < PASSES - 1 else NOTHING
        colours = TOYS[label].colours if label != NOTHING else [(0, 0, 0)]
        colour = colours[int(rng.integers(len(colours)))]
        sway = TOYS[label].sway if label != NOTHING else 0.0
        height, size = rng.uniform(100, 150), rng.uniform(40, 76)
        angle, turn = rng.uniform(-sway, sway), rng.uniform(-0.6, 0.6)
        lit = replace(place, light=rng.uniform(0.78, 1.15), warmth=rng.uniform(-0.08, 0.08))
        for step in range(PASS):
            part = 2 * step / (PASS - 1) - 1
            x = WIDTH / 2 + WIDTH * (0.25 * part + 0.6 * part**3)
            pose = Pose(x, height, size, angle, turn)
            if objects is None:
                frame = render(label, pose, colour, lit, 4, rng)
            else:
                frame = render(NOTHING, pose, colour, lit, 0, rng)
                if label != NOTHING:
                    _put(frame, objects[(seed * PASSES + number) % len(objects)], pose)
            _, jpeg = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            frames.append(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1], np.uint8))
    return frames


def _put(frame: Picture, thing: Picture, pose: Pose) -> None:
    """Put a picture of something else where a toy would be."""
    half = int(pose.size)
    sprite = cv2.resize(thing, (2 * half, 2 * half), interpolation=cv2.INTER_AREA)
    left, top = int(pose.x) - half, int(pose.y) - half
    x0, x1 = max(left, 0), min(left + 2 * half, WIDTH)
    y0, y1 = max(top, 0), min(top + 2 * half, HEIGHT)
    if x0 < x1 and y0 < y1:
        frame[y0:y1, x0:x1] = sprite[y0 - top : y1 - top, x0 - left : x1 - left]


def _noisy(picture: NDArray[np.float32], rng: np.random.Generator) -> Picture:
    """What a sensor makes of light: the brighter, the more noise, as in `demo.scene`."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * (2 + 0.018 * picture)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _lit(red: float, green: float, blue: float) -> Change:
    gains = np.array([red, green, blue], np.float32)
    return lambda picture, rng: _noisy(picture * gains, rng)


def _blurred(sigma: float) -> Change:
    def change(picture: Picture, rng: np.random.Generator) -> Picture:
        return _noisy(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma), rng)

    return change


def _hazed(part: float) -> Change:
    """A film of dirt: soft, and grey light over everything."""

    def change(picture: Picture, rng: np.random.Generator) -> Picture:
        soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 6)
        return _noisy(picture * (1 - part) + part * (0.5 * soft + 70), rng)

    return change


def _moved(angle: float, zoom: float, x: float, y: float) -> Change:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, zoom)
    matrix[:, 2] += [x * WIDTH, y * HEIGHT]

    def change(picture: Picture, rng: np.random.Generator) -> Picture:
        size = (WIDTH, HEIGHT)
        moved = cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)

    return change


def _covered(value: float, part: float) -> Change:
    """Something near, out of focus and of one brightness, over a part of the picture."""
    edge = np.clip((np.arange(WIDTH) - WIDTH * (1 - part)) / 24 + 0.5, 0, 1)[None, :, None]
    mask = np.ones((1, WIDTH, 1)) if part == 1 else edge

    def change(picture: Picture, rng: np.random.Generator) -> Picture:
        cover = np.array([1.1, 1.0, 0.9]) * value
        return _noisy((picture * (1 - mask) + cover * mask).astype(np.float32), rng)

    return change


# What happens to a camera, at several strengths; "unchanged" and "other objects" are made apart.
CHANGES: dict[str, Change] = {
    "dark, half the light": _lit(0.5, 0.5, 0.5),
    "dark, a quarter": _lit(0.25, 0.25, 0.25),
    "dark, a tenth": _lit(0.1, 0.1, 0.1),
    "bright, 1.6 times": _lit(1.6, 1.6, 1.6),
    "bright, 2.5 times": _lit(2.5, 2.5, 2.5),
    "cast, red by 1.3": _lit(1.3, 1, 0.77),
    "cast, red by 2": _lit(2, 1, 0.5),
    "cast, blue by 1.3": _lit(0.77, 1, 1.3),
    "cast, blue by 2": _lit(0.5, 1, 2),
    "cast, green by 1.5": _lit(0.8, 1.2, 0.8),
    "blur, 2 px of 240": _blurred(2),
    "blur, 4 px": _blurred(4),
    "blur, 8 px": _blurred(8),
    "dirt, 40 %": _hazed(0.4),
    "dirt, 80 %": _hazed(0.8),
    "moved, a third aside": _moved(0, 1, 0.33, 0.1),
    "moved, on its side": _moved(90, 1.34, 0, 0),
    "moved, three times nearer": _moved(0, 3, 0, 0),
    "covered, half": _covered(40, 0.6),
    "covered, by a lid": _covered(3, 1),
    "covered, by cloth": _covered(90, 1),
}
