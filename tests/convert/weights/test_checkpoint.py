"""What a checkpoint may look like, and which heads are understood."""

import argparse
import pickle
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from edgekit_convert.weights import formats
from edgekit_convert.weights.checkpoint import load_file
from edgekit_convert.weights.head import build_head, describe_head
from edgekit_convert.weights.names import SavedNames
from edgekit_convert.weights.resnet import load
from edgekit_convert.weights.torchvision_shim import import_torchvision
from torch import nn

from edgekit.errors import CheckpointError
from edgekit.model.architectures import ARCHITECTURES

State = dict[str, torch.Tensor]
TINY: State = {
    key: torch.full((3, 3), float(number))
    for number, key in enumerate(
        ("conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "layer4.1.bn2.bias", "fc.weight")
    )
} | {"fc.bias": torch.zeros(3)}
OTHER = {key: tensor + 1 for key, tensor in TINY.items()}
# nn.Sequential(*resnet.children()) numbers them; a Linear behind it gets a name of its own.
CHILDREN = {"conv1.": "0.", "bn1.": "1.", "layer1.": "4.", "layer4.": "7.", "fc.": "classifier."}


def _prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def _renamed(state: State, names: dict[str, str]) -> State:
    def rename(key: str) -> str:
        old = next((old for old in names if key.startswith(old)), None)
        return key if old is None else names[old] + key.removeprefix(old)

    return {rename(key): tensor for key, tensor in state.items()}


def _equal(found: State, expected: State) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[key], expected[key]) for key in expected
    )


def network(option: str, head: nn.Module | None = None) -> nn.Module:
    """An untrained ResNet of torchvision's own, with a head of the test's."""
    torch.manual_seed(0)
    built: Any = getattr(import_torchvision().models, f"resnet{option}")(num_classes=3)
    if head is not None:
        built.fc = head
    module: nn.Module = built.eval()
    return module


@pytest.fixture(scope="module")
def state() -> State:
    return network("18").state_dict()


class TestHowItIsWrapped:
    """What training scripts save; `TINY` stands for a ResNet's tensors."""

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: state,
            lambda state: {"state_dict": state, "epoch": 7},
            lambda state: {"model": state, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
            lambda state: {"model_state_dict": state},
            lambda state: {"model_state": state, "epoch": 1},
            lambda state: {"net": state, "acc": 93.1, "best": np.float64(0.93)},
            lambda state: {"history": np.zeros(3), "run": {"weights": {"best": state}}},
            lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, names=["a"])},
            lambda state: _prefixed(state, "module."),
            lambda state: _prefixed(state, "_orig_mod.module."),
            lambda state: {"state_dict": _prefixed(state, "model.")},
            lambda state: {"state_dict": _prefixed(state, "model.") | {"step": 3}},
            lambda state: _prefixed(state, "module.") | {"n_averaged": torch.tensor(5)},
            lambda state: _prefixed(state, "net.") | {"criterion.weight": torch.ones(3)},
            lambda state: _renamed(state, {"fc.": "classifier."}),
            lambda state: _renamed(_prefixed(state, "backbone."), {"backbone.fc.": "head."}),
            lambda state: _renamed(_prefixed(state, "backbone."), {"backbone.fc.": "head.fc."}),
            lambda state: _prefixed(_renamed(state, CHILDREN), "features."),
            lambda state: _renamed(state, CHILDREN),
        ],
    )
    def test_a_resnet_is_found_by_its_own_keys(
        self, wrap: Callable[[State], Any], tmp_path: Path
    ) -> None:
        torch.save(wrap(dict(TINY)), tmp_path / "x.pth")
        assert _equal(load_file(tmp_path / "x.pth").state, TINY)

    def test_it_is_found_by_two_names_once(self, tmp_path: Path) -> None:
        trunk = {key: item for key, item in TINY.items() if not key.startswith("fc.")}
        for first, second in (("extractor.", "model."), ("model.", "x.")):
            both = _prefixed(trunk, first) | _prefixed(
                TINY if second == "model." else trunk, second
            )
            both |= _prefixed(TINY, "model.")
            torch.save(both, tmp_path / "x.pth")
            found = load_file(tmp_path / "x.pth")
            assert _equal(found.state, TINY)
            assert found.notes == []

    def test_what_is_left_out_is_told(self, tmp_path: Path) -> None:
        torch.save({**TINY, "criterion.weight": torch.ones(3), "n_averaged": 5}, tmp_path / "x.pth")
        assert load_file(tmp_path / "x.pth").notes == [
            f"left out of {tmp_path / 'x.pth'}, as no part of the network: criterion.weight, "
            "n_averaged"
        ]

    def test_a_shorter_float_is_told(self, tmp_path: Path) -> None:
        torch.save({key: item.half() for key, item in TINY.items()}, tmp_path / "x.pth")
        (note,) = load_file(tmp_path / "x.pth").notes
        assert "has float16 weights; it is computed in float32" in note

    def test_names_of_classes_come_with_it(self, tmp_path: Path) -> None:
        torch.save({"state_dict": TINY, "classes": ["a", "b", "c"]}, tmp_path / "x.pth")
        assert load_file(tmp_path / "x.pth").saved_names == [SavedNames("classes", ["a", "b", "c"])]


