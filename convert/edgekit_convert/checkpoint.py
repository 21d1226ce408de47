"""Weights: torchvision's published ones, or a checkpoint file."""

import contextlib
import hashlib
import io
import os
import pickle
import sys
import urllib.error
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edgekit.errors import CheckpointError
from edgekit_convert.architectures import Architecture

IMAGENET = "imagenet"


@dataclass(frozen=True)
class Checkpoint:
    """Weights and where they came from.

    Attributes:
        state: torchvision's state dict.
        name: `imagenet` or the file's name.
        sha256: of the file, in hexadecimal.
        labels: class names, where the source knows them.
    """

    state: dict[str, Tensor]
    name: str
    sha256: str
    labels: list[str] | None


def load_imagenet(architecture: Architecture) -> Checkpoint:
    """torchvision's published weights, downloaded to and cached in torch's hub folder.

    Raises:
        CheckpointError: not in the cache, and the download failed.
    """
    weights = architecture.published()
    file = Path(torch.hub.get_dir()) / "checkpoints" / os.path.basename(weights.url)  # noqa: PTH119
    try:
        # torch announces the download on stdout, where our result goes.
        with contextlib.redirect_stdout(sys.stderr):
            state = weights.get_state_dict(progress=False, check_hash=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"cannot download torchvision's {architecture.weights} ({error}); pass a checkpoint "
            f"with --weights FILE, or put the published file at {file}"
        ) from error
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Checkpoint(state, IMAGENET, digest, list(weights.meta["categories"]))


def load_file(path: Path) -> Checkpoint:
    """A state dict saved with `torch.save`; nothing in the file is executed.

    Raises:
        CheckpointError: missing, damaged, needs code to load, or is not a state dict.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "unrecognized function" in str(error):
            raise CheckpointError(
                f"{path} holds more than tensors and would run code when loaded; save the weights "
                "alone: torch.save(model.state_dict(), FILE)"
            ) from error
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(
            f"{path} is not a state dict; save one: torch.save(model.state_dict(), FILE)"
        )
    return Checkpoint(state, path.name, hashlib.sha256(content).hexdigest(), None)
