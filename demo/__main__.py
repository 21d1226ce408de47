"""The whole main job in one go: `python -m demo [--output DIR]`."""

import argparse
import itertools
import json
import shlex
import subprocess
import sys
from pathlib import Path

from demo.fixtures import Material, make_material
from demo.sheet import write_sheet

Answers = list[tuple[str, float]]


def _edgekit(*arguments: str | Path) -> str:
    """Run an `edgekit` command as a user would; returns its standard output."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ edgekit {shlex.join(words)}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *words], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"demo: edgekit {words[0]} failed with exit code {done.returncode}")
    return done.stdout


def convert(material: Material, model: Path) -> None:
    """Convert the trained checkpoint to an int8 model file."""
    options = ("--weights", material.checkpoint, "--classes", material.classes, "--size", "64")
    print(
        _edgekit(
            "convert", "--arch", "18", "--int8", *options, "--crop", "1",
            "--calibration", material.calibration, "--evaluate", material.evaluation,
            "--output", model,
        ).strip()
    )  # fmt: skip


def classify(material: Material, model: Path) -> Answers:
    """Run the daemon over the clip; (label, score) of each frame."""
    lines = _edgekit("run", "--model", model, "--source", material.clip, "--every-frame")
    best = [json.loads(line)["labels"][0] for line in lines.splitlines()]
    return [(label["label"], label["score"]) for label in best]


def report(answers: Answers, truth: list[str | None]) -> float:
    """Print truth and answers side by side; returns the accuracy over frames with a truth."""
    print(f"\n{'frames':>12}  {'truth':<10} {'answered':<10} {'right':>7}")
    hits = []
    start = 0
    for label, group in itertools.groupby(truth):
        length = len(list(group))
        said = [answer for answer, _ in answers[start : start + length]]
        if label is not None:
            common = max(sorted(set(said)), key=said.count)
            right = [answer == label for answer in said]
            hits += right
            share = f"{sum(right)}/{length}"
            print(f"{start:>5} - {start + length - 1:>4}  {label:<10} {common:<10} {share:>7}")
        start += length
    return sum(hits) / len(hits)


def main() -> None:
    """Make the material, convert, run, and show what came out."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"), metavar="DIR")
    folder: Path = parser.parse_args().output
    material = make_material(folder)
    model = folder / "resnet18-int8.tflite"
    convert(material, model)
    answers = classify(material, model)
    truth: list[str | None] = json.loads(material.truth.read_text())
    if len(answers) != len(truth):
        raise SystemExit(f"demo: {len(answers)} answers to {len(truth)} frames")
    accuracy = report(answers, truth)
    counted = sum(label is not None for label in truth)
    print(f"\nright on {accuracy:.1%} of {counted} frames (frames with a toy half in not counted)")
    sheet = folder / "contact-sheet.png"
    title = f"edgekit demo: ResNet-18 int8, {accuracy:.1%} of {counted} frames right"
    write_sheet(sheet, material.clip, answers, material.truth, title)
    print(f"contact sheet: {sheet}\nmodel file:    {model}")
    print(
        "\nGo on with your own network:\n"
        "  edgekit convert --arch 18 --int8 --weights mine.pth --classes names.txt "
        "--calibration photos/\n"
        "or with ImageNet's weights, which torchvision downloads:\n"
        "  edgekit convert --arch 18 --int8 --calibration photos/"
    )


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        raise SystemExit(f"demo: {error}") from None
