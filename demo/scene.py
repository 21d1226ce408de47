"""Rendered toys passing a camera: training pictures and a labelled clip.

A toy is drawn large, put in perspective, blurred by its movement and averaged down; then the
whole frame is lit, and given a sensor's noise, so that a network has something to learn and the
clip looks like one from a camera.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.toys import SIDE, TOYS, UNIT, Colour

WIDTH, HEIGHT, RATE = 320, 240, 25
FRAMES_PER_PASS = 40
NOTHING = "nothing"
CLASSES = sorted([*TOYS, NOTHING])
_SUPER = 2

Image = NDArray[np.uint8]
Layer = NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """Where a toy is.

    Attributes:
        x, y: centre, in pixels of the frame.
        size: half its size, in pixels.
        angle: lean in the picture, in radians.
        turn: turn about the upright axis, in radians.
    """

    x: float
    y: float
    size: float
    angle: float
    turn: float


@dataclass(frozen=True)
class Place:
    """What surrounds the toy.

    Attributes:
        background: (HEIGHT, WIDTH, 3) float32, RGB from 0 to 255, before the light.
        light: brightness of the lamp; 1 is a good exposure.
        warmth: from blue (negative) to red light.
    """

    background: Layer
    light: float
    warmth: float


def _grain(rng: np.random.Generator, cells: tuple[int, int]) -> Layer:
    """Smooth noise of about -1 to 1 with `cells` (rows, columns) over the frame."""
    coarse = rng.uniform(-1, 1, cells).astype(np.float32)
    return np.asarray(
        cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), dtype=np.float32
    )


def random_place(rng: np.random.Generator) -> Place:
    """A plastered wall of a muted colour behind a wooden table."""
    wall = 0.45 * rng.uniform(70, 215, 3) + 0.55 * rng.uniform(90, 215)
    table = np.array([168, 122, 82]) * rng.uniform(0.5, 1.25) + rng.uniform(-18, 18, 3)
    plaster = 1 + 0.035 * _grain(rng, (6, 8)) + 0.02 * _grain(rng, (60, 80))
    wood = 1 + 0.09 * _grain(rng, (48, 4)) + 0.05 * _grain(rng, (120, 9))
    edge = rng.uniform(0.42, 0.62) * HEIGHT
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    on_table = np.clip(rows - edge + 0.5, 0, 1)[..., None]
    # The wall darkens towards the table, and the table's rim catches the light.
    wall_light = 1 - 0.22 * np.exp(-np.abs(edge - rows) / 14)
    rim = 1 + 0.25 * np.exp(-np.abs(rows - edge - 1.5) / 1.5)
    behind = wall * (plaster * wall_light)[..., None]
    before = table * (wood * rim)[..., None]
    background = behind * (1 - on_table) + before * on_table
    return Place(background.astype(np.float32), rng.uniform(0.7, 1.2), rng.uniform(-0.09, 0.09))


def _outline(label: str, pose: Pose) -> NDArray[np.float64]:
    """Where the corners of the toy's sprite lie in the frame, (4, 2)."""
    reach = SIDE / 2 / UNIT
    corners = np.array([(-reach, -reach), (reach, -reach), (reach, reach), (-reach, reach)])
    if TOYS[label].flat:
        # A card turned about its upright axis, before a camera five units away.
        near = 5 / (5 - corners[:, :1] * np.sin(pose.turn))
        corners = corners * [np.cos(pose.turn), 1.0] * near
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    turned = corners @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(turned * pose.size + [pose.x, pose.y], dtype=np.float64)


def _toy_layer(label: str, pose: Pose, colour: Colour, blur: float) -> tuple[Layer, int, int]:
    """The toy as premultiplied RGBA at the frame's scale, and its left and top there."""
    toy = TOYS[label]
    outline = _outline(label, pose)
    margin = int(blur) + 2
    left, top = np.floor(outline.min(axis=0)).astype(int) - margin
    right, bottom = np.ceil(outline.max(axis=0)).astype(int) + margin
    sprite = toy.draw(colour, 0.0 if toy.flat else pose.turn)
    source = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)], np.float32)
    target = ((outline - [left, top]) * _SUPER).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    large = cv2.warpPerspective(
        sprite, matrix, ((right - left) * _SUPER, (bottom - top) * _SUPER), flags=cv2.INTER_LINEAR
    )
    if blur >= 1:
        large = cv2.blur(large, (int(blur * _SUPER), 1))
    small = cv2.resize(large, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32), int(left), int(top)


def _inside(left: int, top: int, layer: Layer) -> tuple[slice, slice, slice, slice]:
    """The part of a layer within the frame: rows and columns of the frame, and of the layer."""
    height, width = layer.shape[:2]
    y0, y1 = min(max(top, 0), HEIGHT), max(min(top + height, HEIGHT), 0)
    x0, x1 = min(max(left, 0), WIDTH), max(min(left + width, WIDTH), 0)
    return slice(y0, y1), slice(x0, x1), slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


