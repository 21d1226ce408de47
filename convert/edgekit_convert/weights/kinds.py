"""What kind of file a model is in, by its first bytes; without PyTorch, for who has none."""

import zipfile
from pathlib import Path


def is_onnx(beginning: bytes) -> bool:
    """Whether a file that begins so is an ONNX model.

    Field 1 of it is the version of the format; the producer's name or the graph come next.
    """
    return beginning[:1] == b"\x08" and beginning[2:3] in (b"\x12", b"\x3a")


def is_program(path: Path) -> bool:
    """Whether a file is a program of `torch.export`, as PyTorch writes them since 2.8."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/models/model.json") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
