"""The toys of the demo, drawn and shaded as pictures with transparency.

Every toy is a sprite: (SIDE, SIDE, 4) float32, RGB from 0 to 255 times alpha, and alpha from 0 to
1. A unit of a toy's own coordinates is `UNIT` pixels; x runs right, y down, z to the camera.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE, UNIT = 256, 84
Sprite = NDArray[np.float32]
Plane = NDArray[np.float32]
Colour = tuple[int, int, int]

_Y, _X = ((np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) / UNIT).astype(np.float32)
# The lamp hangs at the upper left, before the toy.
_LAMP = np.array([-0.48, -0.62, 0.62]) / np.linalg.norm([0.48, 0.62, 0.62])
_STICKERS = ((235, 235, 230), (205, 45, 45), (35, 85, 190), (235, 130, 30), (40, 150, 80),
             (240, 205, 50))  # fmt: skip


def _light(nx: Plane, ny: Plane, nz: Plane) -> Plane:
    """Brightness of a matt surface with these normals; 1 is where it faces the lamp."""
    facing = _LAMP[0] * nx + _LAMP[1] * ny + _LAMP[2] * nz
    return np.asarray(0.38 + 0.72 * np.maximum(facing, 0), dtype=np.float32)


def _gloss(nx: Plane, ny: Plane, nz: Plane, sharpness: float) -> Plane:
    """The lamp's reflection, from 0 to 1."""
    middle = _LAMP + np.array((0, 0, 1))
    half = middle / np.linalg.norm(middle)
    facing = half[0] * nx + half[1] * ny + half[2] * nz
    return np.asarray(np.maximum(facing, 0) ** sharpness, dtype=np.float32)


