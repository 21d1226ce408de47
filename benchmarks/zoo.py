"""Which classifiers convert, and how well: `python -m benchmarks.zoo [--help] [network ...]`.

Each network is converted by `edgekit convert --onnx`, and the same ONNX file quantized by
onnxruntime's static quantization (QDQ, a scale for each channel of the weights; calibrated by
minimum and maximum and by percentile, of which the better counts) with the same calibration
pictures. Both are compared with the float file in onnxruntime on the same other pictures. Results
are kept in a folder, of which a second run prints the table; networks whose results are there are
not measured again.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from edgekit_convert.answers import Answers, agreement, logit_ratio
from edgekit_convert.graph.execution import tflite_answer
from edgekit_convert.pictures import Pictures, load_evaluation
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.zoo_networks import NETWORKS, Network, export, train
from edgekit.model.flatbuffer import parse
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization

_FOLDER = Path("build/zoo")
_DATA = Path("../shared/data")
_IMAGENET = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
_LITE = Normalization(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
# Of each class of CIFAR-10: to quantize with, to evaluate with, and to train on beside the 50 of
# the calibration folder.
_CALIBRATION, _EVALUATION, _TRAINING = 10, 30, 100
_CALIBRATIONS = ("MinMax", "Percentile")
_THREADS = 2


def _split(folder: Path) -> None:
    """Sort pictures into calibration, evaluation and training."""
    for kind in ("cifar10", "photos"):
        if (folder / kind).is_dir():
            continue
        work = folder / f"{kind}.part"
        shutil.rmtree(work, ignore_errors=True)
        if kind == "cifar10":
            for one in sorted((_DATA / "cifar10" / "eval").iterdir()):
                known, other = sorted((_DATA / "cifar10" / "calibration" / one.name).iterdir()), []
                other = sorted(one.iterdir())
                last = other[_TRAINING : _TRAINING + _EVALUATION]
                _copy(known[:_CALIBRATION], work / "calibration" / one.name)
                _copy(last, work / "evaluation" / one.name)
                _copy([*known, *other[:_TRAINING]], work / "training" / one.name)
        else:
            lines = (_DATA / "photos" / "labels.tsv").read_text().splitlines()
            for part, chosen in (("calibration", lines[1::2]), ("evaluation", lines[2::2])):
                _copy([_DATA / "photos" / line.split("\t")[0] for line in chosen], work / part)
                (work / part / "labels.tsv").write_text("\n".join([lines[0], *chosen]) + "\n")
        work.rename(folder / kind)


def _copy(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder / file.name)


class _Bench:
    """A network's file and pictures."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self.folder = network, folder
        photos = network.pictures == "photos"
        self.normalization = _LITE if photos else _IMAGENET
        self.geometry = Geometry(network.size, network.size, 0.875 if photos else 1.0)
        names = sorted(p.name for p in (_DATA / "cifar10" / "eval").iterdir())
        self.classes = [str(number) for number in range(1000)] if photos else names
        self.file = folder / f"{network.name.replace(' ', '-')}.onnx"

    def pictures(self, part: str) -> Pictures:
        """Those of a part of the split."""
        folder = self.folder / self.network.pictures / part
        return load_evaluation(folder, self.classes, self.geometry, lambda done: None)

    def make(self) -> None:
        """Write the ONNX file."""
        if self.file.is_file():
            return
        if self.network.onnx is not None:
            shutil.copy(self.network.onnx, self.file)
            return
        assert self.network.make is not None
        torch.manual_seed(0)
        network = self.network.make()
        if self.network.training in ("short", "head"):
            found = self.pictures("training")
            inputs = torch.from_numpy(normalize(found.tensors, self.normalization))
            train(network, inputs, torch.from_numpy(found.truth), self.network.training)
        export(network.eval(), self.network.size, self.file)

    def measure(self) -> dict[str, Any]:
        """What is known of it in the end."""
        started = time.monotonic()
        self.make()
        made = time.monotonic() - started
        evaluation = self.pictures("evaluation")
        inputs = normalize(evaluation.tensors, self.normalization)
        exact = onnx_answers(self.file, inputs)

        def figures(answers: Answers, file: Path) -> dict[str, Any]:
            return {
                "agreement": 100 * agreement(answers, exact),
                "snr": logit_ratio(exact.logits, answers.logits),
                "top1": _top1(answers, evaluation),
                "megabytes": file.stat().st_size / 1e6,
            }

        found: dict[str, Any] = {
            "training": self.network.training,
            "size": self.network.size,
            "made": made,
            "top1": _top1(exact, evaluation),
        }
        model = self.file.with_suffix(".tflite")
        found["edgekit"], found["seconds"] = self._convert(model)
        if model.is_file():
            flatbuffer = model.read_bytes()
            answers = tflite_answer(flatbuffer, _THREADS)(evaluation.tensors)
            found["edgekit"] |= figures(answers, model)
            found["operators"] = Counter(operator.name for operator in parse(flatbuffer).operators)
        found["onnxruntime"] = {}
        inputs_of = normalize(self.pictures("calibration").tensors, self.normalization)
        for calibration in _CALIBRATIONS:
            quantized = self.file.with_suffix(".int8.onnx")
            try:
                quantize_onnx(self.file, quantized, inputs_of, calibration)
                answers = onnx_answers(quantized, inputs, as_written=True)
                found["onnxruntime"][calibration] = figures(answers, quantized)
            except Exception as error:  # whatever it raises is its result
                found["onnxruntime"][calibration] = {"refused": f"{error}".split("\n")[0]}
            quantized.unlink(missing_ok=True)
        return found

    def _convert(self, model: Path) -> tuple[dict[str, Any], float]:
        """What `edgekit convert` says, and the seconds it took."""
        mean, std = (
            ",".join(map(str, values))
            for values in (self.normalization.mean, self.normalization.std)
        )
        names = self.folder / f"{self.network.pictures}.txt"
        names.write_text("\n".join(self.classes) + "\n")
        model.unlink(missing_ok=True)
        pictures = self.folder / self.network.pictures
        command = [
            Path(sys.executable).with_name("edgekit"), "convert", "--onnx", self.file,
            "--int8", "--json", "--allow-loss", "--classes", names, "--size", self.network.size,
            "--crop", self.geometry.crop, "--mean", mean, "--std", std, "--output", model,
            "--calibration", pictures / "calibration", "--evaluate", pictures / "evaluation",
        ]  # fmt: skip
        started = time.monotonic()
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        seconds = time.monotonic() - started
        if done.returncode:
            return {"refused": done.stderr.strip().split("\n")[-1]}, seconds
        report = json.loads(done.stdout)
        chosen = next(one["name"] for one in report["candidates"] if one["chosen"])
        return {"gate": report["gate"]["passed"], "recipe": chosen}, seconds


