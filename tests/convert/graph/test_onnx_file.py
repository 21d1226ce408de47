"""ONNX files as people bring them: accepted with the answers that onnxruntime gives, or refused."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from edgekit_convert.graph import onnx_file
from edgekit_convert.graph.execution import exported_answer, folded_answer
from edgekit_convert.graph.fold import fold
from edgekit_convert.graph.modernize import modernize
from edgekit_convert.graph.onnx_file import open_onnx
from edgekit_convert.weights.trained import TrainedModel, normalize
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgekit.errors import ConversionError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.graph.onnx_nets import CLASSES, SIZE, Net, run
from tests.convert.toys import noise

NORMALIZATION = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
RAW = Normalization(mean=(0, 0, 0), std=(1 / 255,) * 3)
GEOMETRY = Geometry(height=SIZE, width=SIZE, crop=1)
PICTURES = noise(3, SIZE, SIZE, 3, seed=1)
node = helper.make_node


def _open(net: Net, folder: Path, normalization: Normalization = NORMALIZATION) -> TrainedModel:
    return open_onnx(net.save(folder), normalization, GEOMETRY)


def _softmax(values: NDArray[Any]) -> NDArray[Any]:
    exponents = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _check(
    model: TrainedModel, logits: NDArray[Any], normalization: Normalization = NORMALIZATION
) -> None:
    """The reference, the network that is converted, and what goes to onnx2tf all say `logits`."""
    folded = fold(model.network, normalization, SIZE, SIZE, centre=False)
    for answer in (
        model.answer,
        exported_answer(model.network, normalization),
        folded_answer(folded),
    ):
        found = answer(PICTURES)
        assert found.logits.shape == found.probabilities.shape == (len(PICTURES), model.classes)
        assert np.allclose(found.logits, logits, rtol=1e-3, atol=1e-3)
        assert np.allclose(found.probabilities, _softmax(logits), atol=1e-4)


def _expected(net: Net) -> NDArray[Any]:
    """The scores `y` that onnxruntime gives for the file as it is, picture by picture."""
    values = normalize(PICTURES, NORMALIZATION)
    return np.concatenate([run(net.build(), values[i : i + 1])[0] for i in range(len(values))])


class TestVersions:
    @pytest.mark.parametrize("opset", [7, 8, 9, 10, 11, 12, 13, 17, 20, 23])
    def test_any_opset_gives_the_answers_that_onnxruntime_gives(
        self, tmp_path: Path, opset: int
    ) -> None:
        # Padding on one side only, of each kind of window.
        net = Net(
            opset=opset,
            ir=min(3 + opset // 2, 10),
            convolution={"pads": [0, 0, 1, 1], "strides": [2, 2]},
            maximum={"pads": [0, 1, 1, 0], "strides": [2, 2]},
            average={"pads": [1, 0, 0, 1]},
        )
        model = _open(net, tmp_path)
        assert (model.stage, model.classes, model.head) == ("onnx", CLASSES, "")
        _check(model, _expected(net))

    def test_of_ir_3_weights_may_be_inputs_or_not(self, tmp_path: Path) -> None:
        for listed in (True, False):
            net = Net(opset=8, ir=3, listed=listed)
            _check(_open(net, tmp_path), _expected(net))

    def test_what_onnxruntime_runs_only_when_it_is_brought_up_says_so(self, tmp_path: Path) -> None:
        # onnxruntime has no AveragePool of opset 6.
        old, new = (Net(opset=opset, ir=3, average={}) for opset in (6, 7))
        model = _open(old, tmp_path)
        assert model.stage == "onnx brought to opset 17, float32"
        _check(model, _expected(new))

    def test_an_opset_of_the_future_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConversionError, match=r"net\.onnx: onnxruntime refuses the ONNX model"):
            _open(Net(opset=99), tmp_path)

    def test_a_file_that_names_no_opset_is_refused(self, tmp_path: Path) -> None:
        model = Net().build()
        del model.opset_import[:]
        onnx.save(model, str(tmp_path / "net.onnx"))
        with pytest.raises(ConversionError, match="onnxruntime refuses the ONNX model"):
            open_onnx(tmp_path / "net.onnx", NORMALIZATION, GEOMETRY)

    def test_names_that_the_conversion_gives_may_be_taken(self, tmp_path: Path) -> None:
        tail = [
            node("Identity", ["y"], ["logits"]),
            node("Neg", ["logits"], ["probabilities"]),
            node("Neg", ["probabilities"], ["image"]),
        ]
        _check(_open(Net(tail=tail, outputs=["image"]), tmp_path), _expected(Net()))

    def test_both_names_of_its_own_operators_are_known(self, tmp_path: Path) -> None:
        net = Net(opset=11)
        model = net.build()
        model.opset_import[0].domain = "ai.onnx"
        for one in model.graph.node:
            one.domain = "ai.onnx"
        onnx.save(model, str(tmp_path / "net.onnx"))
        _check(open_onnx(tmp_path / "net.onnx", NORMALIZATION, GEOMETRY), _expected(net))

    def test_a_mistake_of_the_version_converter_is_found_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def spoilt(model: onnx.ModelProto, *rest: Any) -> onnx.ModelProto:
            model = modernize(model, *rest)
            weight = next(one for one in model.graph.initializer if one.name == "v")
            values = onnx.numpy_helper.to_array(weight) * 1.02  # 34 dB
            weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), "v"))
            return model

        monkeypatch.setattr(onnx_file, "modernize", spoilt)
        with pytest.raises(
            ConversionError, match="answers otherwise when it is brought to opset 17"
        ):
            _open(Net(opset=8), tmp_path)


class TestPadding:
    @pytest.mark.parametrize("way", ["SAME_UPPER", "SAME_LOWER"])
    @pytest.mark.parametrize("kind", ["convolution", "maximum", "average"])
    @pytest.mark.parametrize("step", [1, 2, 3])
    def test_automatic_padding_is_written_in_numbers(
        self, tmp_path: Path, way: str, kind: str, step: int
    ) -> None:
        net = Net(opset=9, **{kind: {"auto_pad": way, "strides": [step, step]}})  # type: ignore[arg-type]
        model = _open(net, tmp_path)
        names = {"convolution": "Conv", "maximum": "MaxPool", "average": "AveragePool"}
        (window,) = (n for n in model.network.graph.node if n.op_type == names[kind])
        found = {a.name: helper.get_attribute_value(a) for a in window.attribute}
        # 32 pixels in steps of 1, 2 and 3, under a window of 3.
        total = {1: 2, 2: 1, 3: 1}[step]
        less, more = total // 2, total - total // 2
        ends = [less, more] if way == "SAME_UPPER" else [more, less]
        assert found["pads"] == [ends[0]] * 2 + [ends[1]] * 2
        assert found["auto_pad"] == b"NOTSET"
        _check(model, _expected(net))

    def test_with_dilations_onnxruntime_refuses_it(self, tmp_path: Path) -> None:
        net = Net(convolution={"auto_pad": "SAME_UPPER", "dilations": [3, 2]})
        with pytest.raises(ConversionError, match="onnxruntime cannot run the model"):
            _open(net, tmp_path)


class TestPictures:
    def test_channels_last(self, tmp_path: Path) -> None:
        turn = node("Transpose", ["x"], ["h"], perm=[0, 3, 1, 2])
        net = Net(head=[turn], shape=(1, SIZE, SIZE, 3))
        model = _open(net, tmp_path)
        _check(model, _expected(Net()))
        # Nothing is turned where nothing needs to be, so that the border can be folded.
        assert model.network.graph.node[0].op_type == "Conv"

    def test_channels_last_and_something_before_they_are_turned(self, tmp_path: Path) -> None:
        head = [
            node("Relu", ["x"], ["positive"]),
            node("Transpose", ["positive"], ["h"], perm=[0, 3, 1, 2]),
        ]
        net = Net(head=head, shape=("N", "H", "W", 3))
        model = _open(net, tmp_path)
        expected = _expected(Net(head=[node("Relu", ["x"], ["h"])]))
        _check(model, expected)

    @pytest.mark.parametrize("batch", [8, "N", None])
    def test_a_batch_of_any_size(self, tmp_path: Path, batch: int | str | None) -> None:
        _check(_open(Net(shape=(batch, 3, SIZE, SIZE)), tmp_path), _expected(Net()))

    def test_a_batch_that_is_written_into_a_shape(self, tmp_path: Path) -> None:
        net = Net(
            shape=(8, 3, SIZE, SIZE),
            tail=[node("Reshape", ["y", "eight"], ["z"])],
            constants={"eight": np.array([8, CLASSES])},
            outputs=["z"],
        )
        _check(_open(net, tmp_path), _expected(Net()))

    def test_any_size(self, tmp_path: Path) -> None:
        _check(_open(Net(shape=("N", 3, "H", "W")), tmp_path), _expected(Net()))

    @pytest.mark.parametrize(
        ("dtype", "stage"),
        # onnxruntime has no convolution of doubles.
        [
            (TensorProto.FLOAT16, "onnx"),
            (TensorProto.DOUBLE, "onnx brought to opset 17, float32"),
        ],
    )
    def test_other_floats_are_computed_in_float32(
        self, tmp_path: Path, dtype: int, stage: str
    ) -> None:
        model = _open(Net(dtype=dtype), tmp_path)
        assert model.stage == stage
        expected = _expected(Net())
        found = exported_answer(model.network, NORMALIZATION)(PICTURES)
        assert np.abs(model.answer(PICTURES).logits - expected).max() < 0.02
        assert np.abs(found.logits - expected).max() < 0.02
        kinds = {constant.data_type for constant in model.network.graph.initializer}
        assert kinds == {TensorProto.FLOAT}

    def test_raw_pixels(self, tmp_path: Path) -> None:
        net = Net(
            head=[
                node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
                node("Div", ["float", "white"], ["unit"]),
                node("Sub", ["unit", "mean"], ["centred"]),
                node("Div", ["centred", "std"], ["h"]),
            ],
            dtype=TensorProto.UINT8,
            constants={
                "white": np.float32([255]).reshape(()),
                "mean": np.float32(NORMALIZATION.mean).reshape(1, 3, 1, 1),
                "std": np.float32(NORMALIZATION.std).reshape(3, 1, 1),
            },
        )
        with pytest.raises(
            ConversionError, match=r"raw pixels \(uint8\).*pass --mean 0,0,0 --std 0.0039"
        ):
            _open(net, tmp_path)
        model = _open(net, tmp_path, RAW)
        _check(model, _expected(Net()), RAW)
        # As a convolution, which is exact in int8's border too.
        assert [n.op_type for n in model.network.graph.node][:3] == ["Conv", "Conv", "Relu"]

    @pytest.mark.parametrize(
        ("shape", "message"),
        [
            ((1, 1, SIZE, SIZE), r"takes \(1, 1, 32, 32\), grey pictures; edgekit needs"),
            ((1, SIZE, SIZE, 1), "grey pictures"),
            ((1, 4, SIZE, SIZE), "edgekit needs a network that takes one RGB picture"),
            ((1, 3 * SIZE * SIZE), r"takes \(1, 3072\)"),
            ((3, SIZE, SIZE), r"takes \(3, 32, 32\)"),
            ((1, 3, 48, 48), "takes pictures of 48x48; pass --size 48"),
            ((1, 3, SIZE, 48), "export it for square ones"),
        ],
    )
    def test_other_pictures_are_refused(
        self, tmp_path: Path, shape: tuple[int, ...], message: str
    ) -> None:
        with pytest.raises(ConversionError, match=message):
            _open(Net(shape=shape), tmp_path)

    def test_integers_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConversionError, match="takes int32 values"):
            _open(Net(dtype=TensorProto.INT32), tmp_path)

    def test_weights_that_are_not_in_the_file_are_inputs(self, tmp_path: Path) -> None:
        model = Net(listed=True).build()
        del model.graph.initializer[0]
        onnx.save(model, str(tmp_path / "net.onnx"))
        with pytest.raises(ConversionError, match=r"has 2 inputs \(w, x\)"):
            open_onnx(tmp_path / "net.onnx", NORMALIZATION, GEOMETRY)


class TestOwnNormalization:
    @pytest.mark.parametrize(
        ("scale", "mean", "std", "asked", "words"),
        [
            (1 / 255, 0.45, 0.22, NORMALIZATION, "from pixels of 0 to 255"),
            (1, 114, 57, Normalization(mean=(0, 0, 0), std=(1, 1, 1)), "from pixels of 0 to 255"),
            (1, 0.45, 0.226, NORMALIZATION, "from pixels of 0 to 1"),
            (1, 0.5, 0.5, RAW, "from pixels of 0 to 1"),
        ],
    )
    def test_what_is_normalized_twice_or_too_little_is_refused(
        self,
        tmp_path: Path,
        scale: float,
        mean: float,
        std: float,
        asked: Normalization,
        words: str,
    ) -> None:
        if asked is NORMALIZATION and scale == 1:
            mean_values, std_values = NORMALIZATION.mean, NORMALIZATION.std
        else:
            mean_values, std_values = (mean,) * 3, (std,) * 3
        head = [
            node("Mul", ["scale", "x"], ["scaled"]),
            node("Sub", ["scaled", "mean"], ["centred"]),
            node("Div", ["centred", "std"], ["h"]),
        ]
        constants = {
            "scale": np.float32([scale]),
            "mean": np.float32(mean_values).reshape(3, 1, 1),
            "std": np.float32(std_values).reshape(3, 1, 1),
        }
        with pytest.raises(ConversionError, match=f"normalizes its input itself, {words}; pass"):
            _open(Net(head=head, constants=constants), tmp_path, asked)

    def test_a_correction_of_what_is_asked_for_is_the_networks_own(self, tmp_path: Path) -> None:
        # torchvision's Inception takes ImageNet's normalization, and makes 0.5 and 0.5 of it.
        head = [
            node("Mul", ["x", "scale"], ["scaled"]),
            node("Add", ["scaled", "shift"], ["h"]),
        ]
        constants = {
            "scale": (np.float32(NORMALIZATION.std) / 0.5).reshape(3, 1, 1),
            "shift": ((np.float32(NORMALIZATION.mean) - 0.5) / 0.5).reshape(3, 1, 1),
        }
        net = Net(head=head, constants=constants)
        _check(_open(net, tmp_path), _expected(net))


class TestEnds:
    @pytest.mark.parametrize(
        ("tail", "opset"),
        [
            ([node("Softmax", ["y"], ["z"], axis=1)], 17),
            ([node("Softmax", ["y"], ["z"])], 9),
            ([node("Softmax", ["y"], ["s"], axis=-1), node("Identity", ["s"], ["z"])], 17),
            ([node("Softmax", ["y"], ["s"], axis=1), node("Flatten", ["s"], ["z"])], 12),
            ([node("Softmax", ["y"], ["s"], axis=1), node("Reshape", ["s", "row"], ["z"])], 17),
            ([node("Softmax", ["y"], ["s"], axis=1), node("Squeeze", ["s"], ["z"])], 17),
            ([node("Softmax", ["y"], ["s"]), node("Cast", ["s"], ["z"], to=1)], 17),
            ([node("LogSoftmax", ["y"], ["z"], axis=1)], 17),
            ([node("LogSoftmax", ["y"], ["z"], axis=1)], 8),
            ([node("Softmax", ["y"], ["s"]), node("Log", ["s"], ["z"])], 17),
            ([node("Reshape", ["y", "map"], ["z"])], 17),
            ([node("Transpose", ["y"], ["z"], perm=[1, 0])], 17),
            ([node("Squeeze", ["y"], ["z"])], 17),
            (
                [node("Reshape", ["y", "map"], ["m"]), node("Softmax", ["m"], ["s"], axis=1),
                 node("Flatten", ["s"], ["z"])], 17,
            ),
        ],
    )  # fmt: skip
    def test_scores_of_every_form_become_logits(
        self, tmp_path: Path, tail: list[onnx.NodeProto], opset: int
    ) -> None:
        constants = {"row": np.array([1, -1]), "map": np.array([1, CLASSES, 1, 1])}
        net = Net(opset=opset, tail=tail, outputs=["z"], constants=constants)
        _check(_open(net, tmp_path), _expected(Net()))

    def test_one_sigmoid_is_two_classes(self, tmp_path: Path) -> None:
        net = Net(classes=1, tail=[node("Sigmoid", ["y"], ["z"])], outputs=["z"])
        model = _open(net, tmp_path)
        assert (model.classes, model.head) == (2, "one sigmoid, as two classes")
        score = _expected(Net(classes=1))
        _check(model, np.concatenate([-score / 2, score / 2], axis=1))
        # The second class's probability is what the file itself says.
        assert np.allclose(model.answer(PICTURES).probabilities[:, 1:], _expected(net), atol=1e-6)

    @pytest.mark.parametrize("order", [["y", "z"], ["z", "y"]])
    def test_of_logits_and_probabilities_those_are_taken(
        self, tmp_path: Path, order: list[str]
    ) -> None:
        net = Net(tail=[node("Softmax", ["y"], ["z"], axis=1)], outputs=order)
        model = _open(net, tmp_path)
        assert model.head == "of the outputs z is taken, not y"
        _check(model, _expected(Net()))

    def test_beside_its_scores_a_model_may_give_its_choice(self, tmp_path: Path) -> None:
        net = Net(tail=[node("ArgMax", ["y"], ["chosen"], axis=1)], outputs=["chosen", "y"])
        model = _open(net, tmp_path)
        assert model.head == "of the outputs y is taken, not chosen"
        _check(model, _expected(Net()))

    @pytest.mark.parametrize(
        ("tail", "outputs", "message"),
        [
            ([node("Sigmoid", ["y"], ["z"])], ["z"], "ends in Sigmoid for 6 classes"),
            ([node("HardSigmoid", ["y"], ["z"])], ["z"], "ends in HardSigmoid"),
            ([node("ArgMax", ["y"], ["chosen"], axis=1)], ["chosen"], "ends in ArgMax"),
            ([node("Softmax", ["y"], ["z"], axis=0)], ["z"], "not over its classes"),
            (
                [node("Reshape", ["y", "map"], ["m"]), node("Softmax", ["m"], ["z"], axis=-1)],
                ["z"],
                "not over its classes",
            ),
            (
                [node("Softmax", ["y"], ["s"], axis=1), node("Mul", ["s", "hundred"], ["z"])],
                ["z"],
                "goes on behind its Softmax with Mul",
            ),
            (
                [node("Softmax", ["y"], ["s"], axis=1),
                 node("Slice", ["s", "from", "to", "one"], ["z"])],
                ["z"],
                "goes on behind its Softmax with Slice",
            ),
            (
                [node("Softmax", ["y"], ["s"], axis=1), node("Sqrt", ["s"], ["r"]),
                 node("Concat", ["r", "y"], ["z"], axis=1)],
                ["z"],
                "goes on behind its Softmax with Concat",
            ),
            (
                [node("Exp", ["y"], ["e"]), node("ReduceSum", ["e", "one"], ["t"]),
                 node("Div", ["e", "t"], ["z"])],
                ["z"],
                "probabilities that are not made by a Softmax",
            ),
            ([], ["y", "flat"], r"has 2 outputs \(y, flat\).*extract_model\(.*\['x'\], \['y'\]\)"),
            ([], ["last2"], r"gives values of shape \(1, 8, 32, 32\), not one score"),
        ],
    )  # fmt: skip
    def test_what_gives_no_scores_of_classes_is_refused(
        self, tmp_path: Path, tail: list[onnx.NodeProto], outputs: list[str], message: str
    ) -> None:
        constants = {
            "map": np.array([1, CLASSES, 1, 1]),
            "hundred": np.float32([100]),
            "one": np.array([1]),
            "from": np.array([0, 1]),
            "to": np.array([1, CLASSES]),
        }
        net = Net(tail=tail, outputs=outputs, constants=constants)
        with pytest.raises(ConversionError, match=message):
            _open(net, tmp_path)

    def test_one_number_without_a_sigmoid_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConversionError, match="gives one number and does not end in Sigmoid"):
            _open(Net(classes=1), tmp_path)


class TestRefusals:
    @pytest.mark.parametrize(
        ("head", "opset", "message"),
        [
            (node("QuantizeLinear", ["x", "s", "z"], ["h"]), 17, "already quantized"),
            (node("Custom", ["x"], ["h"], domain="mine"), 17, r"\(mine.Custom\)"),
            (node("If", ["t"], ["h"]), 17, r"control flow or sequences.*\(If\)"),
            (node("RandomNormalLike", ["x"], ["h"]), 17, "draws random numbers"),
            (node("Dropout", ["x", "s", "t"], ["h"]), 17, "exported for training"),
            (
                node("BatchNormalization", ["x", *"abcd"], ["h"], training_mode=1),
                17,
                "call model.eval",
            ),
            (
                node("MaxPool", ["x"], ["h"], kernel_shape=[2, 2], dilations=[2, 2]),
                17,
                "max pooling with dilations",
            ),
        ],
    )
    def test_operators_of_which_no_faithful_int8_file_can_be_made(
        self, tmp_path: Path, head: onnx.NodeProto, opset: int, message: str
    ) -> None:
        net = Net(opset=opset, head=[head], constants={"t": np.array(True)})
        with pytest.raises(ConversionError, match=message) as caught:
            _open(net, tmp_path)
        assert str(tmp_path / "net.onnx") in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_dropout_of_inference_does_nothing(self, tmp_path: Path) -> None:
        head = node("Dropout", ["x", "ratio", "training"], ["h"])
        constants = {"ratio": np.float32(0.5).reshape(()), "training": np.array(False)}
        _check(_open(Net(head=[head], constants=constants), tmp_path), _expected(Net()))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "no operators"),
            (b"no ONNX at all", "not a usable ONNX model"),
            (b"PK\x03\x04 and more", "it is a PyTorch checkpoint"),
            (b"\x1c\0\0\0TFL3 and more", "it is a TFLite file"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ],
    )
    def test_other_files(self, tmp_path: Path, content: bytes, message: str) -> None:
        (tmp_path / "x.onnx").write_bytes(content)
        with pytest.raises(ConversionError, match=message):
            open_onnx(tmp_path / "x.onnx", NORMALIZATION, GEOMETRY)

    def test_a_folder_and_a_file_that_is_cut_off(self, tmp_path: Path) -> None:
        file = Net().save(tmp_path)
        file.write_bytes(file.read_bytes()[:-300])
        for path in (tmp_path, file):
            with pytest.raises(ConversionError, match=str(path)):
                open_onnx(path, NORMALIZATION, GEOMETRY)


class TestExternalData:
    def _save(self, folder: Path, location: str = "net.onnx.data") -> Path:
        file = folder / "net.onnx"
        onnx.save(
            Net().build(), str(file), save_as_external_data=True, location=location,
            size_threshold=0,
        )  # fmt: skip
        return file

    def test_weights_beside_the_file_are_read_wherever_the_command_is_typed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        file = self._save(tmp_path)
        expected = _expected(Net())
        for here, path in ((tmp_path / "elsewhere", file), (tmp_path, Path("net.onnx"))):
            monkeypatch.chdir(here)
            _check(open_onnx(path, NORMALIZATION, GEOMETRY), expected)

    def test_the_hash_covers_the_weights(self, tmp_path: Path) -> None:
        file = self._save(tmp_path)
        data = tmp_path / "net.onnx.data"
        before = open_onnx(file, NORMALIZATION, GEOMETRY).sha256
        both = file.read_bytes() + data.read_bytes()
        assert before == hashlib.sha256(both).hexdigest()
        changed = bytearray(data.read_bytes())
        changed[0] ^= 1
        data.write_bytes(changed)
        assert open_onnx(file, NORMALIZATION, GEOMETRY).sha256 != before

    def test_without_the_other_file_it_says_that_both_belong_together(self, tmp_path: Path) -> None:
        file = self._save(tmp_path)
        (tmp_path / "net.onnx.data").unlink()
        with pytest.raises(
            ConversionError, match=r"net\.onnx\.data, which is missing.*belong together"
        ):
            open_onnx(file, NORMALIZATION, GEOMETRY)

    def test_data_that_is_cut_off_is_refused(self, tmp_path: Path) -> None:
        file = self._save(tmp_path)
        data = tmp_path / "net.onnx.data"
        data.write_bytes(data.read_bytes()[:-8])
        with pytest.raises(ConversionError, match=str(file)):
            open_onnx(file, NORMALIZATION, GEOMETRY)

    def test_data_elsewhere_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "inner").mkdir()
        file = self._save(tmp_path / "inner")
        model = onnx.load(str(file), load_external_data=False)
        (tmp_path / "inner" / "net.onnx.data").rename(tmp_path / "net.onnx.data")
        for constant in model.graph.initializer:
            for entry in constant.external_data:
                if entry.key == "location":
                    entry.value = "../net.onnx.data"
        file.write_bytes(model.SerializeToString())
        with pytest.raises(ConversionError, match="not a plain file in its folder"):
            open_onnx(file, NORMALIZATION, GEOMETRY)