class TestSeveralStateDicts:
    @pytest.mark.parametrize(
        ("saved", "taken"),
        [
            (lambda one, two: {"state_dict": one, "state_dict_ema": two}, "state_dict_ema"),
            (lambda one, two: {"model_ema": two, "model": one}, "model_ema"),
            (lambda one, two: {"model": one, "ema": {"decay": 0.9, "module": two}}, "ema.module"),
            (lambda one, two: _prefixed(one, "model.") | _prefixed(two, "ema_model."), "ema_model"),
            (lambda one, two: _prefixed(two, "ema.") | one, "ema"),
            (lambda one, two: {"swa": two, "cinema": one}, "swa"),
            (lambda one, two: {"best": two, "last": one}, "best"),
        ],
    )
    def test_an_average_is_taken_or_the_first_and_told(
        self, saved: Callable[[State, State], Any], taken: str, tmp_path: Path
    ) -> None:
        torch.save(saved(dict(TINY), dict(OTHER)), tmp_path / "x.pth")
        found = load_file(tmp_path / "x.pth")
        assert _equal(found.state, OTHER)
        (note,) = found.notes
        assert f": {taken}" in note and "--weights-key" in note

    @pytest.mark.parametrize(
        ("key", "expected"),
        [("model", 0), ("ema.module", 1), ("module", 1), ("student", 2), ("all.student", 2)],
    )
    def test_a_key_takes_one_and_nothing_is_told(
        self, key: str, expected: int, tmp_path: Path
    ) -> None:
        third = {name: tensor + 2 for name, tensor in TINY.items()}
        saved = {"model": TINY, "ema": {"module": OTHER}, "all": _prefixed(third, "student.")}
        saved["all"] |= _prefixed(OTHER, "teacher.")
        torch.save(saved, tmp_path / "x.pth")
        found = load_file(tmp_path / "x.pth", key)
        assert _equal(found.state, (TINY, OTHER, third)[expected])
        assert found.notes == []

    @pytest.mark.parametrize("key", ["odel", "all", "", "student.fc"])
    def test_a_key_that_names_none_says_what_there_is(self, key: str, tmp_path: Path) -> None:
        torch.save({"model": TINY, "student": OTHER}, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=f"--weights-key {key} .*holds: model, student"):
            load_file(tmp_path / "x.pth", key)

    def test_a_key_that_names_two_takes_neither(self, tmp_path: Path) -> None:
        torch.save({"a": {"net": TINY}, "b": {"net": OTHER}}, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=r"names 2 of .*holds: a\.net, b\.net"):
            load_file(tmp_path / "x.pth", "net")


