"""Heads: what a state dict says of them, what is guessed, and what --head says."""

import pytest
import torch
from edgekit_convert.weights.head import build_head, check_sizes, describe_head, find_head, guess
from edgekit_convert.weights.head_layers import WEIGHTLESS, parse_head
from torch import nn

from edgekit.errors import CheckpointError

FEATURES = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))


def _state(head: nn.Module, prefix: str = "fc.") -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    for layer in head.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.running_mean)
    return {f"{prefix}{key}": tensor for key, tensor in head.state_dict().items()}


def _same(rebuilt: nn.Module, original: nn.Module) -> bool:
    with torch.inference_mode():
        return torch.equal(rebuilt.eval()(FEATURES), original.eval()(FEATURES))


class TestSaid:
    """By `--head`."""

    @pytest.mark.parametrize("kind", WEIGHTLESS)
    def test_every_layer_is_the_one_it_is_called_after(self, kind: str) -> None:
        original = nn.Sequential(nn.Linear(4, 6), getattr(nn, WEIGHTLESS[kind])(), nn.Linear(6, 2))
        rebuilt = build_head(_state(original), parse_head(f"linear, {kind}, linear"))
        assert _same(rebuilt, original)

    def test_batchnorm_has_its_statistics(self) -> None:
        original = nn.Sequential(
            nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 6, bias=False), nn.ReLU(),
            nn.BatchNorm1d(6), nn.Linear(6, 2),
        )  # fmt: skip
        said = parse_head("batchnorm, dropout, linear, relu, batchnorm, linear")
        rebuilt = build_head(_state(original), said)
        assert _same(rebuilt, original)
        assert describe_head(rebuilt) == (
            "BatchNorm1d - Dropout - Linear(4, 6) - ReLU - BatchNorm1d - Linear(6, 2)"
        )

    def test_layers_with_names_of_their_own_are_in_the_order_of_the_state_dict(self) -> None:
        first, second = nn.Linear(4, 6), nn.Linear(6, 2)
        state = _state(nn.ModuleDict({"z": first, "a": second}))
        rebuilt = build_head(state, parse_head("linear, tanh, linear"))
        assert _same(rebuilt, nn.Sequential(first, nn.Tanh(), second))

    def test_a_softmax_at_the_end_is_the_model_files_own(self) -> None:
        assert parse_head("Linear, ReLU, linear, log_softmax") == ("linear", "relu", "linear")

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("", "''"),
            ("softmax", "ends in linear"),
            ("linear, tanh", "ends in linear"),
            ("linear, sigmoid", "ends in linear"),
            ("linear; linear", "'linear; linear'"),
            ("linear, maxout, linear", "'maxout'"),
            ("linear, leaky_relu, linear", "an int8 head can have: linear, batchnorm, relu, "),
        ],
    )
    def test_what_no_head_is_is_refused(self, text: str, wrong: str) -> None:
        with pytest.raises(ValueError, match=wrong):
            parse_head(text)

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("linear", "--head says linear where the checkpoint has"),
            ("linear, relu, linear, linear", "--head says linear, linear, linear"),
            ("linear, batchnorm, linear", "--head says linear, batchnorm, linear"),
            ("linear, relu, linear", "the layer fc.3 at position 2"),
            ("dropout, linear, relu, dropout, linear", "the layer fc.0 at position 1"),
        ],
    )
    def test_it_has_to_be_the_checkpoints(self, text: str, wrong: str) -> None:
        state = _state(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 2)))
        with pytest.raises(CheckpointError, match=wrong):
            build_head(state, parse_head(text))


