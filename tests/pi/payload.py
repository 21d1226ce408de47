"""What an emulated board is given, and what is made of what it hands back."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo.fixtures import material_in
from demo.scene import FRAMES_PER_PASS
from tests.pi import answers, package_scenario, scenario
from tests.pi.image import ROOT, CannotRunError, build_wheels
from tests.tiny import tiny_model

_DEMO = ROOT / "build" / "demo"
# What can happen on a board.
SERVICE, PACKAGE = "scenario", "package_scenario"
_PLACE = Path("tests/pi")
_FRAMES, _PICTURES = 18, 8
# Frames per second and seconds of the recording: slow enough for an emulator, and long enough for
# every step that plays it.
_RATE, _SECONDS = 2, 600
# Steps of 1/256 by which a score may differ between the default kernels of two processors; those of
# the reference kernels may not at all. Measured: 17 between x86-64 and aarch64 (tflite-runtime), on
# pictures that are half one toy and half another, where one step of a logit is that much.
TOLERANCE = 24


@dataclass(frozen=True)
class Verdict:
    """What became of a step."""

    step: str
    passed: bool
    told: str
    seconds: float


def make_payload(folder: Path, kind: str, source: str, happens: str = SERVICE) -> None:
    """Fill a folder that the board sees as /payload.

    Args:
        folder: it; emptied first.
        kind: `container` or `machine`.
        source: where the service takes its frames from.
        happens: `SERVICE` or `PACKAGE`.

    Raises:
        CannotRunError: the demo has not been made.
    """
    material, model = material_in(_DEMO), _DEMO / "resnet18-int8.tflite"
    if not model.is_file():
        raise CannotRunError("there is no model yet; make it with: make demo")
    shutil.rmtree(folder, ignore_errors=True)
    build_wheels(folder / "wheels")
    for file in (model, material.classes, Path(answers.__file__)):
        shutil.copy(file, folder)
    # The board starts /payload/scenario.py.
    (folder / _PLACE).mkdir(parents=True)
    for module in (SERVICE, PACKAGE):
        shutil.copy(ROOT / _PLACE / f"{module}.py", folder / _PLACE)
    start = f"from tests.pi.{happens} import main\n\nmain()\n"
    (folder / "scenario.py").write_text(start, encoding="utf-8")
    (folder / model.name).rename(folder / "model.tflite")
    (folder / "damaged.tflite").write_bytes(model.read_bytes()[:100_000])
    tiny_model(folder / "colours.tflite")
    tiny_model(folder / "compiled.tflite", compiled=True)
    (folder / "settings.json").write_text(
        json.dumps({"kind": kind, "source": source, "happens": happens}), encoding="utf-8"
    )
    _record(material.clip, folder)


def _record(clip: Path, folder: Path) -> None:
    """A slow recording, a folder of pictures and frames to compare, from the demo's clip."""
    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG)
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1])
    capture.release()
    # A toy is in the middle of the picture half-way through each pass.
    start = FRAMES_PER_PASS // 2
    toys = frames[start::FRAMES_PER_PASS]
    height, width = frames[0].shape[:2]
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(folder / "clip.avi"), fourcc, _RATE, (width, height))
    for number in range(_RATE * _SECONDS):
        writer.write(frames[(start + number) % len(frames)])
    writer.release()
    (folder / "pictures").mkdir()
    for number, frame in enumerate(toys[:_PICTURES]):
        cv2.imwrite(str(folder / "pictures" / f"{number:04}.png"), frame)
    # Two toys at once, because scores near a half show differences that sure ones hide.
    pairs = zip(toys, toys[1:] + toys[:1], strict=True)
    mixed = [cv2.addWeighted(one, share, other, 1 - share, 0)
             for one, other in pairs for share in (0.4, 0.5, 0.6)]  # fmt: skip
    np.savez(folder / "frames.npz", frames=np.stack(mixed[:_FRAMES])[..., ::-1])


def judge(folder: Path) -> list[Verdict]:
    """What the board says of each step, and its answers beside those of this machine."""
    try:
        told = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except OSError:
        told = []
    verdicts = [Verdict(**result) for result in told]
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    steps = {SERVICE: scenario.steps(settings["kind"]), PACKAGE: package_scenario.STEPS}
    for name in list(steps[settings["happens"]])[len(verdicts) :]:
        verdicts.append(Verdict(name, False, "was not reached", 0.0))
    if (folder / "answers.npz").is_file():
        verdicts += _compare(folder)
    return verdicts


def _compare(folder: Path) -> list[Verdict]:
    there = np.load(folder / "answers.npz")
    answers.answers(folder / "model.tflite", folder / "frames.npz", folder / "here.npz",
                    str(there["runtime"]))  # fmt: skip
    here = np.load(folder / "here.npz")
    made = f"{there['made_with']}; here {here['made_with']}"
    differs = np.abs(here["tensors"].astype(int) - there["tensors"].astype(int))
    # The same picture for both: resizing is OpenCV's, and another version may round otherwise.
    pixels = (
        f"{int((differs > 0).sum())} of {differs.size} pixels differ, by {differs.max()} at most"
    )
    equal = np.array_equal(here["reference"], there["reference"])
    steps = np.abs(here["default"] - there["default"]) * 256
    return [
        Verdict("frames are prepared alike", bool(differs.max() <= 1), f"{pixels} ({made})", 0.0),
        Verdict("the reference kernels answer with equal bits", equal, "", 0.0),
        Verdict(f"the default kernels differ by {TOLERANCE}/256 at most",
                bool(steps.max() <= TOLERANCE),
                f"{int((steps > 0).sum())} of {steps.size} scores differ, by {steps.max():g} steps "
                "at most", 0.0),
    ]  # fmt: skip
