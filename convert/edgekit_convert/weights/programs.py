"""Programs of `torch.export`, from files that nobody vouches for; no code in them is run.

`torch.export.load` unpickles what it finds without restriction, gives the text of a size to SymPy,
which evaluates it, and takes any function that PyTorch can reach for an operator. So that a file is
read first: it may hold tensors, and PyTorch's own operators on them.
"""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from edgekit.errors import CheckpointError
from edgekit.text import first_line, listed

_SAVE = "save it with torch.export.save(torch.export.export(model.eval(), (picture,)), FILE)"
_MODEL, _WEIGHTS, _CONSTANTS = (
    "models/model.json", "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json",
)  # fmt: skip
# Folders of an archive that hold compiled code.
_COMPILED = ("data/aotinductor/", "data/executorch/", "data/mtia")
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+|torch\.sym_\w+|math\.\w+"
    r"|_operator\.(?:add|sub|mul|truediv|floordiv|mod|pow|neg|eq|ne|ge|gt|le|lt|getitem)"
)
# Sizes that are not fixed, as SymPy writes them: `2*s77`, `Max(1, u0)`.
_SIZE = re.compile(
    r"(?:[su]\d+|zuf\d+|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|IntTrueDiv|ModularIndexing"
    r"|Eq|Ne|Ge|Gt|Le|Lt|And|Or|Not|Piecewise|True|False|\d+(?:\.\d+)?|[ ()+\-*/,<>=~&|])*"
)
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def load_program(path: Path) -> ExportedProgram:
    """A program that `torch.export.save` wrote.

    Args:
        path: of the `.pt2` file.

    Raises:
        CheckpointError: missing, damaged, of another kind, or holds more than tensors and PyTorch's
            own operators.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read the program {path}: {error.strerror}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check(archive, path)
    except (zipfile.BadZipFile, NotImplementedError, KeyError, ValueError, RecursionError,
            EOFError, OSError) as error:  # fmt: skip
        raise CheckpointError(
            f"{path} is not a program of torch.export, or is damaged ({first_line(error)}); {_SAVE}"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(io.BytesIO(content))
    except Exception as error:  # whatever damage provokes
        raise CheckpointError(
            f"PyTorch {torch.__version__} cannot load the program {path} ({first_line(error)}); "
            "save it again with this version"
        ) from error


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse what is no program, or holds what would be executed."""
    # All is in one folder, called as the file was.
    members = {name.partition("/")[2]: name for name in archive.namelist()}
    if _MODEL not in members:
        raise CheckpointError(
            f"{path} is not a program of torch.export, or one from before PyTorch 2.8; {_SAVE}"
        )
    if compiled := [name for name in members if name.startswith(_COMPILED)]:
        raise CheckpointError(f"{path} holds compiled code ({listed(compiled, 2)}); {_SAVE}")

    def text(name: str) -> Any:
        return json.loads(archive.read(members[name]))

    pickled = [name for name in members if name.endswith(".pt")]
    for config in (_WEIGHTS, _CONSTANTS):
        for entry in text(config)["config"].values():
            if entry["path_name"].startswith(("custom_obj_", "opaque_obj_")):
                raise CheckpointError(f"{path} holds objects that are no tensors; {_SAVE}")
            if entry["use_pickle"]:
                pickled.append(f"{config.rpartition('/')[0]}/{entry['path_name']}")
    for name in pickled:
        _check_pickle(archive.read(members[name]), path, name)
    _check_graph(text(_MODEL), path)


def _check_pickle(content: bytes, path: Path, name: str) -> None:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # refused, or damaged
        raise CheckpointError(
            f"{path} holds more than tensors in {name} and would run code when loaded; {_SAVE}"
        ) from error


def _check_graph(model: Any, path: Path) -> None:
    operators = {str(one) for key, one in _entries(model) if key == "target"}
    if foreign := sorted(one for one in operators if not _OPERATOR.fullmatch(one)):
        raise CheckpointError(
            f"{path} has operators that are not PyTorch's own on tensors ({listed(foreign, 3)}), "
            "which are not loaded from a file; give the nn.Module in Python, or write it without "
            "them"
        )
    sizes = {str(one) for key, one in _entries(model) if key == "expr_str"}
    specs = [json.loads(one) for key, one in _entries(model)
             if key in ("in_spec", "out_spec") and isinstance(one, str) and one]  # fmt: skip
    containers = {one for spec in specs for key, one in _entries(spec) if key == "type"}
    if not all(map(_SIZE.fullmatch, sizes)) or not containers <= set(_CONTAINERS):
        raise CheckpointError(f"{path} holds what no program of a classifier does; {_SAVE}")


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values of dictionaries, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from _entries(item)
    elif isinstance(value, list):
        for item in value:
            yield from _entries(item)