class TestGuessed:
    def test_a_single_linear_needs_no_guess(self) -> None:
        assert guess(_state(nn.Linear(4, 2))) is None

    def test_two_linear_layers_with_nothing_between_them_are_told(self) -> None:
        # A ModuleList has the same names, and its activations in the code.
        said = guess(_state(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))))
        assert said is not None
        assert "nothing is between fc.0 and fc.1" in said and "--head" in said

    def test_a_batchnorm_right_in_front_of_a_linear_is_there_in_training_too(self) -> None:
        original = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False))
        assert _same(build_head(_state(original)), original)

    def test_a_batchnorm_with_a_gap_behind_it_is_asked_for(self) -> None:
        state = _state(nn.Sequential(nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)))
        with pytest.raises(CheckpointError, match=r"fc\.0 is a BatchNorm1d.*--head"):
            build_head(state)

    @pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh(), nn.Dropout()])
    def test_a_gap_is_told(self, activation: nn.Module) -> None:
        said = guess(_state(nn.Sequential(nn.Linear(4, 6), activation, nn.Linear(6, 2))))
        assert said is not None
        assert "does not say what fc.1 of the head is: taken for ReLU" in said
        assert "--head" in said and "--reference" in said

    def test_every_gap_is(self) -> None:
        state = _state(
            nn.Sequential(nn.Dropout(), nn.Linear(4, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 2))
        )
        said = guess(state)
        assert said is not None
        assert "fc.0, fc.2, fc.3 of the head are: taken for Dropout, ReLU, Dropout" in said

    @pytest.mark.parametrize(
        ("head", "asked"),
        [
            (nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)), "fc.1"),
            (nn.ModuleDict({"a": nn.Linear(4, 6), "b": nn.Linear(6, 2)}), "fc.a"),
            (nn.Sequential(nn.Sequential(nn.Linear(4, 6), nn.ReLU()), nn.Linear(6, 2)), "fc.0.0"),
        ],
    )
    def test_what_no_numbering_says_is_asked_for(self, head: nn.Module, asked: str) -> None:
        with pytest.raises(CheckpointError, match=f"{asked}.*--head"):
            build_head(_state(head))


class TestFound:
    """Among what is beside the trunk."""

    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (["fc"], ["fc"]),
            (["head"], ["fc"]),
            (["head.fc"], ["fc"]),
            (["classifier.1"], ["fc.1"]),
            (["classifier.0", "classifier.3"], ["fc.0", "fc.3"]),
            (["0", "3"], ["fc.0", "fc.3"]),
            (["1.2", "1.10"], ["fc.2", "fc.10"]),
            (["fc1", "fc2"], ["fc.fc1", "fc.fc2"]),
            (["backbone.fc", "head"], ["fc.backbone.fc", "fc.head"]),
        ],
    )
    def test_whatever_it_is_called(self, names: list[str], expected: list[str]) -> None:
        state, left_out = find_head({f"{name}.weight": torch.zeros(2, 2) for name in names})
        assert list(state) == [f"{name}.weight" for name in expected]
        assert left_out == []

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("n_averaged", torch.tensor(5)),
            ("epoch", 7),
            ("criterion.weight", torch.ones(2)),
            ("loss_fn.pos_weight", torch.ones(2)),
            ("class_weights", torch.ones(2)),
            ("val_acc.total", torch.ones(3)),
            ("confusion.confmat", torch.ones(3, 3, dtype=torch.int64)),
        ],
    )
    def test_what_is_of_the_training_is_left_out_and_named(self, key: str, value: object) -> None:
        state, left_out = find_head({"fc.weight": torch.zeros(2, 4), key: value})
        assert list(state) == ["fc.weight"]
        assert left_out == [key]

    @pytest.mark.parametrize(
        "extra",
        [
            {"normalize.mean": torch.zeros(3)},
            {"attention.conv.weight": torch.zeros(4, 4, 1, 1)},
            {"neck.weight": torch.ones(4), "neck.bias": torch.zeros(4)},
            {"act.weight": torch.ones(1)},
            {"temperature": torch.tensor(3.0)},
            {"loss.kernel": torch.zeros(4, 4)},
            {"order.confmat": torch.zeros(4, 4)},
        ],
    )
    def test_what_may_be_of_the_network_is_refused(self, extra: dict[str, torch.Tensor]) -> None:
        state, _ = find_head({"fc.weight": torch.zeros(2, 4), **extra})
        with pytest.raises(CheckpointError, match=next(iter(extra))):
            build_head(state)

    def test_of_several_heads_none_is_chosen(self) -> None:
        state, _ = find_head({"fc.weight": torch.zeros(2, 4), "aux.weight": torch.zeros(3, 4)})
        with pytest.raises(CheckpointError, match=r"fc\.aux takes 4 values where 2 arrive"):
            check_sizes(state, 4)
