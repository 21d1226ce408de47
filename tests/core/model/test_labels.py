"""Where a label gets its name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import LabelsError
from edgekit.model.container import read_model
from edgekit.model.labels import LabelFile, class_names, distinct, ordered_names, read_labels
from tests.tiny import tiny_model

MODEL = Path("m.tflite")


def _file(folder: Path, text: str) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(text.encode())
    return path


def test_a_file_wins_over_the_names_inside_the_model(tmp_path: Path) -> None:
    file = _file(tmp_path, "Katze\nHund\n")
    assert class_names(MODEL, 2, ["cat", "dog"], LabelFile.read(file)) == ["Katze", "Hund"]
    assert class_names(MODEL, 2, ["cat", "dog"], None) == ["cat", "dog"]


def test_without_either_they_are_numbered() -> None:
    assert class_names(MODEL, 3, None, None) == ["class 0", "class 1", "class 2"]


def test_too_many_or_too_few_are_refused() -> None:
    with pytest.raises(LabelsError, match=r"^m\.tflite carries 2 labels for 3 classes; pass the"):
        class_names(MODEL, 3, ["cat", "dog"], None)
    with pytest.raises(LabelsError, match="has 1 class names, but the model has 3 classes"):
        class_names(MODEL, 3, ["a", "b", "c"], LabelFile(MODEL, b"cat\n"))
    with pytest.raises(LabelsError, match=r"has 1 class names \(its first line, 'name', is a hea"):
        class_names(MODEL, 2, None, LabelFile(MODEL, b"name\ncat\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the labels"),
        (b"", "holds no class names"),
        (b"\n \n", "holds no class names"),
        (b"\xff\xfe", "holds no class names"),
        (b"[]", "holds no class names"),
        (b"label\n", "holds no class names"),
        (b"cat\n\ndog\n", "has no name in line 2"),
        (b"caf\xe9\n", r"is not UTF-8 text \(line 1; is it Latin-1\?\)"),
        ("cat\ndog".encode("utf-16-le"), "UTF-16 text without a byte order mark"),
        (b"\xff\xfec", "is UTF-16 text that is damaged"),
        ("cat\ndog".encode("utf-32"), "is UTF-32 text"),
        (b"cat\n\x1b[2Jdog\n", r"control characters in the name of class 1, '\\x1b\[2Jdog'"),
        ("cat\n\u202edog\n".encode(), "control characters in the name of class 1"),
        (b'["cat", "a\\nb"]', r"control characters in the name of class 1, 'a\\nb'"),
        (b'["cat", " "]', "has an empty name for class 1"),
        (b"cat\n" + b"d" * 256, "has 256 characters in the name of class 1; at most 255 are read"),
        (b"0 cat\n2 dog\n", "has indices from 0 to 2, but not 1"),
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
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("Tür\r\ndog".encode(encoding))
    assert read_labels(path) == ["Tür", "dog"]


def test_how_a_file_was_understood_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    path = _file(tmp_path, "1 dog\n0 cat\n")
    assert class_names(MODEL, 2, None, LabelFile.read(path), told.append) == ["cat", "dog"]
    assert told == [f"{path}: its class indices are obeyed, from 0 on"]


def test_two_classes_of_one_name_are_told_apart() -> None:
    told: list[str] = []
    names = ["crane", "crane (2)", "crane", "crane"]
    wanted = ["crane (0)", "crane (2)", "crane (2) (class)", "crane (3)"]
    assert distinct(names, told.append) == wanted
    assert told == [
        "3 classes are called crane; here they are crane (0), crane (2) (class), crane (3)"
    ]


@pytest.mark.parametrize("word", ["unknown", "Unknown", "UNAVAILABLE", "None"])
def test_a_word_for_no_class_is_no_classs_name(word: str) -> None:
    told: list[str] = []
    assert distinct(["mug", word], told.append) == ["mug", f"{word} (class)"]
    assert told == [f"the class {word} is called {word} (class): alone the word means no class"]


def test_usual_names_stay_as_they_are() -> None:
    told: list[str] = []
    names = ["none", "unknown animal", "nothing", "background", "mug"]
    assert distinct(names, told.append) == names
    assert not told


def test_names_that_differ_by_case_alone_are_told() -> None:
    told: list[str] = []
    assert distinct(["Star", "star"], told.append) == ["Star", "star"]
    assert told == ["Star and star are two classes whose names differ by case alone"]


def test_one_name_in_two_unicode_forms_is_one_name() -> None:
    assert distinct(["caf\u00e9", "cafe\u0301"]) == ["caf\u00e9 (0)", "caf\u00e9 (1)"]
    assert distinct(["cafe\u0301 "]) == ["caf\u00e9"]


def test_no_name_is_refused_whatever_gives_it() -> None:
    with pytest.raises(LabelsError, match=r"control characters in the name of class 1, 'a.nb'"):
        distinct(["cat", "a\nb"])


def test_the_label_file_of_a_foreign_model_is_understood_as_any(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m.tflite", labels=b"2: star\n0: mug\n1: cube\n")
    assert read_model(model).labels == ["mug", "cube", "star"]
    without = read_model(tiny_model(tmp_path / "n.tflite", labels=None))
    assert without.labels is None
    hostile = read_model(tiny_model(tmp_path / "h.tflite", labels=b"a\x1b]0;pwn\x07\nb\nc\n"))
    with pytest.raises(LabelsError, match=r"h.tflite has control characters .*; pass the right"):
        _ = hostile.labels


@pytest.mark.parametrize("names", [["a", "b"], ("a", "b"), iter("ab"), np.array(["a", "b"])])
def test_names_of_a_program_are_a_list(names: Any) -> None:
    assert ordered_names(names) == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a", "b"}, "not a list of names in the order of training, but of type set"),
        (
            {"b": 0, "a": 1},
            r"of type dict; of a map to indices that is sorted\(names, key=names.get",
        ),
        ("ab", "of type str"),
        (2, "of type int"),
        (["a", 1], "the name of class 1 is 1, of type int; names are text"),
    ],
)
def test_names_of_a_program_without_an_order_are_refused(names: Any, message: str) -> None:
    with pytest.raises(LabelsError, match=message):
        ordered_names(names)
