"""`edgekit convert`."""

import dataclasses
import os
from pathlib import Path

import click

from edgekit.commands.options import json_option
from edgekit.model.architectures import ARCHITECTURES, Architecture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.interruption import interruptible
from edgekit_convert.option_types import Head, Memory, Triple, triple
from edgekit_convert.target.memory import TARGETS, Target
from edgekit_convert.weights.head_layers import WEIGHTED, WEIGHTLESS
from edgekit_convert.weights.imagenet import IMAGENET_CROPS, IMAGENET_MEAN, IMAGENET_STD

_IMAGENET = "imagenet"
_IO_TYPES = ("uint8", "int8", "float32")


def _weights(architecture: Architecture | None, weights: str) -> tuple[str, float]:
    """`imagenet-v1`, `imagenet-v2` or a path, and the fraction of a picture seen by default."""
    if architecture is None or not (weights == _IMAGENET or weights.startswith(f"{_IMAGENET}-")):
        return weights, 1.0
    names = {f"{_IMAGENET}-v{version}": version for version in architecture.versions}
    if weights == _IMAGENET and names:
        weights = list(names)[-1]
    if weights not in names:
        published = " and ".join(names) or "no weights"
        raise click.BadParameter(
            f"torchvision has published {published} for --arch {architecture.option}",
            param_hint="--weights",
        )
    return weights, IMAGENET_CROPS[names[weights]]


def _target(name: str | None, memory: int | None) -> Target | None:
    if name is None:
        return Target("the device", memory, edgetpu=False) if memory else None
    target = TARGETS[name]
    return dataclasses.replace(target, memory_bytes=memory) if memory else target