class TestOtherFiles:
    @pytest.mark.parametrize("name", ["x.safetensors", "x.bin", "x.pth"])
    def test_safetensors_are_read_whatever_they_are_called(self, name: str, tmp_path: Path) -> None:
        metadata = {"format": "pt", "id2label": '{"0": "a", "1": "b", "2": "c"}'}
        safetensors.torch.save_file(dict(TINY), tmp_path / name, metadata)
        found = load_file(tmp_path / name)
        assert _equal(found.state, TINY)
        assert found.saved_names == [SavedNames("id2label", ["a", "b", "c"])]

    def test_a_pointer_to_them_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
        with pytest.raises(CheckpointError, match="git lfs pull"):
            load_file(tmp_path / "x.safetensors")

    @pytest.mark.parametrize("content", [b"\x08\x00\x00\x00\x00\x00\x00\x00{}", b"x" * 100])
    def test_damaged_safetensors_are_refused(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"x\.safetensors"):
            load_file(tmp_path / "x.safetensors")

    def test_torchscript_says_how_to_get_its_weights(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
            archive.writestr("x/data.pkl", b"")
            archive.writestr("x/code/__torch__.py", b"")
        with pytest.raises(CheckpointError, match=r"TorchScript.*torch\.jit\.load"):
            load_file(tmp_path / "x.pt")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "empty"),
            (b"\x08\x07\x12\x07pytorch", "pass it with --onnx"),
            (b"\x20\x00\x00\x00TFL3", "converted already"),
            (b"\x89HDF\r\n", "Keras"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b"<!DOCTYPE html>", "web page"),
            (b'{"id2label": {}}', "JSON text.*name the folder"),
        ],
    )
    def test_what_it_is_instead_is_said(self, content: bytes, words: str, tmp_path: Path) -> None:
        (tmp_path / "x.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match=f"x.pth is .*{words}"):
            load_file(tmp_path / "x.pth")

    def test_a_program_of_torch_export_is_one(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.pt2", "w") as archive:
            archive.writestr("x/models/model.json", b"")
        with pytest.raises(CheckpointError, match=r"torch\.export; pass it with --program"):
            load_file(tmp_path / "x.pt2")

    def test_a_zip_says_what_is_in_it(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            archive.writestr("runs/best.pth", b"")
        with pytest.raises(
            CheckpointError, match=r"holds runs/best\.pth, not a checkpoint; unpack"
        ):
            load_file(tmp_path / "x.zip")

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (nn.Linear(2, 2), r"a whole network .*torch\.save\(model\.state_dict\(\), FILE\)"),
            ({"state_dict": {}, "where": Path()}, r"PosixPath.*saved = torch\.load"),
            ({"model": nn.Linear(2, 2), "ema": None}, r"edgekit_convert\.convert\(model, …\)"),
        ],
    )
    def test_what_would_run_code_says_how_to_save_the_weights(
        self, content: Any, words: str, tmp_path: Path
    ) -> None:
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=words):
            load_file(tmp_path / "x.pth")

    @pytest.mark.parametrize(
        ("beside", "told"),
        [
            ({"where": Path()}, "PosixPath"),
            ({"hyper_parameters": {"net": nn.Conv2d(1, 1, 1)}}, "torch.nn.modules.conv.Conv2d"),
            ({"log": defaultdict(list, loss=3)}, "defaultdict"),
        ],
    )
    @pytest.mark.parametrize("zipped", [True, False])
    def test_what_needs_code_beside_the_weights_is_left_unread_and_told(
        self, beside: dict[str, Any], told: str, zipped: bool, tmp_path: Path
    ) -> None:
        saved = {"state_dict": TINY, **beside}
        torch.save(saved, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
        if not zipped:  # The old format does not say beforehand what is in it.
            with pytest.raises(CheckpointError, match=f"{told}|a whole network"):
                load_file(tmp_path / "x.pth")
            return
        found = load_file(tmp_path / "x.pth")
        assert _equal(found.state, TINY)
        assert "left unread" in found.notes[0] and told in found.notes[0]

    def test_nothing_in_a_file_is_run(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> Any:
                return (Path.touch, (tmp_path / "run",))

        for beside in (Trap(), [Trap()], {"classes": Trap()}, {"a": {"b": [Path()]}}):
            torch.save({"state_dict": TINY, "beside": beside}, tmp_path / "x.pth")
            assert _equal(load_file(tmp_path / "x.pth").state, TINY)
        with pytest.raises(CheckpointError, match="would run code"):
            torch.save(Trap(), tmp_path / "x.pth")
            load_file(tmp_path / "x.pth")
        assert not (tmp_path / "run").exists()

    def test_a_weight_that_needs_code_is_missed(self, tmp_path: Path) -> None:
        torch.save(TINY | {"layer4.1.bn2.bias": Path()}, tmp_path / "x.pth")
        state = load_file(tmp_path / "x.pth").state
        with pytest.raises(
            CheckpointError, match=r"no plain tensor of numbers in layer4\.1\.bn2\.bias"
        ):
            load(ARCHITECTURES["18"], state)

    def test_a_state_dict_beside_a_whole_network_is_taken_by_its_name_alone(
        self, tmp_path: Path
    ) -> None:
        torch.save({"model": nn.Linear(2, 2), "teacher": TINY}, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=r"whole network.*--weights-key teacher"):
            load_file(tmp_path / "x.pth")
        assert _equal(load_file(tmp_path / "x.pth", "teacher").state, TINY)

    def test_a_pickle_says_how_to_get_further(self, tmp_path: Path) -> None:
        (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": 1}))
        with pytest.raises(
            CheckpointError, match=r"a pickle that torch\.save did not write.*convert"
        ):
            load_file(tmp_path / "x.pkl")

    @pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"model": {"epoch": 1}}, 5])
    def test_a_file_without_a_state_dict_says_what_it_holds(
        self, content: Any, tmp_path: Path
    ) -> None:
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match="holds no state dict"):
            load_file(tmp_path / "x.pth")

    def test_another_network_says_its_keys(self, tmp_path: Path) -> None:
        state = {"model": {"features.0.0.weight": torch.zeros(1), "stem.bias": torch.zeros(1)}}
        torch.save(state, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=r"no ResNet.*begins with features\.0\.0\.weight"):
            load_file(tmp_path / "x.pth")


