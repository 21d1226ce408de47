"""Folders that libraries save a network in."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.folders import read_beside, weight_files
from edgekit_convert.weights.names import SavedNames

from edgekit.errors import CheckpointError
from edgekit.model.manifest import Normalization
from tests.convert.weights.test_checkpoint import TINY

# What `ResNetForImageClassification.save_pretrained` of Transformers 5.24 and its image processor
# write, without what nothing is read of.
CONFIG = {
    "architectures": ["ResNetForImageClassification"], "depths": [2, 2, 2, 2],
    "downsample_in_bottleneck": False, "downsample_in_first_stage": False, "hidden_act": "relu",
    "id2label": {"0": "ant", "1": "bee", "2": "cat"},
    "label2id": {"ant": 0, "bee": 1, "cat": 2}, "model_type": "resnet",
}  # fmt: skip
PROCESSOR = {
    "crop_pct": 0.875, "do_normalize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ConvNextImageProcessor", "image_std": [0.5, 0.5, 0.5],
    "size": {"shortest_edge": 96},
}  # fmt: skip


def _write(folder: Path, files: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        if isinstance(content, dict) and name.endswith(".json"):
            (folder / name).write_text(json.dumps(content))
        elif name.endswith(".safetensors"):
            safetensors.torch.save_file(content, folder / name)
        elif content is None:
            (folder / name).touch()
        else:
            torch.save(content, folder / name)
    return folder


def _halves() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    keys = list(TINY)
    return {key: TINY[key] for key in keys[:3]}, {key: TINY[key] for key in keys[3:]}


def test_weights_names_and_pictures_are_read_of_a_folder_of_transformers(tmp_path: Path) -> None:
    files = {
        "model.safetensors": TINY,
        "config.json": CONFIG,
        "preprocessor_config.json": PROCESSOR,
    }
    folder = _write(tmp_path / "door", files)
    found = load_file(folder)
    assert found.name == "door"
    assert found.state.keys() == TINY.keys()
    assert SavedNames("id2label", ["ant", "bee", "cat"]) in found.saved_names
    assert found.recorded is not None
    assert found.recorded.normalization == Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert found.recorded.sizes == {96}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_file_in_it_may_be_named_too(name: str, tmp_path: Path) -> None:
    folder = _write(tmp_path, {name: TINY, "config.json": CONFIG})
    assert load_file(folder / name).saved_names == load_file(folder).saved_names != []


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("named", ["", "index"])
def test_parts_are_put_together_by_their_index(name: str, named: str, tmp_path: Path) -> None:
    stem, _, ending = name.partition(".")
    parts = [f"{stem}-0000{number}-of-00002.{ending}" for number in (1, 2)]
    first, second = _halves()
    index = {key: parts[key in second] for key in TINY}
    files = {parts[0]: first, parts[1]: second, f"{name}.index.json": {"weight_map": index}}
    folder = _write(tmp_path, files)
    found = load_file(folder / f"{name}.index.json" if named else folder)
    assert found.state.keys() == TINY.keys()
    assert all(torch.equal(found.state[key], TINY[key]) for key in TINY)


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    first, _ = _halves()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    _write(tmp_path, {"model-1.safetensors": first, "model.safetensors.index.json": index})
    with pytest.raises(CheckpointError, match=r"cannot read the checkpoint .*model-2\.safetensors"):
        load_file(tmp_path)


def test_a_tensor_in_two_parts_is_refused(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {"model-1.safetensors": TINY, "model-2.safetensors": TINY}
    _write(tmp_path, {**files, "model.safetensors.index.json": index})
    with pytest.raises(CheckpointError, match="in two of its files"):
        load_file(tmp_path)


@pytest.mark.parametrize(
    "index",
    [{}, {"weight_map": {}}, {"weight_map": {"a": "../x"}}, {"weight_map": {"a": 1}}, {"a": "b"},
     {"weight_map": {"a": ""}}, {"weight_map": ["a"]}],
)  # fmt: skip
def test_an_index_names_files_beside_it_alone(index: dict[str, Any], tmp_path: Path) -> None:
    _write(tmp_path, {"model.safetensors.index.json": index})
    with pytest.raises(CheckpointError, match="names no files of weights"):
        weight_files(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, "\udcff"])
def test_damaged_json_is_named(text: str, tmp_path: Path) -> None:
    _write(tmp_path, {"model.safetensors": TINY})
    (tmp_path / "config.json").write_text(text, errors="surrogateescape")
    with pytest.raises(CheckpointError, match=r"cannot read .*config\.json as JSON"):
        load_file(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("adapter_config.json", "adapter without the network.*merge_and_unload"),
        (".metadata", "distributed checkpoint.*dcp_to_torch"),
        ("zero_to_fp32.py", r"DeepSpeed.*zero_to_fp32\.py"),
        ("saved_model.pb", "TensorFlow.*--onnx"),
    ],
)
def test_folders_of_others_say_what_to_do(name: str, words: str, tmp_path: Path) -> None:
    _write(tmp_path, {name: None})
    with pytest.raises(CheckpointError, match=words):
        weight_files(tmp_path)


def test_a_folder_of_checkpoints_names_them(tmp_path: Path) -> None:
    _write(tmp_path, {"best.pth": TINY, "notes.txt": None})
    _write(tmp_path / "checkpoint-10", {"model.safetensors": TINY})
    with pytest.raises(CheckpointError, match=r"name the file in it.*best\.pth, checkpoint-10"):
        weight_files(tmp_path)


def test_an_empty_one_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no model\.safetensors or pytorch_model\.bin"):
        weight_files(tmp_path)


def test_a_file_of_any_name_is_read_without_its_neighbours(tmp_path: Path) -> None:
    _write(tmp_path, {"best.pth": TINY, "config.json": CONFIG})
    assert read_beside(tmp_path / "best.pth") == {}
    assert load_file(tmp_path / "best.pth").saved_names == []