def _put_toy(frame: Layer, label: str, pose: Pose, colour: Colour, blur: float) -> None:
    """Draw the toy and the soft shadow at its foot onto a frame that is not lit yet."""
    layer, left, top = _toy_layer(label, pose, colour, blur)
    covered = np.flatnonzero(layer[..., 3].max(axis=1) > 0.3)
    wide = np.flatnonzero(layer[..., 3].max(axis=0) > 0.3)
    if covered.size and wide.size:
        # The lamp is at the upper left, so the shadow falls to the right of the foot.
        foot = top + float(covered[-1])
        span = float(wide[-1] - wide[0]) / 2
        middle = left + float(wide[0]) + span
        ys, xs = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        far = ((xs - middle - 0.18 * span) / (0.95 * span + 4)) ** 2 + (
            (ys - foot + 1) / (0.17 * pose.size + 2)
        ) ** 2
        frame *= 1 - 0.62 * np.exp(-1.3 * far)[..., None]
    rows, columns, layer_rows, layer_columns = _inside(left, top, layer)
    part = layer[layer_rows, layer_columns]
    frame[rows, columns] = frame[rows, columns] * (1 - part[..., 3:]) + part[..., :3]


def render(
    label: str, pose: Pose, colour: Colour, place: Place, blur: float, rng: np.random.Generator
) -> Image:
    """One camera frame, (240, 320, 3) uint8 RGB; `blur` is the toy's way in it, in pixels."""
    frame = place.background.copy()
    if label != NOTHING:
        _put_toy(frame, label, pose, colour, blur)
    # A lamp at the upper left, its colour, a soft lens, and the sensor's noise.
    fall = (
        np.linspace(1.14, 0.84, WIDTH)[None, :, None]
        * np.linspace(1.08, 0.88, HEIGHT)[:, None, None]
    )
    tint = np.array([1 + place.warmth, 1.0, 1 - place.warmth])
    lit = frame * (fall * tint * place.light).astype(np.float32)
    lit = np.asarray(cv2.GaussianBlur(lit, (0, 0), 0.55), dtype=np.float32)
    # Light comes in grains: the brighter, the more noise.
    noise = rng.standard_normal(lit.shape, dtype=np.float32) * (2.0 + 0.018 * lit)
    return np.clip(lit + noise, 0, 255).astype(np.uint8)


def _random_pose(label: str, rng: np.random.Generator) -> Pose:
    sway = TOYS[label].sway if label != NOTHING else 0.0
    return Pose(
        rng.uniform(85, WIDTH - 85),
        rng.uniform(100, 150),
        rng.uniform(40, 76),
        rng.uniform(-sway, sway),
        rng.uniform(-0.75, 0.75),
    )


def _random_colour(label: str, rng: np.random.Generator) -> Colour:
    if label == NOTHING:
        return 0, 0, 0
    colours = TOYS[label].colours
    return colours[int(rng.integers(len(colours)))]


def random_picture(label: str, rng: np.random.Generator) -> Image:
    """A training picture of `label`, (240, 320, 3) uint8 RGB."""
    place, pose, colour = random_place(rng), _random_pose(label, rng), _random_colour(label, rng)
    return render(label, pose, colour, place, rng.uniform(0, 9), rng)


def write_pictures(folder: Path, per_class: int, seed: int) -> None:
    """Write `per_class` pictures of each class as JPEG, a folder per class."""
    for number, label in enumerate(CLASSES):
        rng = np.random.default_rng([seed, number])
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            picture = cv2.cvtColor(random_picture(label, rng), cv2.COLOR_RGB2BGR)
            file = folder / label / f"{index:04}.jpg"
            if not cv2.imwrite(str(file), picture):
                raise OSError(f"cannot write {file}")


def _truth(label: str, pose: Pose) -> str | None:
    """What the model should say: it sees the middle 240 of 320 columns."""
    outside = abs(pose.x - WIDTH / 2) - HEIGHT / 2
    if outside > pose.size * 1.2 + 4:
        return NOTHING
    return label if outside < -pose.size * 0.55 else None


def write_clip(clip: Path, truth: Path, passes: int = 12, seed: int = 2024) -> None:
    """Write a clip of toys carried past the camera, one after another, and its truth.

    `truth` is JSON: a list with the label of each frame. Where a toy is half in the part of the
    picture that the model sees, neither answer would be wrong, and the truth is null.
    """
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise OSError(f"cannot write the clip {clip}")
    labels: list[str | None] = []
    order = [list(TOYS)[i % len(TOYS)] for i in rng.permutation(passes)]
    place = random_place(rng)
    for label in order:
        colour, start = _random_colour(label, rng), _random_pose(label, rng)
        light, warmth = rng.uniform(0.78, 1.15), rng.uniform(-0.08, 0.08)
        spin = rng.uniform(-0.8, 0.8)
        for step in range(FRAMES_PER_PASS):
            part = step / (FRAMES_PER_PASS - 1)
            # In from the left, slowly across the middle, out at the right.
            path, slope = 2 * part - 1, 2 / (FRAMES_PER_PASS - 1)
            x = WIDTH / 2 + WIDTH * (0.25 * path + 0.6 * path**3)
            speed = WIDTH * (0.25 + 1.8 * path**2) * slope
            pose = Pose(
                x,
                start.y,
                start.size * (0.9 + 0.2 * part),
                start.angle + 0.15 * spin * path,
                start.turn * 0.5 + spin * path,
            )
            now = replace(place, light=light * (1 + 0.06 * np.sin(step / 3)), warmth=warmth)
            frame = render(label, pose, colour, now, min(speed * 0.4, 9), rng)
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            labels.append(_truth(label, pose))
    writer.release()
    truth.write_text(json.dumps(labels))