HEADS = [
    (nn.Linear(512, 10), "Linear(512, 10)"),
    (nn.Linear(512, 10, bias=False), "Linear(512, 10)"),
    (
        nn.Sequential(nn.Linear(512, 1000), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1000, 7)),
        "Linear(512, 1000) - ReLU - Dropout - Linear(1000, 7)",
    ),
    (
        nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 64), nn.Dropout(0.5), nn.ReLU(),
                      nn.Linear(64, 7)),
        "Dropout - Linear(512, 64) - ReLU - Dropout - Linear(64, 7)",
    ),
    (
        nn.Sequential(nn.Linear(512, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(),
                      nn.Linear(20, 2)),
        "Linear(512, 20) - ReLU - Linear(20, 20) - ReLU - Linear(20, 2)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("head", "words"), HEADS)
def test_a_head_is_inferred_from_its_weights(head: nn.Module, words: str) -> None:
    original = network("18", head)
    state = original.state_dict()
    rebuilt = load(ARCHITECTURES["18"], state)
    assert describe_head(rebuilt.get_submodule("fc")) == words
    pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(rebuilt(pictures), original(pictures))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (nn.Sequential(nn.Conv1d(512, 8, 1)), "not a Linear layer"),
        (nn.Identity(), "no classification head"),
        (nn.Linear(512, 1), "tells no classes apart"),
        (nn.Linear(100, 2), "takes 100 values where 512 arrive"),
        (nn.BatchNorm1d(1024), "as fastai's does"),
        (nn.Sequential(nn.Linear(512, 8), nn.ReLU(), nn.Linear(9, 2)), "takes 9 values where 8"),
    ],
)
def test_other_heads_are_refused(head: nn.Module, message: str) -> None:
    state = network("18", head).state_dict()
    with pytest.raises(CheckpointError, match=message):
        load(ARCHITECTURES["18"], state)