def _polygon(points: NDArray[np.float64] | list[tuple[float, float]]) -> Plane:
    """Coverage of a polygon given in toy coordinates, (SIDE, SIDE) float32 from 0 to 1."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    _fill(mask, points, (255, 0, 0))
    return mask.astype(np.float32) / 255


def _fill(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float64] | list[tuple[float, float]],
    colour: Colour,
) -> None:
    """Fill a polygon given in toy coordinates, to a sixteenth of a pixel."""
    corners = np.round((np.array(points) * UNIT + SIDE / 2 - 0.5) * 16).astype(np.int32)
    cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA, shift=4)


def _cut_out(canvas: NDArray[np.uint8], cover: Plane) -> Sprite:
    """A sprite of the covered part of an opaque picture (SIDE, SIDE, 3)."""
    colours = canvas.astype(np.float32) * cover[..., None]
    return np.dstack([colours, cover]).astype(np.float32)


def _shade(colour: Colour, nx: float, ny: float, nz: float) -> Colour:
    """A colour as a flat side with this normal shows it."""
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    brightness = 0.38 + 0.72 * max(float(_LAMP @ (nx, ny, nz)) / length, 0.0)
    red, green, blue = (min(int(part * brightness), 255) for part in colour)
    return red, green, blue


def _disc(x: float, y: float, rx: float, ry: float) -> Plane:
    """Coverage of an ellipse, (SIDE, SIDE) float32 from 0 to 1."""
    radius = np.hypot((_X - x) / rx, (_Y - y) / ry)
    return np.asarray(np.clip((1 - radius) * min(rx, ry) * UNIT + 0.5, 0, 1), dtype=np.float32)


def _paint(sprite: Sprite, cover: Plane, colour: Colour | NDArray[np.float32]) -> None:
    """Lay a colour, or one for each pixel (SIDE, SIDE, 3), over the sprite."""
    sprite *= 1 - cover[..., None]
    sprite[..., :3] += cover[..., None] * np.asarray(colour, np.float32)
    sprite[..., 3] += cover


def _lit(colour: Colour, brightness: Plane, gloss: Plane | float = 0.0) -> NDArray[np.float32]:
    """A colour under a light for each pixel, (SIDE, SIDE, 3) float32."""
    shine = np.asarray(gloss, np.float32) * np.ones_like(brightness)
    return np.asarray(
        brightness[..., None] * np.asarray(colour, np.float32) + 255 * shine[..., None],
        dtype=np.float32,
    )


def _bevelled(cover: Plane, depth: float) -> tuple[Plane, Plane, Plane]:
    """Normals of a flat thing whose rim is rounded over `depth` pixels."""
    inside = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    height = cv2.GaussianBlur(np.minimum(inside, depth), (0, 0), 1.6).astype(np.float32)
    nx = -cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    ny = -cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    length = np.sqrt(nx * nx + ny * ny + 1)
    return (
        np.asarray(nx / length, dtype=np.float32),
        np.asarray(ny / length, dtype=np.float32),
        np.asarray(1 / length, dtype=np.float32),
    )


def _ball(colour: Colour, turn: float) -> Sprite:
    """A beach ball: six gores, every other one white."""
    sprite = np.zeros((SIDE, SIDE, 4), np.float32)
    nz = np.sqrt(np.maximum(1 - _X * _X - _Y * _Y, 0))
    # The pole leans to the right and to the camera.
    lean, nod = 0.55, 0.6
    x1, y1 = _X * np.cos(lean) + _Y * np.sin(lean), _Y * np.cos(lean) - _X * np.sin(lean)
    y2, z2 = y1 * np.cos(nod) + nz * np.sin(nod), nz * np.cos(nod) - y1 * np.sin(nod)
    wave = np.sin(3 * (np.arctan2(x1, z2) + turn))
    # Blend over about a pixel, as the gores narrow towards the pole.
    share = np.clip(0.5 + wave * np.hypot(x1, z2) * UNIT / 6, 0, 1)
    cap = np.clip((np.abs(y2) - 0.965) * UNIT, 0, 1)
    share = share * (1 - cap)
    paint = share[..., None] * np.array(colour, np.float32) + (1 - share[..., None]) * 240.0
    surface = paint * _light(_X, _Y, nz)[..., None]
    _paint(sprite, _disc(0, 0, 1, 1), surface + 150 * _gloss(_X, _Y, nz, 40)[..., None])
    return sprite


def _banana(colour: Colour, turn: float) -> Sprite:
    """A crescent with three ridged sides, a green neck and brown ends."""
    sprite = np.zeros((SIDE, SIDE, 4), np.float32)
    centre, bow = -1.0, 1.18
    radius = np.hypot(_X, _Y - centre)
    along = np.arctan2(_X, _Y - centre) / 1.02
    taper = np.clip(1 - np.abs(along) ** 3.2, 0, 1)
    half = 0.08 + 0.27 * np.sqrt(taper)
    across = (radius - bow) / half
    edge = 0.16 * np.sin(turn)
    side = np.clip(0.5 + (across - edge + 0.30) * 14, 0, 1)
    under = np.clip(0.5 + (across - edge - 0.45) * 14, 0, 1)
    brightness = 1.10 - 0.16 * side - 0.30 * under - 0.10 * across * across
    skin = brightness[..., None] * np.array(colour, np.float32)
    green = np.clip((along - 0.72) * 4, 0, 0.7)[..., None]
    skin = skin * (1 - green) + green * brightness[..., None] * np.array((150, 175, 60), np.float32)
    brown = np.clip((np.abs(along) - 0.95) * 30, 0, 1)[..., None]
    skin = skin * (1 - brown) + brown * np.array((70, 50, 30), np.float32)
    cover = np.clip((1 - np.abs(across)) * half * UNIT + 0.5, 0, 1)
    cover = cover * np.clip((1.07 - np.abs(along)) * UNIT, 0, 1)
    _paint(sprite, cover.astype(np.float32), skin.astype(np.float32))
    return sprite


def _cube(colour: Colour, turn: float) -> Sprite:
    """A puzzle cube of nine stickers a side, seen from above a corner."""
    yaw, nod = turn + np.pi / 4, 0.5
    turned = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nodded = np.array([[1, 0, 0], [0, np.cos(nod), np.sin(nod)], [0, -np.sin(nod), np.cos(nod)]])
    spin = nodded @ turned
    camera, half = 5.0, 0.62

    def side(axis: int, sign: float, u: float, v: float, reach: float) -> NDArray[np.float64]:
        """Corners of a square on a side, as the camera sees them."""
        flat = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * reach + np.array((u, v))
        seen = np.insert(flat, axis, sign, axis=1) * half @ spin.T
        return np.asarray(seen[:, :2] * (camera / (camera - seen[:, 2:])), dtype=np.float64)

    # Black all over, so that the rims of two sides do not let the background through.
    canvas = np.full((SIDE, SIDE, 3), 24, np.uint8)
    cover = np.zeros((SIDE, SIDE), np.float32)
    # `colour` picks which sticker colour the first side has.
    shift = sum(colour)
    for number, (axis, sign) in enumerate((a, s) for a in range(3) for s in (-1.0, 1.0)):
        nx, ny, nz = (float(part) for part in spin[:, axis] * sign)
        if nz < 0.08:
            continue
        cover = np.maximum(cover, _polygon(side(axis, sign, 0, 0, 1)))
        shade = _shade(_STICKERS[(number + shift) % len(_STICKERS)], nx, ny, nz)
        for u in (-0.66, 0.0, 0.66):
            for v in (-0.66, 0.0, 0.66):
                _fill(canvas, side(axis, sign, u, v, 0.28), shade)
    return _cut_out(canvas, cover)


def _key(colour: Colour, turn: float) -> Sprite:
    """A door key of metal: a bow with a hole, a shaft, two bits."""
    sprite = np.zeros((SIDE, SIDE, 4), np.float32)
    cover = _disc(-0.72, 0.0, 0.5, 0.46)
    for corners in (
        [(-0.3, -0.12), (1.18, -0.12), (1.28, 0.0), (1.18, 0.12), (-0.3, 0.12)],
        [(-0.24, -0.2), (-0.12, -0.2), (-0.12, 0.2), (-0.24, 0.2)],
        [(0.55, 0.1), (0.75, 0.1), (0.75, 0.46), (0.55, 0.46)],
        [(0.87, 0.1), (1.1, 0.1), (1.1, 0.38), (0.87, 0.38)],
    ):
        cover = np.maximum(cover, _polygon(corners))
    cover = cover * (1 - _disc(-0.78, 0.0, 0.27, 0.25))
    nx, ny, nz = _bevelled(cover, 7)
    streak = 0.10 * np.sin(5 * _X + 3 * _Y + 4 * turn)
    surface = _lit(colour, _light(nx, ny, nz) + streak, 0.3 * _gloss(nx, ny, nz, 10))
    _paint(sprite, cover, surface)
    return sprite


def _mug(colour: Colour, turn: float) -> Sprite:
    """A mug of coffee with a pale band; its handle goes round with `turn`."""
    sprite = np.zeros((SIDE, SIDE, 4), np.float32)
    wide, top, bottom, flat = 0.66, -0.78, 0.82, 0.19
    reach = 0.60 * np.cos(turn)
    ring = _disc(wide * 0.9, 0.05, max(abs(reach), 0.2), 0.52) * (
        1 - _disc(wide * 0.9, 0.05, max(abs(reach) - 0.17, 0.04), 0.34)
    )
    nx, ny, nz = _bevelled(ring, 9)
    handle = np.zeros_like(sprite)
    _paint(handle, ring, _lit(colour, 0.92 * _light(nx, ny, nz)))
    sprite += handle if reach >= 0 else handle[:, ::-1]
    steps = np.linspace(0, np.pi, 40)
    base = np.stack([wide * 0.94 * np.cos(steps), bottom + flat * np.sin(steps)], axis=1)
    body = _polygon(np.concatenate([base, [(-wide, top), (wide, top)]]))
    nx = np.clip(_X / wide, -1, 1)
    nz = np.sqrt(1 - nx * nx)
    # A band follows the roundness of the mug.
    height = _Y - flat * nz
    band = np.clip(0.5 + (0.16 - np.abs(height - 0.12)) * UNIT, 0, 1)[..., None]
    still = np.zeros_like(nx)
    light, gloss = _light(nx, still, nz), 0.3 * _gloss(nx, still, nz, 22)
    glaze = _lit(colour, light, gloss)
    pale = 0.45 * np.array(colour) + 0.55 * 250
    stripe = _lit((int(pale[0]), int(pale[1]), int(pale[2])), light, gloss)
    _paint(sprite, body, glaze * (1 - band) + stripe * band)
    _paint(sprite, _disc(0, top, wide, flat), _lit(colour, np.full_like(_X, 1.12)))
    _paint(sprite, _disc(0, top + 0.012, wide - 0.06, flat - 0.03), _lit(colour, 0.5 - 0.15 * _X))
    drink = _disc(0, top + 0.09, wide - 0.1, flat - 0.05)
    _paint(sprite, drink * _disc(0, top + 0.012, wide - 0.06, flat - 0.03), (62, 38, 24))
    return sprite


def _star(colour: Colour, turn: float) -> Sprite:
    """A five-pointed star folded along its ten rays."""
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, 11)
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rim *= np.where(np.arange(11) % 2, 0.46, 1.12)[:, None]
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[:] = colour
    for first, second in itertools.pairwise(rim):
        out = np.array([second[1] - first[1], first[0] - second[0]])
        out *= 0.62 / np.linalg.norm(out)
        shade = _shade(colour, float(out[0]) + 0.2 * float(np.sin(turn)), float(out[1]), 0.6)
        _fill(canvas, np.array([(0.0, 0.0), first, second]), shade)
    return _cut_out(canvas, _polygon(rim[:-1]))


@dataclass(frozen=True)
class Toy:
    """How a class is drawn.

    Attributes:
        draw: makes the sprite from a colour and the turn about the upright axis, in radians.
        colours: what it is painted in.
        sway: how far it leans to either side, in radians.
        flat: whether a turn makes it narrower, rather than showing another side.
    """

    draw: Callable[[Colour, float], Sprite]
    colours: tuple[Colour, ...]
    sway: float
    flat: bool


TOYS = {
    "ball": Toy(_ball, ((220, 50, 45), (40, 110, 205), (240, 140, 40), (40, 160, 110)), 0.6, False),
    "banana": Toy(_banana, ((248, 212, 64), (238, 200, 48)), 0.5, True),
    "cube": Toy(_cube, ((0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0)), 0.15, False),
    "key": Toy(_key, ((205, 165, 70), (180, 186, 195)), 0.8, True),
    "mug": Toy(_mug, ((60, 125, 190), (200, 70, 60), (75, 150, 105), (225, 170, 60)), 0.15, False),
    "star": Toy(_star, ((250, 200, 50), (225, 80, 125), (85, 165, 225)), 0.5, True),
}
