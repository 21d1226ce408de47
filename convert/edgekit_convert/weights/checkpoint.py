"""Weights: torchvision's published ones, or a checkpoint file."""

import contextlib
import hashlib
import io
import os
import pickle
import sys
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit.model.architectures import Architecture
from edgekit_convert.weights.torchvision_shim import import_torchvision

# Keys under which training scripts keep the state dict, beside epochs and optimisers.
_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Checkpoint:
    """Weights and where they came from.

    Attributes:
        state: torchvision's state dict.
        name: `imagenet-v1`, `imagenet-v2` or the file's name.
        sha256: of the file, in hexadecimal.
        labels: class names, where the source knows them.
    """

    state: dict[str, Tensor]
    name: str
    sha256: str
    labels: list[str] | None


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


def load_file(path: Path) -> Checkpoint:
    """A state dict saved with `torch.save` or as safetensors; nothing in the file is executed.

    It may be wrapped, as in `{"state_dict": …, "epoch": …}`, and its keys may share a prefix, as
    `module.` from DataParallel.

    Raises:
        CheckpointError: missing, damaged, needs code to load, or holds no state dict.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    if path.suffix == ".safetensors":
        try:
            loaded: Any = safetensors.torch.load(content)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path} is not a safetensors file, or is damaged ({error})"
            ) from error
    else:
        loaded = _unpickle(content, path)
    state = _without_prefix(_unwrap(loaded, path))
    return Checkpoint(state, path.name, hashlib.sha256(content).hexdigest(), None)


def _unpickle(content: bytes, path: Path) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "unrecognized function" in str(error):
            raise CheckpointError(
                f"{path} holds more than tensors and would run code when loaded; save the weights "
                "alone: torch.save(model.state_dict(), FILE)"
            ) from error
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error
    except Exception as error:  # whatever damage provokes in the unpickler
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error


def _unwrap(loaded: Any, path: Path) -> dict[str, Tensor]:
    state = loaded
    while isinstance(state, Mapping) and not _is_state_dict(state):
        state = next((state[key] for key in _WRAPPERS if key in state), None)
    if not isinstance(state, Mapping):
        held = ", ".join(map(str, list(loaded)[:5])) if isinstance(loaded, Mapping) else "none"
        raise CheckpointError(
            f"{path} holds no state dict (its keys: {held}); save one: "
            "torch.save(model.state_dict(), FILE)"
        )
    return dict(state)


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    return bool(value) and all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items()
    )


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what stands before `conv1.weight`, where all keys share it."""
    stems = [key for key in state if key.endswith("conv1.weight") and "layer" not in key]
    prefix = stems[0].removesuffix("conv1.weight") if len(stems) == 1 else ""
    if all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state
