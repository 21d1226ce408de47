"""Weights: torchvision's published ones, or a checkpoint file."""

import contextlib
import hashlib
import os
import sys
import urllib.error
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit.model.architectures import Architecture
from edgekit.text import listed
from edgekit_convert.weights.folders import read_beside, weight_files
from edgekit_convert.weights.formats import Content, read
from edgekit_convert.weights.head import find_head
from edgekit_convert.weights.names import SavedNames, find_names
from edgekit_convert.weights.recorded import Recorded, check_function, find_recorded
from edgekit_convert.weights.state_dicts import choose
from edgekit_convert.weights.torchvision_shim import import_torchvision


@dataclass(frozen=True)
class Checkpoint:
    """Weights and where they came from.

    Attributes:
        state: by torchvision's keys; the head, whatever it was called, under `fc`.
        name: `imagenet-v1`, `imagenet-v2` or the file's name.
        sha256: of the file, in hexadecimal.
        labels: class names of torchvision's published weights.
        saved_names: class names in the file.
        recorded: how the network was fed, as the file says it.
        notes: what was chosen or left out, in words.
    """

    state: dict[str, Tensor]
    name: str
    sha256: str
    labels: list[str] | None = None
    saved_names: list[SavedNames] = field(default_factory=list)
    recorded: Recorded | None = None
    notes: list[str] = field(default_factory=list)


def load_imagenet(architecture: Architecture, version: int) -> Checkpoint:
    """torchvision's published weights, downloaded to and cached in torch's hub folder.

    Raises:
        CheckpointError: they are not in the cache and the download failed.
    """
    entry = f"ResNet{architecture.option}_Weights.IMAGENET1K_V{version}"
    weights = import_torchvision().models.get_weight(entry)
    file = Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(weights.url)  # noqa: PTH119
    try:
        # torch announces the download on stdout, where our result goes.
        with contextlib.redirect_stdout(sys.stderr):
            state = weights.get_state_dict(progress=sys.stderr.isatty(), check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot download torchvision's {entry} ({error}); pass a checkpoint with "
            f"--weights FILE, or put the published file at {file}"
        ) from error
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Checkpoint(state, f"imagenet-v{version}", digest, list(weights.meta["categories"]))


def load_file(path: Path, key: str | None = None) -> Checkpoint:
    """A ResNet's state dict, saved with `torch.save` or as safetensors; no code in it is run.

    It may be wrapped, as in `{"state_dict": …, "epoch": …}`, and its keys may have prefixes, as
    `module.` from DataParallel.

    Args:
        path: of the file, or of the folder that a library saved a network in.
        key: of the state dict that is wanted, where there are several.

    Raises:
        CheckpointError: missing, damaged, needs code to load, holds no ResNet, or says that it is
            another one than torchvision's.
    """
    files = weight_files(path)
    contents = [_read_bytes(file) for file in files]
    saved = _joined([read(*one) for one in zip(files, contents, strict=True)], path)
    described = {**read_beside(files[0]), "": saved.value}
    found, choice = choose(saved, path, key)
    check_function(described, path)
    head, left_out = find_head(found.rest)
    notes = [choice] if choice else []
    if saved.unread:
        notes.append(f"left unread in {path}, as it needs code: {listed(saved.unread, 3)}")
    state = found.trunk | head
    if others := sorted({str(one.dtype).removeprefix("torch.") for one in state.values()
                         if isinstance(one, Tensor) and one.is_floating_point()
                         and one.dtype is not torch.float32}):  # fmt: skip
        notes.append(f"{path} has {' and '.join(others)} weights; it is computed in float32")
    if left_out:
        notes.append(f"left out of {path}, as no part of the network: {', '.join(left_out)}")
    return Checkpoint(
        state,
        path.name,
        hashlib.sha256(b"".join(contents)).hexdigest(),
        saved_names=find_names(described),
        recorded=find_recorded(described),
        notes=notes,
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}") from error


def _joined(parts: list[Content], path: Path) -> Content:
    """The tensors of all files of one state dict in one dictionary."""
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for part in parts:
        held = part.value
        state = held.get("state_dict", held) if isinstance(held, dict) else {}
        if twice := joined.keys() & state.keys():
            raise CheckpointError(f"{path} has {min(twice)} in two of its files; save it again")
        joined |= state
    return Content(joined, tuple(sorted({name for part in parts for name in part.unread})))
