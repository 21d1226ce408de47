"""The user's own answers, beside those of the network that was rebuilt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgekit_convert.answers import Answers
from edgekit_convert.verify.reference import Reference, check_rebuilt, open_reference
from edgekit_convert.weights.trained import TrainedModel, normalize
from numpy.typing import NDArray

from edgekit.errors import ConversionError, FidelityError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.toys import noise, normal

IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GEOMETRY = Geometry(height=32, width=32, crop=1.0)
PICTURES = noise(20, 32, 32, 3)
INPUTS = normalize(PICTURES, IMAGENET)
LOGITS = normal(20, 5).astype(np.float32) * 4


def _write(folder: Path, **arrays: NDArray[Any]) -> Path:
    np.savez(folder / "answers.npz", **arrays)
    return folder / "answers.npz"


def _open(file: Path, normalization: Normalization = IMAGENET) -> Reference:
    return open_reference(file, normalization, GEOMETRY)


def _refused(file: Path, normalization: Normalization = IMAGENET) -> str:
    with pytest.raises(ConversionError) as refused:
        _open(file, normalization)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)
    return str(refused.value)


class TestFile:
    def test_inputs_and_logits_are_read(self, tmp_path: Path) -> None:
        found = _open(_write(tmp_path, inputs=INPUTS, logits=LOGITS))
        assert (found.name, found.answer, found.note) == ("answers.npz", None, None)
        assert np.array_equal(found.inputs, INPUTS)
        assert np.array_equal(found.answers.logits, LOGITS)

    @pytest.mark.parametrize("kind", [np.float16, np.float64])
    def test_other_floats_do(self, kind: type, tmp_path: Path) -> None:
        found = _open(_write(tmp_path, inputs=INPUTS.astype(kind), logits=LOGITS.astype(kind)))
        assert found.inputs.dtype == found.answers.logits.dtype == np.float32

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [
            ({"inputs": INPUTS}, "holds inputs, not logits"),
            ({"x": INPUTS, "y": LOGITS}, "holds x, y, not inputs and logits"),
            ({"inputs": PICTURES, "logits": LOGITS}, "are uint8, not float32"),
            ({"inputs": INPUTS, "logits": LOGITS.argmax(1)}, "are int64, not float32"),
            ({"inputs": INPUTS.transpose(0, 2, 3, 1), "logits": LOGITS}, r"not (N, 3, H, W)"),
            ({"inputs": INPUTS[0], "logits": LOGITS}, r"not (N, 3, H, W)"),
            ({"inputs": INPUTS[:0], "logits": LOGITS[:0]}, r"not (N, 3, H, W)"),
            ({"inputs": INPUTS, "logits": LOGITS[:9]}, r"not (N, classes)"),
            ({"inputs": INPUTS, "logits": LOGITS[:, :1]}, r"not (N, classes)"),
            ({"inputs": INPUTS, "logits": LOGITS[:, :, None]}, r"not (N, classes)"),
            ({"inputs": INPUTS[..., :24, :24], "logits": LOGITS}, "pass --size 24"),
            ({"inputs": INPUTS[..., :24], "logits": LOGITS}, "not square: 24x32"),
            ({"inputs": INPUTS, "logits": np.full_like(LOGITS, np.nan)}, "not finite"),
            ({"inputs": np.full_like(INPUTS, np.inf), "logits": LOGITS}, "not finite"),
            ({"inputs": np.zeros_like(INPUTS), "logits": LOGITS}, "of one colour"),
            ({"inputs": np.array([{}]), "logits": LOGITS}, "no plain arrays"),
            ({"inputs": INPUTS, "logits": Answers.of_logits(LOGITS).probabilities}, "softmax"),
            ({"inputs": INPUTS, "logits": 1 / (1 + np.exp(-LOGITS))}, "are probabilities"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_said(
        self, arrays: dict[str, NDArray[Any]], words: str, tmp_path: Path
    ) -> None:
        assert words in _refused(_write(tmp_path, **arrays))

    def test_it_is_opened_by_its_content_and_may_be_damaged(self, tmp_path: Path) -> None:
        whole = _write(tmp_path, inputs=INPUTS, logits=LOGITS).read_bytes()
        for name, content in {
            "cut.npz": whole[:-200],
            "empty.npz": b"",
            "text.npz": b"inputs",
            "no.pth": b"PK\x03\x04",
            "middle.npz": whole[:3000] + b"x" * 100 + whole[3100:],
        }.items():
            (tmp_path / name).write_bytes(content)
            assert "three lines" in _refused(tmp_path / name)

    def test_a_missing_one_is_said(self, tmp_path: Path) -> None:
        assert "cannot read the reference" in _refused(tmp_path / "none.npz")

    def test_one_that_unpacks_to_much_is_not_unpacked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgekit_convert.verify.reference._MAXIMUM_BYTES", 100_000)
        assert "unpacks to" in _refused(_write(tmp_path, inputs=INPUTS, logits=LOGITS))


class TestNormalization:
    """Whole pixel values come out of the inputs only where it is right."""

    @pytest.mark.parametrize(
        ("true", "words"),
        [
            (Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "--mean 0.0,0.0,0.0 --std 1.0,"),
            (Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), "--mean 0.5,0.5,0.5 --std 0.5,"),
            (Normalization((0.1, 0.1, 0.1), (0.05, 0.05, 0.05)), "would be from"),
        ],
    )
    def test_another_one_is_found_out(
        self, true: Normalization, words: str, tmp_path: Path
    ) -> None:
        inputs = normalize(PICTURES, true)
        assert words in _refused(_write(tmp_path, inputs=inputs, logits=LOGITS))

    def test_pixels_that_were_not_normalized_are(self, tmp_path: Path) -> None:
        inputs = PICTURES.transpose(0, 3, 1, 2).astype(np.float32)
        assert "would be from" in _refused(_write(tmp_path, inputs=inputs, logits=LOGITS))

    def test_pictures_resized_in_float_show_nothing_which_is_told(self, tmp_path: Path) -> None:
        soft = (INPUTS + np.roll(INPUTS, 1, axis=3)) * 0.37 + INPUTS * 0.26
        note = _open(_write(tmp_path, inputs=soft, logits=LOGITS)).note
        assert note is not None and "no whole pixel values" in note


def _trained(forward: Callable[[NDArray[np.float32]], Answers], classes: int = 5) -> TrainedModel:
    return TrainedModel(
        stage="pytorch", name="x.pth", sha256="", source="state dict", architecture=None, head="",
        classes=classes,
        parameters=0, labels=None, network=None, answer=lambda _: Answers.of_logits(LOGITS),
        forward=forward, guess="fc.1 was guessed",
    )  # fmt: skip


def _compared(given: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> str | None:
    rows = iter(range(len(rebuilt)))

    def forward(_: NDArray[np.float32]) -> Answers:
        row = next(rows)
        return Answers.of_logits(rebuilt[row : row + 1])

    reference = Reference("answers.npz", "", INPUTS, Answers.of_logits(given))
    _, difference = check_rebuilt(_trained(forward), reference)
    return difference


class TestComparison:
    def test_rounding_is_no_difference(self) -> None:
        assert _compared(LOGITS, LOGITS * np.float32(1 + 1e-6)) is None

    def test_log_probabilities_do_as_logits(self) -> None:
        given = np.log(Answers.of_logits(LOGITS).probabilities)
        assert _compared(given, LOGITS) is None

    def test_a_common_offset_hides_no_difference(self) -> None:
        with pytest.raises(FidelityError):
            _compared(LOGITS + 1000, LOGITS + 1000 + normal(20, 5, seed=1).astype(np.float32))

    def test_half_precision_is_told(self) -> None:
        difference = _compared(LOGITS, LOGITS + np.float32(0.02) * normal(20, 5, seed=1))
        assert difference is not None
        assert "half precision" in difference

    @pytest.mark.parametrize("scale", [0.5, 1.5])
    def test_the_same_answers_by_another_function_are_refused(self, scale: float) -> None:
        with pytest.raises(
            FidelityError, match=r"100\.00% of 20 pictures.*fc\.1 was guessed"
        ) as no:
            _compared(LOGITS, LOGITS * np.float32(scale))
        assert no.value.exit_code == 3

    def test_another_answer_is_refused_however_close(self) -> None:
        given, rebuilt = LOGITS.copy(), LOGITS.copy()
        given[0], rebuilt[0] = [0, 0, 0, 1e-3, 2e-3], [0, 0, 0, 2e-3, 1e-3]
        with pytest.raises(FidelityError, match=r"95\.00% of 20"):
            _compared(given, rebuilt)

    def test_other_classes_are_refused(self) -> None:
        reference = Reference("answers.npz", "", INPUTS, Answers.of_logits(LOGITS))
        with pytest.raises(ConversionError, match=r"5 classes where x\.pth has 7"):
            check_rebuilt(_trained(Answers.of_logits, classes=7), reference)


def test_the_lines_of_the_manual_write_one(tmp_path: Path) -> None:
    import torch

    manual = (Path(__file__).parents[3] / "docs" / "conversion.md").read_text(encoding="utf-8")
    lines = next(part for part in manual.split("```") if "numpy.savez" in part)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(3 * 32 * 32, 5)
    )
    names = {
        "torch": torch,
        "numpy": np,
        "model": model,
        "dataset": [(torch.from_numpy(picture), 0) for picture in INPUTS],
    }
    exec(lines.removeprefix("python").replace("answers.npz", str(tmp_path / "x.npz")), names)
    found = _open(tmp_path / "x.npz")
    assert np.array_equal(found.inputs, INPUTS)

    def forward(tensors: NDArray[np.float32]) -> Answers:
        with torch.inference_mode():
            return Answers.of_logits(model(torch.from_numpy(tensors)).numpy())

    figures, difference = check_rebuilt(_trained(forward), found)
    assert (figures.images, figures.agreement, difference) == (20, 1.0, None)
