"""A user's network is made ready in a copy; what cannot be is said."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from edgekit_convert.weights.modules import digest, prepare, said_of
from edgekit_convert.weights.names import find_names
from edgekit_convert.weights.recorded import find_recorded
from torch import Tensor, nn

from edgekit.errors import CheckpointError


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(3))


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = small()
    made(torch.zeros(2, 3, 8, 8))
    return made.eval()


PICTURES = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)


def test_it_answers_as_the_user_has_it(network: nn.Module) -> None:
    ready, notes = prepare(network)
    torch.testing.assert_close(ready(PICTURES), network(PICTURES))
    assert notes == []


def test_the_users_own_is_left_as_it_was(network: nn.Module) -> None:
    network.train().half()
    before = copy.deepcopy(network.state_dict())
    ready, notes = prepare(network)
    ready(PICTURES)
    assert network.training and all(one.dtype is torch.float16 for one in network.parameters())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert [note.partition(";")[0] for note in notes] == [
        "the network was in training mode", "the network has float16 weights"
    ]  # fmt: skip


def test_what_is_frozen_in_training_is_in_evaluation_mode_too(network: nn.Sequential) -> None:
    network.train()
    network[1].eval()
    ready, _ = prepare(network)
    assert not any(part.training for part in ready.modules())


# torch.compile loads what warns of its own end.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["parallel", "compiled"])
def test_wrappers_that_change_nothing_are_taken_off(network: nn.Module, wrap: Any) -> None:
    ready, _ = prepare(wrap(network))
    torch.testing.assert_close(ready(PICTURES), network(PICTURES))
    assert digest(ready) == digest(prepare(network)[0])


def test_its_digest_is_of_its_values(network: nn.Sequential) -> None:
    first = digest(prepare(network)[0])
    assert first == digest(prepare(network)[0])
    with torch.no_grad():
        network[0].weight[0, 0, 0, 0] += 1
    assert digest(prepare(network)[0]) != first


class Giving(nn.Module):
    """Gives what `give` makes of three scores."""

    def __init__(self, give: Any) -> None:
        super().__init__()
        self.give = give
        self.layer = nn.Linear(192, 3)

    def forward(self, pictures: Tensor) -> Any:
        return self.give(self.layer(pictures.flatten(1)))


@pytest.mark.parametrize(
    "give",
    [
        lambda scores: scores,
        lambda scores: (scores,),
        lambda scores: {"logits": scores},
        lambda scores: {"logits": scores, "hidden_states": (scores, scores)},
        lambda scores: {"out": scores},
    ],
)
def test_the_scores_are_found_in_what_it_gives(give: Any) -> None:
    network = Giving(give)
    ready, _ = prepare(network)
    torch.testing.assert_close(ready(PICTURES), network.layer(PICTURES.flatten(1)))


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda s: (s, s), r"gives 2 outputs \(\(2, 3\), \(2, 3\)\)"),
        (lambda s: {"a": s, "b": s}, r"gives 2 outputs \(a, b\)"),
        (lambda s: SimpleNamespace(logits=s), "gives SimpleNamespace, not a tensor"),
        (lambda s: [], "gives 0 outputs"),
    ],
)
def test_several_outputs_are_refused(give: Any, words: str) -> None:
    ready, _ = prepare(Giving(give))
    with pytest.raises(CheckpointError, match=f"{words}.*wrap it in an nn.Module"):
        ready(PICTURES)


def _with_nan() -> nn.Module:
    network = nn.Linear(2, 2)
    nn.init.constant_(network.weight, float("nan"))
    return network


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (small, r"never saw a picture \(3.weight, 3.bias\); run it once"),
        (lambda: nn.Linear(2, 2, device="meta"), "no values in weight, bias"),
        (_with_nan, "not finite, in weight"),
        (nn.Flatten, "has no weights"),
        (
            lambda: torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2))),
            "is quantized already",
        ),
        (lambda: torch.jit.script(nn.Linear(2, 2)), "TorchScript program"),
    ],
)
def test_what_is_no_float_network_is_refused(make: Any, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        prepare(make())


class TestWithoutACopy:
    @pytest.fixture
    def fixed(self, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
        """A network that cannot be copied."""

        def refuse(*_: object) -> None:
            raise RuntimeError("only leaves can be copied")

        monkeypatch.setattr(type(network), "__deepcopy__", refuse, raising=False)
        return network

    def test_what_is_ready_is_used_as_it_is(self, fixed: nn.Module) -> None:
        ready, notes = prepare(fixed)
        torch.testing.assert_close(ready(PICTURES), fixed(PICTURES))
        assert notes == []

    @pytest.mark.parametrize("change", [nn.Module.train, nn.Module.half])
    def test_what_would_have_to_be_changed_is_refused(self, fixed: nn.Module, change: Any) -> None:
        with pytest.raises(CheckpointError, match=r"cannot be copied \(only leaves can be copied"):
            prepare(change(fixed))


def _names(network: nn.Module) -> list[tuple[str, list[str]]]:
    return [(one.key, one.names) for one in find_names(said_of(network))]


def test_names_that_libraries_keep_in_a_network(network: nn.Module) -> None:
    assert _names(network) == []
    config = SimpleNamespace(to_dict=lambda: {"id2label": {0: "cat", 1: "dog"}})
    network.config = config  # as Hugging Face has it
    assert _names(network) == [("id2label", ["cat", "dog"])]
    network.config = SimpleNamespace(to_dict=lambda: {"id2label": {0: "LABEL_0", 1: "LABEL_1"}})
    assert _names(network) == []
    network.class_to_idx = {"dog": 1, "cat": 0}  # as PyTorch's tutorial of transfer learning
    assert _names(nn.DataParallel(network)) == [("class_to_idx", ["cat", "dog"])]


def test_how_it_was_fed_as_timm_keeps_it(network: nn.Module) -> None:
    assert find_recorded(said_of(network)) is None
    network.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "input_size": (3, 64, 64)}
    found = find_recorded(said_of(network))
    assert found is not None and found.normalization is not None
    assert (found.normalization.std, found.sizes) == ((0.25,) * 3, frozenset({64}))
