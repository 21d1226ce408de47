"""`edgekit convert`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgekit.commands.options import json_option
from edgekit.errors import FidelityError
from edgekit_convert.arguments import ARGUMENTS
from edgekit_convert.interruption import interruptible
from edgekit_convert.option_types import triple
from edgekit_convert.target.memory import TARGETS
from edgekit_convert.weights.head_layers import WEIGHTED, WEIGHTLESS
from edgekit_convert.weights.imagenet import IMAGENET

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _option(name: str, **more: Any) -> Callable[[_Command], _Command]:
    """The option for an argument of `edgekit_convert.convert`."""
    argument = ARGUMENTS[name]
    default = argument.default
    if default is not None:
        more |= {"default": triple(default) if isinstance(default, tuple) else default}
        more |= {"show_default": True}
    return click.option(f"--{name.replace('_', '-')}", type=argument.type, **more)


@click.command()
@_option(
    "arch", help="Which ResNet: its number of layers. By default what the checkpoint's keys say."
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
    "--program",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Convert this program in place of a ResNet: a .pt2 that torch.export.save wrote, of any "
    "classifier that takes RGB pictures as --onnx does.",
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
@_option(
    "head",
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
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Held-out pictures to measure fidelity on: a folder per class, a labels.tsv, or "
    "pictures without labels. By default a fifth of the calibration pictures is held out.",
)
@_option(
    "view_region",
    help="What is used of each picture in --calibration and --evaluate, in fractions of it: the "
    "region that view.region of the device's configuration names, where they are whole frames. By "
    "default the whole, and of a clip what its model looked at.",
)
@_option(
    "size",
    help="Height and width of the model's input, in pixels.",
)
@_option(
    "crop",
    help="Fraction of the picture's shorter side that is kept: 1 keeps the whole. Default: 1 for a "
    "checkpoint; for ImageNet weights 224/256 (v1) or 224/232 (v2), as torchvision evaluates them.",
)
@_option(
    "mean",
    help="Mean the network was trained with, for pixels from 0 to 1.",
)
@_option(
    "std",
    help="Standard deviation the network was trained with.",
)
@_option(
    "io",
    help="Type of the model's input and output. All take raw pixel values (int8: minus 128) and "
    "give the same answers.",
)
@_option(
    "target",
    help="The device: refuses a model that does not fit its memory. The Coral ones normalize in a "
    "layer that the Edge TPU can run.",
)
@_option(
    "device_memory",
    help="Memory of the device, as 512M or 1G, where it differs from the smallest --target of "
    "that name.",
)
@click.option(
    "--edgetpu",
    is_flag=True,
    help="Also compile for the Coral Edge TPU, with edgetpu_compiler where it is on PATH.",
)
@_option(
    "min_kept",
    help="Minimum fraction of the float accuracy that int8 must keep, with labelled pictures.",
)
@_option(
    "min_agreement",
    help="Minimum fraction of the pictures that int8 must answer as float does.  [default: 0.98; "
    "0.95 with labels]",
)
@_option(
    "min_snr",
    metavar="DB",
    help="Minimum signal-to-noise ratio of int8's logits against float's, in dB.",
)
@_option(
    "max_score_change",
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
    "--keep-confidence",
    is_flag=True,
    help="Leave the confidence as it is. By default it is calibrated by a temperature where "
    "labelled pictures of --evaluate prove that to help; the answers are the same.",
)
@_option(
    "seed",
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
    onnx: Path | None,
    program: Path | None,
    int8: bool,
    weights: str | None,
    output: Path | None,
    key: Path | None,
    as_json: bool,
    **arguments: Any,
) -> None:
    """Turn a trained classifier into one self-describing int8 .tflite file.

    It is a ResNet's checkpoint, or any network as ONNX or as a program of torch.export; in Python
    the network itself (docs/python.md).

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
      edgekit convert --program mine.pt2 --int8 --classes names.txt --calibration photos/
    """
    _check_usage(onnx, program, weights, arguments)
    # Threads that wait for others are to sleep, and not to spin: onnx2tf's process wants the
    # processor. PyTorch reads this when it is loaded; a user's own setting stands.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # TensorFlow and the rest take seconds to import, which --help should not.
    from edgekit.model.signers import check_key
    from edgekit_convert.api import convert as run
    from edgekit_convert.console import ConsoleReporter
    from edgekit_convert.outputs import check_paths, refusal, write_report
    from edgekit_convert.report.render import render_json
    from edgekit_convert.report.results import Report
    from edgekit_convert.source_models import OnnxFile, ProgramFile, SourceModel, find_source
    from edgekit_convert.summary import print_summary

    if onnx is not None:
        source: SourceModel = OnnxFile(onnx)
        name = onnx.stem
    elif program is not None:
        source, name = ProgramFile(program), program.stem
    else:
        named = {name: arguments.pop(name) for name in ("arch", "head", "weights_key")}
        source = find_source(weights or IMAGENET, **named)
        name = f"resnet{named['arch']}" if named["arch"] else Path(weights or "").resolve().stem
    if output is None:
        output = Path(f"{name}-int8.tflite")
    inputs = [*source.files, *(value for value in arguments.values() if isinstance(value, Path))]
    check_paths(output, [*inputs, key], edgetpu=arguments["edgetpu"])
    if key is not None:
        check_key(key)
    try:
        conversion = run(source, **arguments, progress=ConsoleReporter())
    except FidelityError as error:
        if not isinstance(error.report, Report):
            raise
        write_report(output, msgspec.structs.replace(error.report, output=str(output)))
        raise refusal(error.report, output) from error
    report = conversion.save(output, sign=key)
    if as_json:
        click.echo(render_json(report).decode())
    else:
        named_target = TARGETS.get(arguments["target"])
        print_summary(report, arguments["edgetpu"] or bool(named_target and named_target.edgetpu))


def _check_usage(
    onnx: Path | None, program: Path | None, weights: str | None, arguments: dict[str, Any]
) -> None:
    """Refuse options that do not go together.

    Raises:
        click.UsageError:
    """
    own = [option for option, file in (("--onnx", onnx), ("--program", program)) if file]
    if len(own) + bool(arguments["arch"] or (weights and not own)) != 1:
        raise click.UsageError(
            "pass one of --arch or --weights, for a ResNet, --onnx FILE and --program FILE"
        )
    if own and weights:
        raise click.UsageError(f"what {own[0]} names holds its weights: leave out --weights")
    published = weights is None or weights == IMAGENET or weights.startswith(f"{IMAGENET}-v")
    for option in ("--weights-key", "--head", "--reference"):
        name = option.removeprefix("--").replace("-", "_")
        if arguments[name] is not None and (own or published):
            raise click.UsageError(f"{option} is for a checkpoint, given with --weights FILE")
