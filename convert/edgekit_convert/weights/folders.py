"""Folders that libraries save a network in: which files are its weights, and what is said of it."""

import json
from pathlib import Path
from typing import Any

from edgekit.errors import CheckpointError
from edgekit.text import first_line, listed

# As Transformers, timm and Accelerate call them; where they are in parts, an index names these.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_INDEX = ".index.json"
# How pictures are fed, and what the network is and its classes are called.
_BESIDE = ("preprocessor_config.json", "config.json")
_MAXIMUM_BYTES = 16 << 20
# Folders of others, by a file in them: what they are, and what to do.
_OTHERS = (
    ("adapter_config.json", "an adapter without the network that it belongs to", "merge the two: "
     "PeftModel.from_pretrained(model, FOLDER).merge_and_unload().save_pretrained(MERGED)"),
    (".metadata", "a distributed checkpoint of PyTorch", "make one file of it: python -m "
     "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER weights.pth"),
    ("zero_to_fp32.py", "a checkpoint of DeepSpeed", "make one file of it: python "
     "FOLDER/zero_to_fp32.py FOLDER MERGED"),
    ("saved_model.pb", "a SavedModel of TensorFlow", "export it to ONNX (tf2onnx) and pass it with "
     "--onnx"),
)  # fmt: skip
_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")


def weight_files(path: Path) -> list[Path]:
    """The files of one state dict: the file itself, or those of a folder or of an index.

    Raises:
        CheckpointError: a file is missing, or the folder is none that a library saves a network in.
    """
    if path.is_dir():
        return _of_folder(path)
    files = _of_index(path) if path.name.endswith(_INDEX) else [path]
    for file in files:
        try:
            file.open("rb").close()
        except OSError as error:
            raise CheckpointError(f"cannot read the checkpoint {file}: {error.strerror}") from error
    return files


def _of_folder(folder: Path) -> list[Path]:
    for name in _WEIGHTS:
        for candidate in (folder / name, folder / f"{name}{_INDEX}"):
            if candidate.is_file():
                return weight_files(candidate)
    for name, what, remedy in _OTHERS:
        if (folder / name).is_file():
            raise CheckpointError(f"{folder} is {what}; {remedy}")
    found = sorted(
        one.name
        for one in folder.iterdir()
        if one.suffix in _SUFFIXES or any((one / name).is_file() for name in _WEIGHTS)
    )
    inside = f" ({listed(found, 5)})" if found else f", which holds no {' or '.join(_WEIGHTS)}"
    raise CheckpointError(
        f"{folder} is a folder; name the file in it that is the checkpoint{inside}"
    )


def _of_index(path: Path) -> list[Path]:
    parts = _read_json(path).get("weight_map")
    if not isinstance(parts, dict) or not parts or not all(map(_is_name, parts.values())):
        raise CheckpointError(f"{path} names no files of weights; save the network again")
    return [path.with_name(name) for name in sorted(set(parts.values()))]


def _is_name(value: object) -> bool:
    """Whether it is the name of a file in the same folder."""
    return isinstance(value, str) and Path(value).name == value != ""


def read_beside(weights: Path) -> dict[str, Any]:
    """What libraries say of a network in files beside its weights, by the names of these.

    Args:
        weights: one of `weight_files`.

    Raises:
        CheckpointError: one of them cannot be read.
    """
    if not weights.name.startswith(tuple(name.partition(".")[0] for name in _WEIGHTS)):
        return {}  # Other files may lie in one folder with anything.
    files = [weights.with_name(name) for name in _BESIDE]
    return {file.name: _read_json(file) for file in files if file.is_file()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAXIMUM_BYTES:
            raise ValueError("it is too large")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no dictionary")
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot read {path} as JSON: {first_line(error)}") from error
    return found
