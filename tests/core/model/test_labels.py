"""Where a label gets its name."""

from pathlib import Path

import pytest

from edgekit.errors import LabelsError
from edgekit.model.labels import class_names, parse_labels, read_labels

MODEL = Path("m.tflite")


def _file(folder: Path, text: str) -> Path:
    path = folder / "labels.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_wins_over_the_names_inside_the_model(tmp_path: Path) -> None:
    file = _file(tmp_path, "Katze\nHund\n")
    assert class_names(MODEL, 2, ["cat", "dog"], file) == ["Katze", "Hund"]
    assert class_names(MODEL, 2, ["cat", "dog"], None) == ["cat", "dog"]


def test_without_either_they_are_numbered() -> None:
    assert class_names(MODEL, 3, None, None) == ["class 0", "class 1", "class 2"]


def test_too_many_or_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"^m\.tflite carries 2 labels for 3 classes; pass the"):
        class_names(MODEL, 3, ["cat", "dog"], None)
    with pytest.raises(LabelsError, match="has 1 class names, but the model has 3 classes"):
        class_names(MODEL, 3, ["a", "b", "c"], _file(tmp_path, "cat\n"))


def test_blank_lines_count_but_for_those_at_the_end() -> None:
    assert parse_labels("cat \n\n dog\r\n\n\n") == ["cat", "", "dog"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read labels from"),
        (b"", "holds no class names"),
        (b"\n\n", "holds no class names"),
        (b"cat\n\ndog\n", "line 2 is blank"),
        (b"\xff\xfe", "is not a UTF-8 text file"),
    ],
)
def test_a_file_that_will_not_do_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LabelsError, match=message) as raised:
        read_labels(path)
    assert str(path) in str(raised.value)


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path) -> None:
    assert read_labels(_file(tmp_path, "\ufeffcat\ndog")) == ["cat", "dog"]
