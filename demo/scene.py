"""Rendered toys passing a camera: training pictures and a labelled clip.

Every picture is drawn four times as large and averaged down, then blurred, lit and given sensor
noise, so that a network has something to learn and the clip looks like one from a camera.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE = 320, 240, 25
FRAMES_PER_PASS = 40
_SUPER = 3

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
# A drawing takes a canvas, a transform from toy to canvas coordinates, and a colour.
Draw = Callable[[Image, "Pose", Colour], None]


@dataclass(frozen=True)
class Pose:
    """Where a toy is: centre in pixels, half size in pixels, rotation in radians, squeeze."""

    x: float
    y: float
    size: float
    angle: float
    squeeze: float

    def points(self, toy: list[tuple[float, float]]) -> NDArray[np.int32]:
        """Toy coordinates (about -1 to 1) to canvas coordinates, as OpenCV takes polygons."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        xy = np.array(toy) * [self.squeeze, 1.0] * self.size
        turned = xy @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(np.round(turned + np.array((self.x, self.y))), dtype=np.int32)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (int(np.clip(c * factor, 0, 255)) for c in colour)
    return red, green, blue


def _polygon(canvas: Image, pose: Pose, toy: list[tuple[float, float]], colour: Colour) -> None:
    cv2.fillPoly(canvas, [pose.points(toy)], colour, cv2.LINE_AA)


def _disc(
    canvas: Image, pose: Pose, at: tuple[float, float], radius: float, colour: Colour
) -> None:
    steps = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = [(at[0] + radius * np.cos(t), at[1] + radius * np.sin(t)) for t in steps]
    _polygon(canvas, pose, [(float(x), float(y)) for x, y in ring], colour)


def _ball(canvas: Image, pose: Pose, colour: Colour) -> None:
    for step in range(12):
        part = step / 12
        _disc(canvas, pose, (-0.3 * part, -0.3 * part), 1 - 0.85 * part,
              _shade(colour, 0.55 + 0.8 * part))  # fmt: skip


def _cube(canvas: Image, pose: Pose, colour: Colour) -> None:
    top = [(-0.9, -0.45), (0.0, -0.95), (0.9, -0.45), (0.0, 0.05)]
    left = [(-0.9, -0.45), (0.0, 0.05), (0.0, 1.0), (-0.9, 0.5)]
    right = [(0.9, -0.45), (0.0, 0.05), (0.0, 1.0), (0.9, 0.5)]
    for face, light in ((top, 1.3), (left, 0.95), (right, 0.6)):
        _polygon(canvas, pose, face, _shade(colour, light))


def _star(canvas: Image, pose: Pose, colour: Colour) -> None:
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, 11)[:-1]
    radii = [1.05, 0.45] * 5
    points = [(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, angles)]  # noqa: B905
    _polygon(canvas, pose, points, _shade(colour, 0.7))
    _polygon(canvas, pose, [(0.8 * x, 0.8 * y) for x, y in points], _shade(colour, 1.2))


def _mug(canvas: Image, pose: Pose, colour: Colour) -> None:
    _disc(canvas, pose, (0.62, 0.1), 0.5, _shade(colour, 0.75))
    hole = canvas[int(np.clip(pose.y, 0, canvas.shape[0] - 1)), 0]
    _disc(canvas, pose, (0.66, 0.1), 0.28, (int(hole[0]), int(hole[1]), int(hole[2])))
    _polygon(canvas, pose, [(-0.8, -0.8), (0.6, -0.8), (0.5, 0.95), (-0.7, 0.95)], colour)
    _polygon(canvas, pose, [(-0.8, -0.8), (-0.4, -0.8), (-0.42, 0.95), (-0.7, 0.95)],
             _shade(colour, 1.3))  # fmt: skip
    steps = np.linspace(0, 2 * np.pi, 32)
    rim = [(float(-0.1 + 0.7 * np.cos(t)), float(-0.8 + 0.18 * np.sin(t))) for t in steps]
    _polygon(canvas, pose, rim, _shade(colour, 0.45))


