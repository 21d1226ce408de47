"""What offline testing costs, and what it is good for: `python -m benchmarks.offline [--help]`.

The models and the 640x480 clip are those of `benchmarks.daemon`, made from the demo's checkpoint
and clip. Ratios are within one run, their parts by turns; absolute figures depend on the machine
and on what else it does.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import figures
from demo.fixtures import Material, make_material
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model.decision import DecisionSettings
from edgekit.offline.golden import Change, differences
from edgekit.offline.player import Player
from edgekit.offline.recording import Recording, progress
from edgekit.offline.replay import FRAMES, TOLERANCE, Replay, replay
from edgekit.vision.dataset import labelled_images
from edgekit.vision.encode import encode_png
from edgekit.vision.folders import image_files
from edgekit.vision.pictures import read_image
from edgekit.vision.videos import read_video

_DEMO, _SHARED = Path("build/demo"), Path("../shared")
_FOLDER = Path("build/benchmarks")
_SMALL_MODEL = _FOLDER / "resnet18-64-int8.tflite"
_MODEL, _VIDEO = _FOLDER / "resnet18-224-int8.tflite", _FOLDER / "clip640.avi"
_CLIP = _FOLDER / "clip640.clip"
# Dim and bluish lamps: how much of red, green and blue is left.
_LIGHTS = {"half": (0.5, 0.55, 0.68), "a quarter": (0.2, 0.25, 0.34)}
Image = NDArray[np.uint8]


def _edgekit(*arguments: object) -> str:
    command = [sys.executable, "-m", "edgekit", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _prepare() -> Material:
    """Make the models and the clip, unless they are there already."""
    material = make_material(_DEMO)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for model, size in ((_MODEL, 224), (_SMALL_MODEL, 64)):
        if not model.exists():
            _convert(material, material.calibration, model, size)
    if not _VIDEO.exists():
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        partial = _VIDEO.with_name("partial.avi")
        writer = cv2.VideoWriter(str(partial), codec, 25, (640, 480))
        for _, frame in read_video(material.clip):
            writer.write(cv2.resize(frame, (640, 480))[..., ::-1])
        writer.release()
        partial.replace(_VIDEO)
    return material


def _record(model: Path) -> None:
    _CLIP.unlink(missing_ok=True)
    _edgekit("record", "--model", model, "--source", _VIDEO, "--output", _CLIP)


def _convert(material: Material, pictures: Path, model: Path, size: int, *more: object) -> None:
    _edgekit(
        "convert", "--arch", "18", "--int8", "--weights", material.checkpoint, "--classes",
        material.classes, "--calibration", pictures, "--size", size, "--allow-loss", "--output",
        model, *more,
    )  # fmt: skip


def storage(count: int = 40) -> None:
    """Ways to keep a 640x480 frame without loss."""
    noise = np.random.default_rng(1).normal(0, 2.5, (480, 640, 3))
    frames = []
    for number, (_, frame) in enumerate(read_video(_VIDEO)):
        if number % 12 == 0 and len(frames) < count:
            # The video is smooth from its compression; a sensor's frame is not.
            frames.append(np.clip(frame + np.roll(noise, number, 1), 0, 255).astype(np.uint8))

    def image(kind: str, *options: int) -> Callable[[Image], bytes]:
        return lambda frame: cv2.imencode(kind, frame, options)[1].tobytes()

    level, webp = cv2.IMWRITE_PNG_COMPRESSION, cv2.IMWRITE_WEBP_QUALITY
    ways: dict[str, Callable[[Image], bytes]] = {
        "raw": lambda frame: frame.tobytes(),
        "zlib 1": lambda frame: zlib.compress(frame.tobytes(), 1),
        "PNG, run-length (clips)": encode_png,
        "PNG 1": image(".png", level, 1),
        "PNG 3": image(".png", level, 3),
        "PNG 6": image(".png", level, 6),
        "TIFF, LZW": image(".tiff", cv2.IMWRITE_TIFF_COMPRESSION, 5, cv2.IMWRITE_TIFF_PREDICTOR, 2),
        "JPEG 2000": image(".jp2", cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000),
        "WebP": image(".webp", webp, 101),
    }
    cv2.setNumThreads(1)
    print("a 640x480 frame, lossless   KiB      ms")
    for name, encode in ways.items():
        seconds, sizes = [], []
        for frame in frames:
            begun = time.perf_counter()
            sizes.append(len(encode(frame)))
            seconds.append(time.perf_counter() - begun)
        kib, ms = statistics.mean(sizes) / 1024, 1000 * statistics.median(seconds)
        print(f"  {name:<24} {kib:>6.0f} {ms:>7.2f}")


def _replay(path: Path, model: Path = _MODEL, runtime: str = "auto") -> Replay:
    recording, classifier = Recording(path), Classifier.open(model, runtime=runtime)
    player = Player(recording.name, recording.header, classifier, DecisionSettings())
    prepared = progress(recording, "replaying", player.prepare, hidden=True)
    return replay(map(player.play, prepared), has_records=recording.header is not None)


def _by_opencv(path: Path) -> Iterator[Image]:
    """A video or the pictures of a folder, as OpenCV gives them and without a question."""
    if path.is_dir():
        for file in image_files(path):
            yield cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB)
        return
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while capture.grab():
        yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
    capture.release()


def reading(material: Material, rounds: int) -> None:
    """Recordings read beside OpenCV alone, in processor time, by turns."""
    pictures, film = _FOLDER / "pictures", _FOLDER / "once.mp4"
    for number, (_, frame) in enumerate(read_video(_VIDEO)):
        if number % 8 == 0:
            _write(pictures / f"{number}.png", frame)
    if shutil.which("ffmpeg"):
        _ffmpeg("-i", _VIDEO, "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", film)
    for path in (material.evaluation, pictures, _VIDEO, film):
        if not path.exists():
            continue
        costs: dict[str, list[float]] = {"edgekit": [], "OpenCV": []}
        for _ in range(rounds):
            for name, frames in (("edgekit", Recording(path)), ("OpenCV", _by_opencv(path))):
                begun = time.process_time()
                count = sum(1 for _ in frames)
                costs[name].append(1000 * (time.process_time() - begun) / count)
        ours, theirs = (min(one) for one in costs.values())
        ratio = f"{ours / theirs:.2f}"
        print(f"reading {path.name:<12} {ours:.2f} ms a frame, OpenCV {theirs:.2f}; ratio {ratio}")


def sameness() -> None:
    """A live run, its replay, and replays in other runtimes."""
    _record(_SMALL_MODEL)
    told = _edgekit("run", "--model", _SMALL_MODEL, "--source", _VIDEO)
    events = [event for event in map(json.loads, told.splitlines()) if event["event"] == "change"]
    live = [Change(one["frame"], one["time"], one["label"], one["score"]) for one in events]
    for runtime in installed_runtimes():
        found = _replay(_CLIP, _SMALL_MODEL, runtime)
        print(
            f"replay in {runtime:<7} {found.inputs_differ} of {found.frames} inputs differ; "
            f"{len(found.changes)} changes, {len(live)} live, {_apart(live, found.changes)}"
        )


def _apart(live: list[Change], now: list[Change]) -> str:
    if live == now:
        return "all the same to the last digit"
    if [one.label for one in live] != [one.label for one in now]:
        return f"{len(differences(live, now, tolerance=TOLERANCE, frames=FRAMES))} differ"
    pairs = list(zip(live, now, strict=True))
    score = max(abs(one.score - other.score) for one, other in pairs)
    frames = max(abs(one.frame - other.frame) for one, other in pairs)
    return f"the same labels, at most {frames} frames and {score:.4f} of score apart"


def speed(rounds: int) -> None:
    """Replay beside a loop that does nothing but invoke, by turns.

    The second ratio is that of the answering thread's own processor time, which other programs
    on the machine do not disturb.
    """
    _record(_MODEL)
    classifier = Classifier.open(_MODEL)
    tensor = classifier.prepare(next(read_video(_VIDEO))[1])
    classifier.invoke(tensor)
    for path in (_VIDEO, _CLIP):
        walls, threads, paces = [], [], []
        for _ in range(rounds):
            begun, busy = time.perf_counter(), time.thread_time()
            for _ in range(240):
                classifier.invoke(tensor)
            bare, bare_busy = time.perf_counter() - begun, time.thread_time() - busy
            busy = time.thread_time()
            found = _replay(path)
            busy = time.thread_time() - busy
            walls.append(bare / 240 * found.frames / found.seconds)
            threads.append(bare_busy / 240 * found.frames / busy)
            paces.append(found.span / found.seconds)
        name = f"Replay of {path.suffix[1:]}"
        figures.found("Replay at 224 px", f"{name}: beside real time at 25 frames/s", paces)
        figures.found("Replay at 224 px", f"{name}: beside bare invoke", walls)
        figures.found("Replay at 224 px", f"{name}: the same in processor time", threads)


def long_video(material: Material, minutes: int) -> None:
    """Peak memory of evaluating a tenth of a long video, and all of it."""
    if shutil.which("ffmpeg") is None:
        print("long video: needs ffmpeg")
        return
    once, rate = _FOLDER / "once.mp4", 10
    encode = ["-r", str(rate), "-i", _VIDEO, "-c:v", "libx264", "-preset", "veryfast"]
    # Every frame of the clip, shown for a tenth of a second.
    _ffmpeg(*encode, "-pix_fmt", "yuv420p", once)
    labels = json.loads(material.truth.read_text())
    for part in (minutes / 10, float(minutes)):
        video, truth = _FOLDER / "long.mp4", _FOLDER / "long.json"
        seconds = 60 * part
        _ffmpeg("-stream_loop", "-1", "-i", once, "-t", f"{seconds:g}", "-c", "copy", video)
        _write_truth(truth, labels, round(seconds * rate))
        measured = (
            "import resource; from edgekit.cli import main; main()\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", measured, "evaluate", _SMALL_MODEL, video, "--truth"]
        command += [truth, "--report", _FOLDER / "long.html", "--json"]
        done = subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE)
        summary, peak = done.stdout.splitlines()[-2:]
        found = json.loads(summary)
        size = (_FOLDER / "long.html").stat().st_size
        print(
            f"video of {part:g} min    {int(peak) / 1024:.0f} MiB at most; {found['frames']} "
            f"frames in {found['seconds']:.0f} s, {found['span_s'] / found['seconds']:.0f} x real "
            f"time; {found['mistakes']} mistakes, report {size / 1e6:.1f} MB"
        )


def _ffmpeg(*arguments: object) -> None:
    command = ["ffmpeg", "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


def _write_truth(path: Path, labels: list[str | None], frames: int) -> None:
    rows: list[dict[str, Any]] = []
    for place in range(frames):
        label = labels[place % len(labels)]
        if label is None:
            continue
        if rows and (rows[-1]["end_frame"], rows[-1]["label"]) == (place, label):
            rows[-1]["end_frame"] = place + 1
        else:
            rows.append({"start_frame": place, "end_frame": place + 1, "label": label})
    path.write_text(json.dumps(rows))


def _shifted(frame: Image, light: tuple[float, float, float]) -> Image:
    return np.clip(frame * np.array(light), 0, 255).astype(np.uint8)


def _write(path: Path, frame: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(frame))


def domain_shift(material: Material) -> None:
    """Calibration on training pictures, and on frames that the camera itself collected."""
    folder, light = _FOLDER / "shift", _LIGHTS["half"]
    shutil.rmtree(folder, ignore_errors=True)
    for number, (_, frame) in enumerate(read_video(material.clip)):
        _write(folder / "clip" / f"{number:05}.png", _shifted(frame, light))
    for file in image_files(material.evaluation):
        target = folder / "evaluation" / file.parent.name / f"{file.stem}.png"
        _write(target, _shifted(read_image(file), light))
    _compare_calibrations("demo, half", material, folder)
    if _SHARED.is_dir():
        for name in _LIGHTS:
            _cifar_shift(material, name)


def _cifar_shift(demo: Material, light: str) -> None:
    """The same with CIFAR-10: half of the test pictures pass the camera, half are evaluated."""
    data = _SHARED / "data" / "cifar10"
    names = sorted(child.name for child in (data / "eval").iterdir() if child.is_dir())
    folder = _FOLDER / "shift-cifar"
    shutil.rmtree(folder, ignore_errors=True)
    for number, image in enumerate(labelled_images(data / "eval", names)):
        frame = _shifted(read_image(image.path), _LIGHTS[light])
        evaluated = folder / "evaluation" / names[image.index] / f"{number:05}.png"
        # In an order of their own, so that classes mix as they would before a camera.
        place = number * 7919 % 10_007
        _write(evaluated if number % 2 else folder / "clip" / f"{place:05}.png", frame)
    classes = folder / "classes.txt"
    classes.write_text("".join(f"{name}\n" for name in names))
    material = Material(
        demo.clip, demo.truth, _SHARED / "checkpoints" / "resnet18_cifar10_64.pth", classes,
        data / "calibration", folder / "evaluation",
    )  # fmt: skip
    _compare_calibrations(f"CIFAR-10, {light}", material, folder)


def _compare_calibrations(name: str, material: Material, folder: Path) -> None:
    collected = folder / "collected"
    _edgekit("collect", "--source", folder / "clip", "--output", collected, "--count", 300)
    print(f"{name + ' of the light':<26}  agreement    top-1   SNR (dB)")
    for label, pictures in (
        ("training pictures", material.calibration),
        ("collected frames", collected),
    ):
        model, evaluation = folder / "model.tflite", folder / "evaluation"
        _convert(material, pictures, model, 64, "--crop", "1", "--evaluate", evaluation)
        stages = json.loads(_edgekit("inspect", model, "--json"))["fidelity"]["stages"]
        (stage,) = (one for one in stages if one["stage"] == "tflite-int8 (litert)")
        print(
            f"  {label:<24}  {stage['agreement']:>9.2%} {stage['top1']:>8.2%} "
            f"{stage['snr_db']:>10.2f}   ({stages[0]['top1']:.2%} in PyTorch)"
        )


def _sections(given: argparse.Namespace, material: Material) -> Iterator[Callable[[], None]]:
    yield storage
    yield lambda: reading(material, 3 * given.rounds)
    yield sameness
    yield lambda: speed(given.rounds)
    yield lambda: long_video(material, given.minutes)
    yield lambda: domain_shift(material)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.offline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each ratio")
    parser.add_argument("--minutes", type=int, default=60, help="length of the long video")
    given = parser.parse_args()
    for section in _sections(given, _prepare()):
        section()
        print(flush=True)


if __name__ == "__main__":
    main()
