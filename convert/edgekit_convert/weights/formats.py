"""What a file of weights holds: told by its first bytes, not by its name; no code in it is run."""

import argparse
import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from edgekit.errors import CheckpointError
from edgekit_convert.weights.kinds import is_onnx

# What people name by mistake: where in the file its mark stands, the mark, what it is, what to do.
_OTHERS = (
    (4, b"TFL3", "a .tflite file, which is converted already; --weights wants the network that it "
     "was made of"),
    (0, b"\x89HDF", "a Keras (HDF5) file; export its network to ONNX and pass it with --onnx"),
    (0, b"\x93NUMPY", "a NumPy array; save the network's state dict"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself; get that with: git "
     "lfs pull"),
    (0, b"<", "a web page, not what should have been downloaded; download the file itself"),
    (0, b"\x1f\x8b", "compressed; unpack it first"),
)  # fmt: skip
_TORCHSCRIPT = (
    "a TorchScript program; save its weights alone: "
    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
)
# Beside a state dict training scripts keep figures, and the options they were called with. These
# types hold values only; all else in a pickle that is not torch's own is refused.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bhilqBHILQefdU"),
    # NumPy 2 has moved these, and pickles name them either way.
    *(
        (value.__reduce__()[0], f"{module}.multiarray.{name}")
        for value, name in ((np.float64(0), "scalar"), (np.zeros(0), "_reconstruct"))
        for module in ("numpy.core", "numpy._core")
    ),
]


def read(path: Path, content: bytes) -> Any:
    """What a file saved with `torch.save`, or as safetensors, holds.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        CheckpointError: it is damaged, something else, or needs code to load.
    """
    if not content:
        raise CheckpointError(f"{path} is empty; copy it again")
    if path.suffix == ".safetensors" or content[8:9] == b"{":
        return _safetensors(path, content)
    if path.suffix == ".onnx" or is_onnx(content):
        raise CheckpointError(f"{path} is an ONNX model; pass it with --onnx in place of --weights")
    for position, mark, what in _OTHERS:
        if content.startswith(mark, position):
            raise CheckpointError(f"{path} is {what}")
    if content.startswith(b"PK") and (other := _other_archive(content)):
        raise CheckpointError(f"{path} is {other}")
    return _unpickle(path, content)


def _safetensors(path: Path, content: bytes) -> Any:
    try:
        state = safetensors.torch.load(content)
    except Exception as error:  # SafetensorError, KeyError, RuntimeError: whatever damage provokes
        raise CheckpointError(
            f"{path} is not a safetensors file, or is damaged ({error})"
        ) from error
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    # Their values can be nothing but text; what a program put there as JSON is read as that.
    return {"state_dict": state, **{key: _from_json(text) for key, text in metadata.items()}}


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _other_archive(content: bytes) -> str | None:
    """What a zip is that `torch.save` did not write; None for what it did, or for damage."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if any("/code/" in name for name in names):
        return _TORCHSCRIPT
    if any(name.endswith("data.pkl") for name in names):
        return None
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive; save the network's state dict (answers belong to --reference)"
    inside = next((name for name in names if not name.endswith("/")), "nothing")
    return f"a zip archive that holds {inside}, not a checkpoint; unpack it first"


def _unpickle(path: Path, content: bytes) -> Any:
    try:
        # Quantized tensors, which are refused later, make torch announce its future.
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported global" in str(error) or "unrecognized function" in str(error):
            raise CheckpointError(_with_code(path, content)) from error
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error
    except Exception as error:  # whatever damage provokes in the unpickler
        raise CheckpointError(f"{path} is not a PyTorch checkpoint, or is damaged") from error


def _with_code(path: Path, content: bytes) -> str:
    names = _unknown_types(content)
    if any(name.startswith("torch.nn.modules.") for name in names):
        return (
            f"{path} holds a whole network with its code, which would run when loaded; save the "
            "weights alone: torch.save(model.state_dict(), FILE)"
        )
    held = f" ({', '.join(names[:3])})" if names else ""
    return (
        f"{path} holds more than tensors{held} and would run code when loaded; where you trust it, "
        "save the weights alone: saved = torch.load(FILE, weights_only=False); "
        "print(saved.keys()); torch.save(saved['state_dict'], 'weights.pth')"
    )


def _unknown_types(content: bytes) -> list[str]:
    """Names of what a pickle would import, as far as torch can tell."""
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            found = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except Exception:  # a file of the format before 1.6, or damage
        return []
    return sorted(found)