@pytest.mark.parametrize("widths", [{"groups": 32, "width_per_group": 4}, {"width_per_group": 128}])
def test_wider_blocks_are_sent_to_no_other_arch(widths: dict[str, int]) -> None:
    resnet = import_torchvision().models.resnet
    state = resnet.ResNet(resnet.Bottleneck, [3, 4, 6, 3], **widths).state_dict()
    with pytest.raises(CheckpointError, match="other widths") as refusal:
        load(ARCHITECTURES["18"], state)
    assert "--arch" not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("conv1.weight", lambda w: w.sum(1, keepdim=True), "pictures of 1 channel, not RGB"),
        ("conv1.weight", lambda w: w[:, :, 2:5, 2:5], "first convolution is 3x3 where .* 7x7"),
        ("conv1.weight", lambda w: w.to(torch.int8), "it was quantized"),
        ("layer1.0.conv1.weight", lambda w: w[:, :4], "other widths.*--onnx"),
        ("layer1.0.bn1.weight", lambda w: w * float("nan"), "not finite"),
        ("layer1.0.conv1.weight", lambda w: w.to_sparse(), "no plain tensor of numbers in"),
        ("fc.weight", lambda w: w.to("meta"), "no plain tensor of numbers in"),
        ("fc.weight", lambda w: w.to(torch.complex64), "no plain tensor of numbers in"),
        ("fc.weight", lambda w: w.to(torch.float8_e4m3fn), "it was quantized"),
    ],
)
def test_other_networks_are_refused_for_what_they_are(
    state: State, key: str, change: Callable[[torch.Tensor], torch.Tensor], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load(ARCHITECTURES["18"], state | {key: change(state[key])})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("layer1.0.conv1.lora_A.default.weight", "LoRA adapter.*merge_and_unload"),
        ("fc.base_layer.weight", "LoRA adapter.*merge_and_unload"),
        ("conv1.weight_fake_quant.scale", "another quantization.*before that was prepared"),
        ("layer1.0.conv1.parametrizations.weight.original0", "remove_parametrizations"),
        ("layer1.0.conv1.weight_g", "remove_weight_norm"),
        ("layer2.0.conv2.1.filt", r"antialiased\).*edgekit_convert\.convert"),
        ("conv1.0.weight", "a stem of several convolutions"),
        ("layer2.0.downsample.2.weight", "ResNet-D"),
        ("layer1.0.se.fc1.weight", "SE-ResNet"),
    ],
)
def test_a_key_that_no_resnet_has_says_what_it_is(state: State, key: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load(ARCHITECTURES["18"], state | {key: torch.ones(1)})


@pytest.mark.parametrize("leaf", ["running_mean", "running_var"])
def test_a_network_without_statistics_is_refused(state: State, leaf: str) -> None:
    without = {key: value for key, value in state.items() if not key.endswith(leaf)}
    with pytest.raises(CheckpointError, match=r"keep no statistics|20 missing"):
        load(ARCHITECTURES["18"], without)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_floats_become_float32(state: State, dtype: torch.dtype) -> None:
    rebuilt = load(ARCHITECTURES["18"], {key: value.to(dtype) for key, value in state.items()})
    weight = rebuilt.get_parameter("conv1.weight")
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["conv1.weight"].to(dtype).float())


def test_checkpoints_without_batch_counters_are_loaded(state: State) -> None:
    old = {key: value for key, value in state.items() if not key.endswith("batches_tracked")}
    assert isinstance(build_head(old), nn.Linear)
    load(ARCHITECTURES["18"], old)


def test_words_beside_tensors_that_are_no_json_are_words(tmp_path: Path) -> None:
    # Deep JSON as well; and a shape that no tensor has is damage.
    words = {"epoch": "9", "note": "{", "deep": "[" * 100_000}
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors.torch.save(TINY, words))
    found = formats.read(path, path.read_bytes()).value
    assert {key: found[key] for key in words} == words | {"epoch": 9}
    huge = (
        b'{"x":{"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807]'
        b',"data_offsets":[0,0]}}'
    )
    with pytest.raises(CheckpointError, match="is not a safetensors file, or is damaged"):
        formats.read(path, len(huge).to_bytes(8, "little") + huge)
