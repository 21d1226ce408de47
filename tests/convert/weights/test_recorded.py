"""What trainers write down beside the weights."""

import argparse
from pathlib import Path
from typing import Any

import pytest
from edgekit_convert.weights.recorded import Recorded, check_function, find_recorded

from edgekit.errors import CheckpointError
from edgekit.model.manifest import Normalization

HALF = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# As timm 1.0 writes them; the third is its training script's options.
TIMM = {
    "architecture": "resnet18", "num_classes": 3, "num_features": 512, "global_pool": "avg",
    "model_args": {"num_classes": 3, "in_chans": 3},
    "pretrained_cfg": {
        "tag": "a1_in1k", "input_size": [3, 224, 224], "test_input_size": [3, 288, 288],
        "crop_pct": 0.95, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "classifier": "fc",
    },
}  # fmt: skip
TRAIN = {
    "model": "resnet18", "gp": None, "bn_eps": None, "model_kwargs": {}, "mean": None, "std": None,
    "input_size": None, "img_size": 96,
}  # fmt: skip


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"arch": "resnet18", "args": argparse.Namespace(**TRAIN)},
        {"config.json": TIMM},
        {"config.json": {"hidden_act": "relu", "downsample_in_bottleneck": False}},
        {"meta": {"cfg": "model = dict(backbone=dict(type='ResNet', style='pytorch'))"}},
        {"hyper_parameters": {"style": "dark", "lr": 0.1, "model": "mine"}},
    ],
)
def test_torchvisions_own_passes(saved: dict[str, Any]) -> None:
    check_function(saved, Path("x.pth"))


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"arch": "resnetblur18"}, "arch: resnetblur18"),
        ({"config.json": TIMM | {"architecture": "resnetaa50.a1h_in1k"}}, "architecture: resnetaa"),
        ({"config.json": TIMM | {"global_pool": "avgmax"}}, r"global_pool: avgmax \(in config\.js"),
        ({"args": argparse.Namespace(**TRAIN | {"gp": "max"})}, "gp: max"),
        ({"args": argparse.Namespace(**TRAIN | {"bn_eps": 0.001})}, r"bn_eps: 0\.001"),
        (
            {"args": argparse.Namespace(**TRAIN | {"model_kwargs": {"act_layer": "silu"}})},
            r"act_layer: silu \(in model_kwargs\)",
        ),
        ({"config.json": {"model_args": {"output_stride": 16}}}, "output_stride: 16"),
        ({"config.json": {"model_args": {"aa_layer": "blurpc"}}}, "aa_layer: blurpc"),
        ({"config.json": {"hidden_act": "silu"}}, "hidden_act: silu"),
        ({"config.json": {"downsample_in_bottleneck": True}}, "downsample_in_bottleneck: True"),
        ({"meta": {"config": "backbone=dict(type='ResNet', style='caffe')"}}, "style: caffe"),
    ],
)
def test_what_computes_otherwise_is_refused(saved: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=rf"x\.pth says {said}.*edgekit_convert\.convert"):
        check_function(saved, Path("x.pth"))


@pytest.mark.parametrize(
    ("saved", "found"),
    [
        ({"config.json": TIMM}, Recorded("pretrained_cfg", HALF, frozenset({224, 288}))),
        ({"args": argparse.Namespace(**TRAIN)}, None),
        (
            {"args": argparse.Namespace(**TRAIN | {"mean": [0.5] * 3, "std": (0.5,) * 3})},
            Recorded("args", HALF),
        ),
        (
            {"p.json": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 96}},
            Recorded("p.json", HALF, frozenset({96})),
        ),
        (
            {"p.json": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_center_crop": True,
                        "size": {"shortest_edge": 256}, "crop_size": {"height": 64, "width": 64}}},
            Recorded("p.json", HALF, frozenset({64})),
        ),
        (
            {"p.json": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_normalize": False}},
            Recorded("p.json", Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),
        ),
        ({"loss": {"mean": [1, 2, 3], "std": [1, 2, 3]}}, None),
        ({"args": {"mean": [0.5], "std": [0.5]}}, None),
        ({"args": {"mean": "ab", "std": ["a", "b", "c"]}}, None),
    ],
)  # fmt: skip
def test_how_it_was_fed(saved: dict[str, Any], found: Recorded | None) -> None:
    assert find_recorded(saved) == found


def test_a_normalization_is_worth_more_than_a_size() -> None:
    saved = {"pretrained_cfg": {"input_size": [3, 64, 64]}, "hparams": {"mean": [0.5] * 3}}
    saved["hparams"]["std"] = [0.5] * 3
    assert find_recorded(saved) == Recorded("hparams", HALF)