def _banana(canvas: Image, pose: Pose, colour: Colour) -> None:
    steps = np.linspace(0.15 * np.pi, 0.85 * np.pi, 24)
    outer = [(float(1.15 * np.cos(t)), float(-0.6 + 1.25 * np.sin(t))) for t in steps]
    inner = [(float(1.1 * np.cos(t)), float(-0.6 + 0.75 * np.sin(t))) for t in steps[::-1]]
    middle = [(float(1.12 * np.cos(t)), float(-0.6 + 1.0 * np.sin(t))) for t in steps[::-1]]
    _polygon(canvas, pose, outer + inner, _shade(colour, 0.8))
    _polygon(canvas, pose, outer + middle, _shade(colour, 1.15))
    for x, y in (outer[0], outer[-1]):
        _disc(canvas, pose, (0.97 * x, y - 0.08), 0.12, (60, 45, 25))


def _key(canvas: Image, pose: Pose, colour: Colour) -> None:
    hole = canvas[int(np.clip(pose.y, 0, canvas.shape[0] - 1)), 0]
    _disc(canvas, pose, (-0.6, 0.0), 0.5, colour)
    _disc(canvas, pose, (-0.66, 0.0), 0.22, (int(hole[0]), int(hole[1]), int(hole[2])))
    _polygon(canvas, pose, [(-0.2, -0.14), (1.1, -0.14), (1.1, 0.14), (-0.2, 0.14)],
             _shade(colour, 1.15))  # fmt: skip
    for x in (0.55, 0.9):
        _polygon(canvas, pose, [(x, 0.1), (x + 0.18, 0.1), (x + 0.18, 0.5), (x, 0.5)],
                 _shade(colour, 0.85))  # fmt: skip


_TOYS: dict[str, tuple[Draw, list[Colour]]] = {
    "ball": (_ball, [(215, 50, 45), (45, 110, 210), (240, 140, 40)]),
    "banana": (_banana, [(240, 205, 60), (225, 190, 45)]),
    "cube": (_cube, [(60, 150, 80), (180, 70, 150), (70, 120, 200), (200, 80, 60)]),
    "key": (_key, [(190, 160, 80), (165, 170, 178)]),
    "mug": (_mug, [(230, 230, 225), (70, 130, 190), (200, 75, 65), (90, 160, 110)]),
    "star": (_star, [(245, 200, 55), (220, 80, 120), (90, 170, 220)]),
}
CLASSES = [*sorted([*_TOYS, "nothing"])]


@dataclass(frozen=True)
class Place:
    """What surrounds the toy: wall and table colours, the table's edge, the light."""

    wall: Colour
    table: Colour
    edge: float
    light: float
    warmth: float


def random_place(rng: np.random.Generator) -> Place:
    """A background of muted colours."""
    wall = rng.integers(90, 200, 3) * 0.4 + rng.integers(90, 200) * 0.6
    table = rng.integers(60, 170, 3) * 0.3 + np.array([150, 120, 90]) * rng.uniform(0.4, 1.0)
    return Place(
        _shade((int(wall[0]), int(wall[1]), int(wall[2])), 1.0),
        _shade((int(table[0]), int(table[1]), int(table[2])), 0.9),
        rng.uniform(0.45, 0.7),
        rng.uniform(0.65, 1.25),
        rng.uniform(-0.08, 0.08),
    )


