"""`edgekit convert`."""

from pathlib import Path

import click
import msgspec

from edgekit.cli_options import json_option
from edgekit.manifest import Manifest, Normalisation
from edgekit.preprocess import Geometry

_ARCHITECTURES = ("18", "50")
_MEAN = "0.485,0.456,0.406"
_STD = "0.229,0.224,0.225"


class _Triple(click.ParamType[tuple[float, float, float]]):
    """Three comma-separated numbers, one for each of red, green and blue."""

    name = "R,G,B"

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        try:
            red, green, blue = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not three numbers like {_MEAN}", param, ctx)
        if not all(abs(v) < 1e3 for v in (red, green, blue)):
            self.fail(f"{value!r} is out of range; pixels count from 0 to 1 here", param, ctx)
        if self.positive and min(red, green, blue) <= 0:
            self.fail(f"{value!r} holds a standard deviation that is not above 0", param, ctx)
        return red, green, blue


def _print(output: Path, manifest: Manifest) -> None:
    original, final = manifest.fidelity.stages[0], manifest.fidelity.stages[-1]
    click.echo(f"wrote {output} ({output.stat().st_size:,} bytes)")
    if original.top1 is not None and final.top1 is not None:
        click.echo(f"top-1 PyTorch {original.top1:.2%}, int8 {final.top1:.2%}")
    click.echo(f"int8 agrees with PyTorch on {final.agreement:.2%} of {final.images} pictures")
    click.echo(f"next: edgekit run --model {output} --source VIDEO")


@click.command()
@click.option(
    "--arch", type=click.Choice(_ARCHITECTURES), required=True, help="Which ResNet: its layers."
)
@click.option(
    "--int8",
    is_flag=True,
    required=True,
    help="Quantise weights and activations to int8. Required, so that commands written today "
    "keep their meaning when other formats are added.",
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    metavar="imagenet|FILE",
    help="torchvision's published weights (downloaded once and cached as torchvision does), or a "
    "checkpoint saved with torch.save(model.state_dict(), FILE).",
)
@click.option(
    "--classes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Class names, one a line, in the order of training. By default ImageNet's, or the names "
    "of the folders in --evaluate.",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="DIR|VIDEO",
    help="Pictures like those the camera will see, without labels; up to 500 are used.",
)
@click.option(
    "--evaluate",
    "evaluation",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Held-out labelled pictures, a folder per class, to measure accuracy on.",
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
    help="Part of the picture's shorter side that is kept: 1 keeps the whole. Default: 1 for a "
    "checkpoint, 0.875 for ImageNet weights, as torchvision evaluates them.",
)
@click.option(
    "--mean",
    type=_Triple(),
    default=_MEAN,
    show_default=True,
    help="Mean the network was trained with, for pixels from 0 to 1.",
)
@click.option(
    "--std",
    type=_Triple(positive=True),
    default=_STD,
    show_default=True,
    help="Standard deviation the network was trained with.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Model file to write.  [default: resnet<arch>-int8.tflite]",
)
@click.option(
    "--allow-loss",
    is_flag=True,
    help="Write the file even when int8 loses more accuracy than it may; recorded in the file.",
)
@json_option
def convert(
    arch: str,
    int8: bool,
    weights: str,
    classes: Path | None,
    calibration: Path | None,
    evaluation: Path | None,
    size: int,
    crop: float | None,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    output: Path | None,
    allow_loss: bool,
    as_json: bool,
) -> None:
    """Turn a trained torchvision ResNet into one self-describing int8 .tflite file.

    The file takes raw RGB pixels and carries its labels, geometry, provenance and the fidelity
    of every stage of the conversion. It is not written when a stage changes the answers: less
    than 99 % of PyTorch's accuracy kept (with --evaluate), or agreement on less than 98 % of the
    calibration pictures (without); exit code 3 then.

    \b
    Examples:
      edgekit convert --arch 18 --int8 --calibration photos/
      edgekit convert --arch 18 --int8 --weights mine.pth --classes names.txt \\
          --size 64 --crop 1 --calibration photos/ --evaluate held-out/
    """
    # torch takes seconds to import, which --help should not.
    from edgekit_convert.architectures import ARCHITECTURES, IMAGENET_CROP
    from edgekit_convert.checkpoint import IMAGENET
    from edgekit_convert.pipeline import Request
    from edgekit_convert.pipeline import convert as run
    from edgekit_convert.progress import Reporter

    if crop is None:
        crop = IMAGENET_CROP if weights == IMAGENET else 1.0
    output = output or Path(f"resnet{arch}-int8.tflite")
    request = Request(
        architecture=ARCHITECTURES[arch],
        weights=weights,
        classes=classes,
        calibration=calibration,
        evaluation=evaluation,
        geometry=Geometry(height=size, width=size, crop=crop),
        normalisation=Normalisation(mean=mean, std=std),
        output=output,
        allow_loss=allow_loss,
    )
    manifest = run(request, Reporter())
    if as_json:
        facts = {"output": str(output), **msgspec.to_builtins(manifest)}
        click.echo(msgspec.json.encode(facts).decode())
    else:
        _print(output, manifest)
