"""What a file of weights holds: told by its first bytes, not by its name; no code in it is run."""

import argparse
import io
import json
import re
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from edgekit.errors import CheckpointError
from edgekit.text import listed
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
    (0, b"{", "JSON text, not weights; name the folder that it describes, or the file of weights"),
)  # fmt: skip
_IN_PYTHON = "edgekit_convert.convert(model, …)"
_TORCHSCRIPT = (
    "a TorchScript program; save its weights alone: "
    "torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')"
)
_EXPORTED = "a program of torch.export; pass it with --program in place of --weights"
_PICKLED = (
    "loading one runs code; where you trust it: model = pickle.load(open(FILE, 'rb')); "
    f"{_IN_PYTHON}"
)
_UNSUPPORTED = re.compile(r"GLOBAL ([\w.]+)")
_OLD_FORMAT = b"\x80\x02\x8a\n"  # before torch 1.6: a pickle of the magic number comes first
_LAYERS = "torch.nn.modules."
# Who writes files that need its own code to load, by the types in them: what they are, and the
# lines that get further; the first that is found counts.
_WRITERS = (
    ("fastai.learner.Learner", "a learner that fastai exported", "learn = load_learner(FILE); "
     "model = learn.model; classes = list(learn.dls.vocab); "
     "edgekit_convert.convert(model, classes=classes, …)"),
    ("ultralytics.", "a model of Ultralytics", "YOLO(FILE).export(format='onnx'), and pass what it "
     "writes with --onnx and --mean 0,0,0 --std 1,1,1"),
    ("transformers.training_args.", "the options of a training by Transformers; its weights are "
     "model.safetensors beside it", "name the folder"),
    (_LAYERS, "a whole network with its code", "model = torch.load(FILE, "
     f"weights_only=False); {_IN_PYTHON}, or save the weights alone: "
     "torch.save(model.state_dict(), FILE)"),
)  # fmt: skip
# Beside a state dict training scripts keep figures, and the options they were called with. These
# types hold values only; of all else in a pickle that is not torch's own nothing is loaded.
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


class _Unread:
    """What stands for every type that is not loaded: making one gives an empty dictionary."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return OrderedDict()


class _UnreadType:
    """What stands for `getattr`, by which pickles name methods and types in types."""

    def __new__(cls, *args: Any) -> Any:
        return _Unread


@dataclass(frozen=True)
class Content:
    """What a file of weights holds.

    Attributes:
        value: dictionaries of tensors, and what else is beside them.
        unread: types that need code, and were left out of it.
    """

    value: Any
    unread: tuple[str, ...] = ()

    @property
    def has_networks(self) -> bool:
        """Whether what was left out holds layers of networks."""
        return any(name.startswith(_LAYERS) for name in self.unread)

    @property
    def refusal(self) -> str | None:
        """What to say where there are no weights in what was read, and there may be in the rest."""
        if not self.unread:
            return None
        for writer, what, remedy in _WRITERS:
            if any(name.startswith(writer) for name in self.unread):
                return f"holds {what}, which would run when loaded; where you trust it: {remedy}"
        return (
            f"holds more than tensors ({listed(self.unread, 3)}) and would run code when loaded; "
            "where you trust it, save the weights alone: saved = torch.load(FILE, "
            "weights_only=False); print(saved.keys()); "
            "torch.save(saved['state_dict'], 'weights.pth')"
        )


def read(path: Path, content: bytes) -> Content:
    """What a file saved with `torch.save`, or as safetensors, holds.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        CheckpointError: it is damaged, or something else.
    """
    if not content:
        raise CheckpointError(f"{path} is empty; copy it again")
    if content[8:9] == b"{":
        return Content(_safetensors(path, content))
    if path.suffix == ".onnx" or is_onnx(content):
        raise CheckpointError(f"{path} is an ONNX model; pass it with --onnx in place of --weights")
    for position, mark, what in _OTHERS:
        if content.startswith(mark, position):
            raise CheckpointError(f"{path} is {what}")
    if path.suffix == ".safetensors":
        return Content(_safetensors(path, content))
    if content.startswith(b"PK") and (other := _other_archive(content)):
        raise CheckpointError(f"{path} is {other}")
    unread = _unknown_types(content)
    return Content(_unpickle(path, content, unread), unread)


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
    if any(name.endswith("/models/model.json") for name in names):
        return _EXPORTED
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive; save the network's state dict (answers belong to --reference)"
    inside = next((name for name in names if not name.endswith("/")), "nothing")
    return f"a zip archive that holds {inside}, not a checkpoint; unpack it first"


def _unpickle(path: Path, content: bytes, unread: tuple[str, ...]) -> Any:
    stand_ins = [(_UnreadType if name == "builtins.getattr" else _Unread, name) for name in unread]
    try:
        # Quantized tensors, which are refused later, make torch announce its future.
        with (
            torch.serialization.safe_globals([*_HARMLESS, *stand_ins]),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever damage provokes in the unpickler
        # In the format before 1.6 types are seen only when they are met.
        met = _UNSUPPORTED.search(str(error))
        refusal = Content(None, (*unread, *((met[1],) if met else ()))).refusal
        if refusal is None and content[:1] == b"\x80" and not content.startswith(_OLD_FORMAT):
            refusal = f"is a pickle that torch.save did not write; {_PICKLED}"
        raise CheckpointError(
            f"{path} {refusal or 'is not a PyTorch checkpoint, or is damaged'}"
        ) from error


def _unknown_types(content: bytes) -> tuple[str, ...]:
    """Names of what a pickle would import, as far as torch can tell; of those none is."""
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            found = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except Exception:  # a file of the format before 1.6, or damage
        return ()
    return tuple(sorted(found))