def render(
    label: str,
    pose: Pose,
    colour: Colour,
    place: Place,
    blur: float,
    rng: np.random.Generator,
) -> Image:
    """One camera frame, (240, 320, 3) uint8 RGB; `pose` is in its pixels, `blur` is horizontal."""
    canvas = np.empty((HEIGHT * _SUPER, WIDTH * _SUPER, 3), np.uint8)
    canvas[:] = place.wall
    canvas[int(canvas.shape[0] * place.edge) :] = place.table
    if label != "nothing":
        draw = _TOYS[label][0]
        large = Pose(pose.x * _SUPER, pose.y * _SUPER, pose.size * _SUPER, pose.angle, pose.squeeze)
        shadow = (int(large.x + 0.15 * large.size), int(large.y + 0.95 * large.size))
        axes = (int(large.size * pose.squeeze), int(0.22 * large.size))
        cv2.ellipse(canvas, shadow, axes, 0, 0, 360, _shade(place.table, 0.6), -1, cv2.LINE_AA)
        draw(canvas, large, colour)
    if blur >= 1:
        canvas = np.asarray(cv2.blur(canvas, (int(blur * _SUPER), 1)), dtype=np.uint8)
    small = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    # A lamp at the upper left, its colour, and the sensor's noise.
    fall = (
        np.linspace(1.12, 0.88, WIDTH)[None, :, None]
        * np.linspace(1.08, 0.9, HEIGHT)[:, None, None]
    )
    tint = np.array([1 + place.warmth, 1.0, 1 - place.warmth])
    lit = small * fall * tint * place.light
    noisy = lit + rng.normal(0, 5, lit.shape)
    return np.asarray(np.clip(noisy, 0, 255), dtype=np.uint8)


def _random_pose(rng: np.random.Generator) -> Pose:
    return Pose(
        rng.uniform(100, WIDTH - 100),
        rng.uniform(95, 150),
        rng.uniform(38, 72),
        rng.uniform(-0.6, 0.6),
        rng.uniform(0.75, 1.0),
    )


def _random_colour(label: str, rng: np.random.Generator) -> Colour:
    if label == "nothing":
        return 0, 0, 0
    colours = _TOYS[label][1]
    return _shade(colours[int(rng.integers(len(colours)))], rng.uniform(0.85, 1.1))


def random_picture(label: str, rng: np.random.Generator) -> Image:
    """A training picture of `label`, (240, 320, 3) uint8 RGB."""
    place, pose = random_place(rng), _random_pose(rng)
    return render(label, pose, _random_colour(label, rng), place, rng.uniform(0, 8), rng)


def write_pictures(folder: Path, per_class: int, seed: int) -> None:
    """Write `per_class` pictures of each class as JPEG, a folder per class."""
    for number, label in enumerate(CLASSES):
        rng = np.random.default_rng([seed, number])
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(per_class):
            picture = random_picture(label, rng)
            name = str(folder / label / f"{index:04}.jpg")
            cv2.imwrite(name, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def write_clip(clip: Path, truth: Path, passes: int = 12, seed: int = 2024) -> None:
    """Write a clip of toys carried past the camera, one after another, and its truth.

    `truth` is JSON: a list with the label of each frame. A toy counts while its centre is in the
    part of the picture that the model sees; where it is half in, neither answer would be wrong,
    and the truth is null.
    """
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    labels: list[str | None] = []
    toys = [label for label in CLASSES if label != "nothing"]
    order = [toys[i % len(toys)] for i in rng.permutation(passes)]
    place = random_place(rng)
    for label in order:
        colour, start = _random_colour(label, rng), _random_pose(rng)
        light = rng.uniform(0.75, 1.2)
        spin = rng.uniform(-0.5, 0.5)
        for step in range(FRAMES_PER_PASS):
            part = step / (FRAMES_PER_PASS - 1)
            # In from the left, slowly across the middle, out at the right.
            x = WIDTH / 2 + WIDTH * 0.85 * (2 * part - 1) ** 3
            speed = abs(6 * 0.85 * WIDTH * (2 * part - 1) ** 2 / FRAMES_PER_PASS)
            pose = Pose(x, start.y, start.size * (0.9 + 0.2 * part), spin * (part - 0.5) * 2,
                        start.squeeze)  # fmt: skip
            flicker = Place(place.wall, place.table, place.edge,
                            light * (1 + 0.06 * np.sin(step / 3)), place.warmth)  # fmt: skip
            frame = render(label, pose, colour, flicker, min(speed * 0.5, 10), rng)
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            # The model sees the middle 240 of 320 columns.
            outside = abs(x - WIDTH / 2) - HEIGHT / 2
            if outside > pose.size * 0.9:
                labels.append("nothing")
            elif outside > -pose.size * 0.7:
                labels.append(None)
            else:
                labels.append(label)
    writer.release()
    truth.write_text(json.dumps(labels))