def _top1(answers: Answers, pictures: Pictures) -> float:
    return 100 * float((answers.probabilities.argmax(axis=1) == pictures.truth).mean())


def onnx_answers(file: Path, inputs: NDArray[np.float32], *, as_written: bool = False) -> Answers:
    """Answers in onnxruntime; `as_written` without its optimizations, of which some round wrongly.

    ShuffleNet, quantized by onnxruntime, has 24 dB as written and 4 dB with them.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = _THREADS
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: inputs[i : i + 1]})[0] for i in range(len(inputs))]
    return Answers.of_logits(np.concatenate(rows))


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        self._feeds = iter([{name: inputs[i : i + 1]} for i in range(len(inputs))])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def quantize_onnx(
    source: Path, target: Path, inputs: NDArray[np.float32], calibration: str
) -> None:
    """onnxruntime's own way, as its documentation has it: prepare the graph, then quantize."""
    prepared = source.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    session = onnxruntime.InferenceSession(str(prepared), providers=["CPUExecutionProvider"])
    quantization.quantize_static(
        str(prepared),
        str(target),
        _Reader(session.get_inputs()[0].name, inputs),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        calibrate_method=getattr(quantization.CalibrationMethod, calibration),
    )
    prepared.unlink()


def _table(folder: Path) -> None:
    print("| network | px | made by | float top-1 % | edgekit agreement %, SNR dB | top-1 % | "
          "onnxruntime agreement %, SNR dB | top-1 % | int8 MB |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in NETWORKS:
        file = folder / f"{name.replace(' ', '-')}.json"
        if not file.is_file():
            continue
        found = json.loads(file.read_text())
        own = found["edgekit"]
        theirs = max(found["onnxruntime"].values(), key=lambda one: one.get("snr") or -99.0)
        cells = [name, str(found["size"]), found["training"], f"{found['top1']:.1f}"]
        for one in (own, theirs):
            cells += [
                f"{one['agreement']:.1f}, {one['snr']:.1f}" if "snr" in one else one["refused"],
                f"{one['top1']:.1f}" if "top1" in one else "",
            ]
        cells.append(f"{own['megabytes']:.1f}" if "megabytes" in own else "")
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Measure what is not known yet, and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.zoo", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="network", help=", ".join(NETWORKS))
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="of networks and results")
    parser.add_argument("--again", action="store_true", help="measure those named once more")
    parser.add_argument("--make", action="store_true", help="only make the networks")
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    if not _DATA.is_dir():
        raise SystemExit(f"{_DATA} is missing; it has the pictures")
    torch.set_num_threads(_THREADS)
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    _split(folder)
    for name in [] if arguments.table else arguments.networks or NETWORKS:
        bench = _Bench(NETWORKS[name], folder)
        if arguments.make:
            started = time.monotonic()
            bench.make()
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            continue
        file = bench.file.with_suffix(".json")
        if arguments.again or not file.is_file():
            file.write_text(json.dumps(bench.measure()))
            print(f"{name}: {file.read_text()}", file=sys.stderr, flush=True)
    _table(folder)


if __name__ == "__main__":
    main()
