"""Programs of `torch.export` are loaded from files, and nothing in these is run."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from edgekit_convert.weights.kinds import is_program
from edgekit_convert.weights.programs import check_input, load_program
from torch import nn

from edgekit.errors import CheckpointError
from edgekit.model.geometry import Geometry

Edit = Callable[[str, bytes], bytes]


class Marker:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


def write(path: Path, batch: int = 1, *, any_batch: bool = False) -> Path:
    sizes = ({0: torch.export.Dim("batch", max=64)},) if any_batch else None
    example = (torch.zeros(batch, 3, 8, 8),)
    program = torch.export.export(network(), example, dynamic_shapes=sizes)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("program") / "small.pt2", 2, any_batch=True)


@pytest.fixture
def edited(program: Path, tmp_path: Path) -> Callable[[Edit], Path]:
    """The file with other contents."""

    def make(edit: Edit) -> Path:
        target = tmp_path / "small.pt2"
        with zipfile.ZipFile(program) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                new.writestr(name, edit(name, old.read(name)))
        return target

    return make


def _in_graph(old: str, new: str) -> Edit:
    def edit(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        assert old.encode() in content
        return content.replace(old.encode(), new.encode())

    return edit


def test_it_computes_what_was_saved(program: Path) -> None:
    pictures = torch.linspace(-1, 1, 2 * 192).reshape(2, 3, 8, 8)
    loaded = load_program(program)
    torch.testing.assert_close(loaded.module()(pictures), network()(pictures))
    assert is_program(program)


def test_a_copy_of_it_by_another_zip_tool_is_as_good(edited: Callable[[Edit], Path]) -> None:
    load_program(edited(lambda name, content: content))


def test_a_pickle_in_it_is_not_run(edited: Callable[[Edit], Path], tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(Marker(tmp_path / "ran"), buffer)
    file = edited(lambda name, old: buffer.getvalue() if name.endswith(".pt") else old)
    with pytest.raises(CheckpointError, match="would run code when loaded"):
        load_program(file)
    assert not (tmp_path / "ran").exists()


def test_a_weight_that_is_a_pickle_is_not_run(
    edited: Callable[[Edit], Path], tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    torch.save(Marker(tmp_path / "ran"), buffer)

    def edit(name: str, content: bytes) -> bytes:
        if name.endswith("weight_0"):
            return buffer.getvalue()
        if name.endswith("weights_config.json"):
            config = json.loads(content)
            first = next(one for one in config["config"].values() if one["path_name"] == "weight_0")
            first["use_pickle"] = True
            return json.dumps(config).encode()
        return content

    with pytest.raises(CheckpointError, match="holds more than tensors in data/weights/weight_0"):
        load_program(edited(edit))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "target", ["torch.os.system", "torch.ops.mylib.op.default", "#x:y", "torch.hub.load", "os.abc"]
)
def test_operators_are_pytorchs_own(edited: Callable[[Edit], Path], target: str) -> None:
    with pytest.raises(CheckpointError, match="operators that are not PyTorch's own"):
        load_program(edited(_in_graph("torch.ops.aten.relu.default", target)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Symbol('s", "__import__('os').getcwd() or Symbol('s"),
        ("Symbol('s", "exec('1') or Symbol('s"),
        ("positive=True", "positive=True.__class__"),
        ('"guards_code": []', '"guards_code": ["__import__(\'os\').getcwd()"]'),
        ('\\"builtins.tuple\\"', '\\"collections.defaultdict\\"'),
    ],
)
def test_text_that_would_be_evaluated_is_known(
    edited: Callable[[Edit], Path], old: str, new: str
) -> None:
    with pytest.raises(CheckpointError, match="what no program of a classifier does"):
        load_program(edited(_in_graph(old, new)))


def test_compiled_code_is_not_loaded(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.pt2"
    file.write_bytes(program.read_bytes())
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("small/data/aotinductor/model/x.so", b"code")
    with pytest.raises(CheckpointError, match="holds compiled code"):
        load_program(file)


@pytest.mark.parametrize("part", [0.2, 0.9])
def test_one_that_is_cut_off_is_damaged(program: Path, tmp_path: Path, part: float) -> None:
    content = program.read_bytes()
    (tmp_path / "cut.pt2").write_bytes(content[: int(part * len(content))])
    with pytest.raises(CheckpointError, match="is not a program of"):
        load_program(tmp_path / "cut.pt2")


def test_what_pytorch_cannot_load_is_said(edited: Callable[[Edit], Path]) -> None:
    with pytest.raises(CheckpointError, match="cannot load the program"):
        load_program(edited(_in_graph('"major": ', '"major": 9')))


def test_other_archives_are_none(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "state.pt2")
    assert not is_program(tmp_path / "state.pt2")
    with pytest.raises(CheckpointError, match="or one from before PyTorch"):
        load_program(tmp_path / "state.pt2")
    with pytest.raises(CheckpointError, match="cannot read the program"):
        load_program(tmp_path / "nothing.pt2")


class TestInput:
    def test_any_number_of_pictures_of_its_size_is_good(self, program: Path) -> None:
        check_input(load_program(program), Geometry(8, 8))

    def test_another_size_is_named(self, program: Path) -> None:
        with pytest.raises(CheckpointError, match="pictures of 8x8; pass --size 8"):
            check_input(load_program(program), Geometry(16, 16))

    def test_several_at_once_are_refused(self, tmp_path: Path) -> None:
        file = write(tmp_path / "four.pt2", 4)
        with pytest.raises(CheckpointError, match="takes 4 pictures at once"):
            check_input(load_program(file), Geometry(8, 8))

    def test_grey_pictures_are_refused(self) -> None:
        grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
        program = torch.export.export(grey, (torch.zeros(1, 1, 8, 8),))
        with pytest.raises(CheckpointError, match="of 1 channels, not RGB"):
            check_input(program, Geometry(8, 8))
