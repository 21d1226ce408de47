"""One table of architectures: an entry in it is enough."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import edgekit_convert.arguments
import edgekit_convert.cli
import pytest
import torch
from click.testing import CliRunner
from edgekit_convert.target.memory import Network, estimate
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.resnet import load, recognise

from edgekit.errors import ConfigurationError
from edgekit.model.architectures import ARCHITECTURES, Architecture
from edgekit.model.structure import read_structure
from tests.convert.weights.test_checkpoint import network
from tests.core.model.test_structure import resnet


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[Architecture]:
    """A ResNet-26 in the table."""
    architecture = Architecture("26", (2, 2, 2, 2), bottleneck=True)
    monkeypatch.setitem(ARCHITECTURES, architecture.option, architecture)
    # The options of a command are made when its module is loaded.
    _reload()
    yield architecture
    monkeypatch.undo()
    _reload()


def _reload() -> None:
    importlib.reload(edgekit_convert.arguments)
    importlib.reload(edgekit_convert.cli)


def _help() -> str:
    return CliRunner().invoke(edgekit_convert.cli.convert, ["--help"]).output


def test_it_is_built_and_its_checkpoint_recognised(added: Architecture, tmp_path: Path) -> None:
    resnet_module = edgekit_convert.weights.resnet.import_torchvision().models.resnet
    original = resnet_module.ResNet(resnet_module.Bottleneck, [2, 2, 2, 2], num_classes=3).eval()
    torch.save(original.state_dict(), tmp_path / "26.pth")
    state = load_file(tmp_path / "26.pth").state
    assert recognise(state) is added
    pictures = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(load(added, state)(pictures), original(pictures))


def test_it_is_recognised_in_a_model_file(added: Architecture) -> None:
    found = read_structure(resnet("bottleneck", added.blocks))
    assert found is not None
    assert found.name == "resnet26"


def test_the_command_offers_it_for_checkpoints(added: Architecture) -> None:
    assert "18|34|50|101|152|26" in _help()
    arguments = ["--arch", "26", "--int8"]
    done = CliRunner().invoke(edgekit_convert.cli.convert, arguments)
    assert isinstance(done.exception, ConfigurationError)
    assert "torchvision has published no weights for --arch 26" in str(done.exception)


def test_its_memory_is_foreseen(added: Architecture) -> None:
    smaller, larger = (Network.resnet(ARCHITECTURES[option], 0) for option in ("18", "50"))
    found = Network.resnet(added, 0)
    assert smaller.parameters < found.parameters < larger.parameters
    assert estimate(found, 224, 224) > estimate(smaller, 224, 224)


def test_without_the_entry_nothing_knows_it() -> None:
    assert "|26" not in _help()
    found = read_structure(resnet("bottleneck", (2, 2, 2, 2)))
    assert found is not None
    assert found.name is None


@pytest.mark.parametrize("option", ARCHITECTURES)
def test_torchvisions_builder_of_the_same_name_builds_the_same(option: str) -> None:
    state = network(option).state_dict()
    assert recognise(state) is ARCHITECTURES[option]
    load(ARCHITECTURES[option], state)


@pytest.mark.parametrize("option", ARCHITECTURES)
def test_parameters_are_counted_as_torch_counts_them(option: str) -> None:
    built = network(option)
    counted = sum(
        values.numel()
        for name, values in built.named_parameters()
        if not name.startswith("fc.") and not name.endswith("bias")
    )
    # BatchNorm's weight is counted here and folded there, where a bias takes its place.
    assert ARCHITECTURES[option].parameters() == counted


def test_the_manual_names_them_all() -> None:
    manual = Path(__file__).parents[3] / "docs" / "conversion.md"
    assert f"--arch {'|'.join(ARCHITECTURES)}" in manual.read_text(encoding="utf-8")