@click.command()
@click.option(
    "--arch", type=click.Choice(list(ARCHITECTURES)), help="Which ResNet: its number of layers."
)
@click.option(
    "--onnx",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Convert this ONNX classifier in place of a ResNet, with what lies beside it as "
    "FILE.data: one RGB picture in, normalized as --mean and --std say; logits, softmax or one "
    "sigmoid out.",
)
@click.option(
    "--int8",
    is_flag=True,
    required=True,
    help="Quantize weights and activations to int8. Required, so that commands written today "
    "keep their meaning when other formats are added.",
)
@click.option(
    "--weights",
    metavar="imagenet|imagenet-v1|imagenet-v2|FILE",
    help="torchvision's published weights (downloaded once and cached as torchvision does; "
    "'imagenet' is the best there are), or a checkpoint: a state dict saved with "
    "torch.save(model.state_dict(), FILE), also inside {'state_dict': ...}, or safetensors. Its "
    "head may be a Linear or a Sequential, see --head.  [default: imagenet]",
)
@click.option(
    "--weights-key",
    metavar="NAME",
    help="Which state dict of a checkpoint that holds several, for example state_dict_ema. By "
    "default moving averages (EMA), else the first.",
)
@click.option(
    "--head",
    type=Head(),
    help="Layers of the checkpoint's head in their order, for example 'linear, tanh, dropout, "
    f"linear'; a state dict does not say its activations. Of {', '.join((*WEIGHTED, *WEIGHTLESS))}."
    " By default a gap behind a linear layer is taken for relu.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own network's answers, a .npz of inputs and logits, or your network as ONNX: what "
    "is rebuilt from the checkpoint has to give the same. docs/conversion.md has the lines that "
    "write one.",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Class names, one a line, in the order of training. By default ImageNet's, those in the "
    "checkpoint, or the names of the folders in --evaluate or --calibration.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR|VIDEO",
    help="Pictures like those the camera will see, without labels; up to 500 are used. By "
    "default pictures are distilled from the network's BatchNorm statistics: usable, but real "
    "ones are better.",
)
@click.option(
    "--evaluate",
    "evaluation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Held-out pictures to measure fidelity on: a folder per class, a labels.tsv, or "
    "pictures without labels. By default a fifth of the calibration pictures is held out.",
)
@click.option(
    "--size",
    type=click.IntRange(32, 1024),
    default=224,
    show_default=True,
    help="Height and width of the model's input, in pixels.",
)
@click.option(
    "--crop",
    type=click.FloatRange(0, 1, min_open=True),
    help="Fraction of the picture's shorter side that is kept: 1 keeps the whole. Default: 1 for a "
    "checkpoint; for ImageNet weights 224/256 (v1) or 224/232 (v2), as torchvision evaluates them.",
)
@click.option(
    "--mean",
    type=Triple(),
    default=triple(IMAGENET_MEAN),
    show_default=True,
    help="Mean the network was trained with, for pixels from 0 to 1.",
)
@click.option(
    "--std",
    type=Triple(positive=True),
    default=triple(IMAGENET_STD),
    show_default=True,
    help="Standard deviation the network was trained with.",
)
@click.option(
    "--io",
    type=click.Choice(_IO_TYPES),
    default="uint8",
    show_default=True,
    help="Type of the model's input and output. All take raw pixel values (int8: minus 128) and "
    "give the same answers.",
)
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    help="The device: refuses a model that does not fit its memory. The Coral ones normalize in a "
    "layer that the Edge TPU can run.",
)
@click.option(
    "--device-memory",
    type=Memory(),
    help="Memory of the device, as 512M or 1G, where it differs from the smallest --target of "
    "that name.",
)
@click.option(
    "--edgetpu",
    is_flag=True,
    help="Also compile for the Coral Edge TPU, with edgetpu_compiler where it is on PATH.",
)
@click.option(
    "--min-kept",
    type=click.FloatRange(0, 1),
    default=0.99,
    show_default=True,
    help="Minimum fraction of the float accuracy that int8 must keep, with labelled pictures.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 1),
    help="Minimum fraction of the pictures that int8 must answer as float does.  [default: 0.98; "
    "0.95 with labels]",
)
@click.option(
    "--min-snr",
    type=float,
    default=15.0,
    show_default=True,
    metavar="DB",
    help="Minimum signal-to-noise ratio of int8's logits against float's, in dB.",
)
@click.option(
    "--max-score-change",
    type=click.FloatRange(0, 1),
    default=0.03,
    show_default=True,
    help="Maximum mean change of the probability of float's answer.",
)
@click.option(
    "--allow-loss",
    is_flag=True,
    help="Write the file even when int8 loses more than it may; recorded in the file.",
)
@click.option(
    "--allow-misfit",
    is_flag=True,
    help="Convert even when the pictures, fed as asked, are not like those that the network was "
    "trained on; recorded in the file.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Of every random choice; equal seeds give equal files.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Model file to write; the report goes beside it.  [default: resnet<arch>-int8.tflite]",
)
@click.option(
    "--sign",
    "key",
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="Sign the model file with this OpenSSH key, see edgekit sign; that it signs is tried "
    "before anything is converted.",
)
@json_option
@interruptible()
def convert(
    arch: str | None,
    onnx: Path | None,
    int8: bool,
    weights: str | None,
    weights_key: str | None,
    head: tuple[str, ...] | None,
    reference: Path | None,
    classes: Path | None,
    calibration: Path | None,
    evaluation: Path | None,
    size: int,
    crop: float | None,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    io: str,
    target: str | None,
    device_memory: int | None,
    edgetpu: bool,
    min_kept: float,
    min_agreement: float | None,
    min_snr: float,
    max_score_change: float,
    allow_loss: bool,
    allow_misfit: bool,
    seed: int,
    output: Path | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Turn a trained ResNet, or an ONNX classifier, into one self-describing int8 .tflite file.

    The file takes raw RGB pixels and carries its labels, geometry, provenance and the fidelity
    of every stage of the conversion. Beside it lies a report, as a page and as JSON. Nothing is
    converted when the network was trained on pictures fed otherwise, by its BatchNorm statistics
    (--allow-misfit), and the file is not written when int8 changes the answers too much
    (--min-kept, --min-agreement, --min-snr, --max-score-change): the report then shows why. The
    exit code is 3 in both cases.

    \b
    Examples:
      edgekit convert --arch 18 --int8
      edgekit convert --arch 50 --int8 --calibration photos/ --target pi-4
      edgekit convert --arch 18 --int8 --weights mine.pth --classes names.txt \\
          --size 64 --crop 1 --calibration photos/ --evaluate held-out/
      edgekit convert --onnx mine.onnx --int8 --classes names.txt --calibration photos/
    """
    if (arch is None) == (onnx is None):
        raise click.UsageError("pass either --arch, for a ResNet, or --onnx FILE")
    if onnx is not None and weights is not None:
        raise click.UsageError("an ONNX model holds its weights: leave out --weights")
    architecture = ARCHITECTURES[arch] if arch is not None else None
    source, seen = _weights(architecture, weights or _IMAGENET)
    of_checkpoint = {"--weights-key": weights_key, "--head": head, "--reference": reference}
    for option, value in of_checkpoint.items():
        if value is not None and (onnx is not None or source.startswith(f"{_IMAGENET}-v")):
            raise click.UsageError(f"{option} is for a checkpoint, given with --weights FILE")
    name = f"resnet{arch}" if onnx is None else onnx.stem
    # TensorFlow and the rest take seconds to import, which --help should not.
    from edgekit_convert.conversion import convert as run
    from edgekit_convert.progress import Reporter
    from edgekit_convert.report.render import render_json
    from edgekit_convert.request import Request
    from edgekit_convert.summary import print_summary
    from edgekit_convert.verify.fidelity import Thresholds

    request = Request(
        architecture=architecture,
        weights=source if onnx is None else os.fspath(onnx),
        classes=classes,
        calibration=calibration,
        evaluation=evaluation,
        geometry=Geometry(height=size, width=size, crop=crop or seen),
        normalization=Normalization(mean=mean, std=std),
        io=io,
        target=_target(target, device_memory),
        edgetpu=edgetpu,
        thresholds=Thresholds(min_kept, min_agreement, min_snr, max_score_change),
        allow_loss=allow_loss,
        allow_misfit=allow_misfit,
        seed=seed,
        output=output or Path(f"{name}-int8.tflite"),
        head=head,
        weights_key=weights_key,
        reference=reference,
        key=key,
    )
    report = run(request, Reporter())
    if as_json:
        click.echo(render_json(report).decode())
    else:
        print_summary(report, request.on_edgetpu)
