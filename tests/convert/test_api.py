"""The interface in Python is the command's: the same names, defaults and checks."""

import inspect
from pathlib import Path
from typing import Any

import click
import edgekit_convert
import numpy as np
import pytest
from edgekit_convert import api
from edgekit_convert.arguments import ARGUMENTS, checked
from edgekit_convert.cli import convert as command
from edgekit_convert.option_types import triple
from edgekit_convert.progress import Reporter
from edgekit_convert.request import Request
from edgekit_convert.source_models import Checkpoint

from edgekit.errors import CheckpointError, ConfigurationError, EdgekitError, MisfitError
from edgekit.model.architectures import ARCHITECTURES
from edgekit.model.geometry import Geometry

# What the command names in another way, or needs for itself.
OF_THE_COMMAND = {"onnx", "program", "weights", "int8", "output", "key", "as_json", "help"}
OF_PYTHON = {"model", "progress"}
SIGNATURE = inspect.signature(edgekit_convert.convert).parameters


@pytest.fixture
def request_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The request that a call makes."""
    found: list[Request] = []
    monkeypatch.setattr(api, "run", lambda request, reporter: found.append(request))

    def call(**arguments: Any) -> Request:
        edgekit_convert.convert(arguments.pop("model", "mine.pth"), **arguments)
        return found[-1]

    return call


def _options() -> dict[str, click.Option]:
    return {o.name: o for o in command.params if isinstance(o, click.Option) and o.name}


def test_it_has_the_arguments_of_the_command() -> None:
    assert set(SIGNATURE) - OF_PYTHON == set(_options()) - OF_THE_COMMAND


@pytest.mark.parametrize("name", [name for name in SIGNATURE if name not in OF_PYTHON])
def test_their_defaults_are_the_same(name: str) -> None:
    default = SIGNATURE[name].default
    option = _options()[name]
    shown = option.get_default(click.Context(command))
    if isinstance(default, tuple):
        default = triple(default)
    assert default == shown or (default, shown) == (None, click.core.UNSET)
    if name in ARGUMENTS:
        assert option.type is ARGUMENTS[name].type


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 16), ("size", 64.5), ("size", "many"), ("crop", 0), ("crop", 1.5),
        ("mean", (0.5, 0.5)), ("mean", (1, 2, 5000)), ("std", (0, 1, 1)), ("std", 1),
        ("io", "int4"), ("target", "pi-9"), ("device_memory", "lots"), ("min_kept", 2),
        ("min_agreement", -1), ("max_score_change", 7), ("seed", -1), ("seed", 2**32),
        ("arch", 19), ("head", "relu"), ("head", ["linear", "swish", "linear"]),
        ("min_snr", "loud"), ("size", (224, 224)), ("size", True), ("size", None), ("mean", None),
        ("edgetpu", "no"), ("allow_loss", 0), ("allow_misfit", None), ("progress", True),
        ("keep_confidence", 1),
        # Neither below a limit nor above it: a gate with it lets everything pass.
        *((name, float("nan")) for name in ("crop", "min_kept", "min_agreement", "min_snr",
                                            "max_score_change", "mean", "std", "seed")),
        ("min_agreement", "nan"), ("mean", (0.5, float("nan"), 0.5)),
    ],
)  # fmt: skip
def test_what_the_command_refuses_it_refuses(name: str, value: Any, request_of: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        request_of(**{name: value})


def test_values_are_read_as_the_command_reads_them(request_of: Any) -> None:
    found = request_of(
        arch=18, size=np.int64(64), crop=0.5, mean=[0, 0, 0], std=np.ones(3), io="int8",
        target="pi-4", device_memory="2G", head=["linear", "tanh", "linear"], weights_key="ema",
        min_snr=20, seed=3, calibration="photos", classes=["a", "b"],
    )  # fmt: skip
    assert found.model == Checkpoint(
        ARCHITECTURES["18"], Path("mine.pth"), ("linear", "tanh", "linear"), "ema"
    )
    assert found.geometry == Geometry(64, 64, 0.5)
    assert (found.normalization.mean, found.normalization.std) == ((0, 0, 0), (1, 1, 1))
    assert found.target is not None and found.target.memory_bytes == 2 << 30
    assert (found.thresholds.snr_db, found.seed, found.io) == (20, 3, "int8")
    assert (found.calibration, found.classes) == (Path("photos"), ["a", "b"])


def test_published_weights_bring_their_crop(request_of: Any) -> None:
    assert request_of(model="imagenet-v2", arch=50).geometry.crop == 224 / 232
    assert request_of(model="imagenet", arch=18).geometry.crop == 224 / 256
    assert request_of(model="imagenet", arch=18, crop=1).geometry.crop == 1


def test_a_value_that_is_checked_stays_what_it_is() -> None:
    for name in ("mean", "std", "size", "min_kept", "seed", "io"):
        assert checked(name, ARGUMENTS[name].default) == ARGUMENTS[name].default
    assert checked("device_memory", checked("device_memory", "512M")) == 512 << 20


@pytest.mark.parametrize("argument", ["calibration", "evaluate", "reference", "classes"])
def test_what_is_missing_is_said_at_once(argument: str, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    with pytest.raises(EdgekitError, match="nowhere"):
        edgekit_convert.convert(tmp_path / "mine.pth", **{argument: tmp_path / "nowhere"})


def test_a_checkpoint_that_is_missing_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot read the checkpoint"):
        edgekit_convert.convert(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("argument", ["reference", "calibration"])
def test_what_is_no_path_is_refused(argument: str, request_of: Any) -> None:
    with pytest.raises(EdgekitError, match="int"):
        request_of(**{argument: 5})


def test_an_error_has_what_was_to_know_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: Request, reporter: Reporter) -> None:
        reporter.note("3 pictures are left out")
        raise MisfitError("the network was trained on other pictures")

    monkeypatch.setattr(api, "run", fail)
    with pytest.raises(MisfitError) as caught:
        edgekit_convert.convert("mine.pth")
    assert caught.value.__notes__ == ["3 pictures are left out"]
    assert str(caught.value) == "the network was trained on other pictures"
