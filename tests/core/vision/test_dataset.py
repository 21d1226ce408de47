"""Folders of labelled pictures: matched by name, told and counted, never by position."""

import unicodedata
from pathlib import Path

import pytest

from edgekit.errors import DatasetError, ImageError
from edgekit.vision.dataset import class_folders, labelled_images

LABELS = ["mug", "star", "traffic light", "café"]


def _fill(folder: Path, **pictures: int) -> Path:
    for name, count in pictures.items():
        _class(folder, name, count)
    return folder


def _class(folder: Path, name: str, count: int = 1) -> None:
    (folder / name).mkdir(parents=True)
    for number in range(count):
        (folder / name / f"{number}.png").touch()


def _read(
    folder: Path, labels: list[str] = LABELS, offset: int = 0
) -> tuple[list[tuple[str, int]], list[str]]:
    told: list[str] = []
    images = labelled_images(folder, labels, offset, told.append)
    return [(str(one.path.relative_to(folder)), one.index) for one in images], told


def test_folders_have_the_classes_they_are_named_like(tmp_path: Path) -> None:
    _fill(tmp_path, star=2, mug=1)
    _class(tmp_path, "traffic light")
    _class(tmp_path, "café")
    assert _read(tmp_path) == (
        [("café/0.png", 3), ("mug/0.png", 0), ("star/0.png", 1), ("star/1.png", 1),
         ("traffic light/0.png", 2)],
        [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("Star", 1),
        ("star ", 1),
        (" MUG", 0),
        ("traffic_light", 2),
        ("Traffic-Light", 2),
        (unicodedata.normalize("NFD", "café"), 3),
    ],
)
def test_another_spelling_is_forgiven_and_told(tmp_path: Path, name: str, index: int) -> None:
    _class(tmp_path, name)
    found, told = _read(tmp_path)
    assert [index for _, index in found] == [index]
    assert told[0] == f"folders that are not spelt like their classes: {name} is {LABELS[index]}"


def test_classes_without_a_picture_are_told_and_counted(tmp_path: Path) -> None:
    _fill(tmp_path, mug=1, star=0)
    (tmp_path / "star" / ".gitkeep").touch()
    _, told = _read(tmp_path)
    assert told == ["3 of 4 classes have no pictures: star, traffic light, café"]
    _, told = _read(tmp_path, ["mug", "star", "a", "b", "c", "d", "e"])
    assert told == ["6 of 7 classes have no pictures: star, a, b, c, d, …"]


def test_hidden_and_system_folders_are_no_classes(tmp_path: Path) -> None:
    _fill(tmp_path, mug=1, star=1)
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "lost+found"):
        _class(tmp_path, name)
    found, _ = _read(tmp_path, ["mug", "star"])
    assert [index for _, index in found] == [0, 1]
    assert class_folders(tmp_path) == ["mug", "star"]


def test_pictures_beside_the_folders_are_told_and_left_out(tmp_path: Path) -> None:
    _fill(tmp_path, mug=1, star=1)
    for name in ("a.JPG", "b.png", "readme.txt", "._a.jpg"):
        (tmp_path / name).touch()
    found, told = _read(tmp_path, ["mug", "star"])
    assert len(found) == 2
    assert told == ["2 pictures lie beside the class folders and are left out"]


def test_a_folder_that_is_no_class_is_refused_with_its_likely_name(tmp_path: Path) -> None:
    _fill(tmp_path, mug=1, stars=1)
    with pytest.raises(DatasetError, match="stars is not named like one of the model's 4 classes"):
        _read(tmp_path)
    with pytest.raises(DatasetError, match=r"did you mean star\? \(rename it, or list the pict"):
        _read(tmp_path)


def test_as_many_folders_as_classes_are_no_reason_to_guess(tmp_path: Path) -> None:
    _fill(tmp_path, a=1, b=1)
    with pytest.raises(DatasetError, match=r"a is not named like .* 2 classes; they are mug, star"):
        _read(tmp_path, ["mug", "star"])


def test_two_folders_of_one_class_are_refused(tmp_path: Path) -> None:
    _fill(tmp_path, Star=1, star=1)
    with pytest.raises(DatasetError, match=r"Star and .*star are both the class star"):
        _read(tmp_path)


def test_a_folder_that_may_be_two_classes_is_refused(tmp_path: Path) -> None:
    _fill(tmp_path, STAR=1)
    with pytest.raises(DatasetError, match="STAR may be Star or star; rename it"):
        _read(tmp_path, ["Star", "star"])


def test_the_exact_name_goes_first(tmp_path: Path) -> None:
    _fill(tmp_path, Star=1, star=1)
    assert _read(tmp_path, ["star", "Star"]) == ([("Star/0.png", 1), ("star/0.png", 0)], [])


def test_a_folder_in_between_is_named(tmp_path: Path) -> None:
    _fill(tmp_path / "val", mug=1, star=1)
    with pytest.raises(DatasetError, match=r"did you mean .*/val\?$"):
        _read(tmp_path)


def test_a_class_whose_name_means_no_class_keeps_its_folder(tmp_path: Path) -> None:
    _fill(tmp_path, unknown=1)
    found, told = _read(tmp_path, ["unknown (class)"])
    assert [index for _, index in found] == [0]
    assert told == ["folders that are not spelt like their classes: unknown is unknown (class)"]


def test_numbers_that_are_no_names_are_class_indices(tmp_path: Path) -> None:
    for name in ("0", "3"):
        _class(tmp_path, name)
    assert [index for _, index in _read(tmp_path)[0]] == [0, 3]
    with pytest.raises(DatasetError, match=r"3 is class 3, which is not one of the model's 3"):
        _read(tmp_path, LABELS[:3])
    assert [index for _, index in _read(tmp_path, [*LABELS, "eel"], 1)[0]] == [1, 4]


def test_numbers_that_are_names_are_names(tmp_path: Path) -> None:
    for name in ("0", "1"):
        _class(tmp_path, name)
    assert [index for _, index in _read(tmp_path, ["1", "0"])[0]] == [1, 0]


def test_numbers_that_sort_otherwise_as_text_are_refused(tmp_path: Path) -> None:
    labels = [f"label {letter}" for letter in "abcdefghijkl"]
    for number in range(12):
        _class(tmp_path / "plain", str(number))
        _class(tmp_path / "padded", f"{number:02}")
    with pytest.raises(DatasetError, match="whose order as numbers and as text differ"):
        _read(tmp_path / "plain", labels)
    assert [index for _, index in _read(tmp_path / "padded", labels)[0]] == list(range(12))


def test_an_offset_is_for_numbers(tmp_path: Path) -> None:
    _fill(tmp_path, mug=1, star=1)
    found, told = _read(tmp_path, ["mug", "star"], 1)
    assert [index for _, index in found] == [0, 1]
    assert told == ["folders are matched to classes by name; --class-offset changes nothing"]


def test_a_folder_without_any_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"neither a folder per class nor a labels.tsv"):
        _read(tmp_path)
    (tmp_path / "mug").mkdir()
    with pytest.raises(DatasetError, match="no images of any class in"):
        _read(tmp_path)
    (tmp_path / "mug" / "a.txt").touch()
    with pytest.raises(ImageError, match="no images in"):
        _read(tmp_path)


def _table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    for name in ("a.png", "b.png"):
        (folder / name).touch()
    (folder / "labels.tsv").write_bytes(text.encode(encoding))
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "a.png\t0\nb.png\t1\n",
        "file\tclass_index\r\na.png\t0\r\n\r\nb.png\t1\r\n",
        "filename\tlabel\na.png\tmug\nb.png\tStar\n",
        "a.png\t0\rb.png\t 1 ",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_has_indices_or_names(tmp_path: Path, text: str, encoding: str) -> None:
    folder = _table(tmp_path, text, encoding)
    assert _read(folder, ["mug", "star"]) == ([("a.png", 0), ("b.png", 1)], [])


def test_an_offset_is_added_to_its_indices(tmp_path: Path) -> None:
    folder = _table(tmp_path, "a.png\t0\nb.png\t1\n")
    assert [index for _, index in _read(folder, LABELS, 1)[0]] == [1, 2]


def test_pictures_that_are_not_in_it_are_told(tmp_path: Path) -> None:
    _, told = _read(_table(tmp_path, "a.png\t0\n"), ["mug"])
    assert told == [f"1 pictures are not in {tmp_path / 'labels.tsv'} and are left out"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\n", r"line 1 is not 'file<TAB>class_index': it has no tab"),
        ("a.png,0\n", r"it has no tab"),
        ("a.png\t4\n", r"line 1: class 4 is not one of the model's 4 \(0-based\)"),
        ("a.png\t-1\n", r"line 1: class -1 is not one"),
        ("a.png\tcube\n", r"line 1: 'cube' is neither a class index nor a class's name"),
        (f"a.png\t{'9' * 5000}\n", r"line 1: '[9…]+' is neither a class index nor a class's name"),
        ("a.png\t0\nb.png\tx\n", r"line 2: 'x' is neither"),
        ("a.png\t0\na.png\t1\n", r"line 2: a.png is in line 1, too"),
        ("c.png\t0\n", r"line 1: no file c.png in"),
        ("file\tclass_index\n", r"lists no pictures"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        _read(_table(tmp_path, text))


def test_a_number_that_is_another_classs_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="1 is the name of class 0, and class 1 has another"):
        _read(_table(tmp_path, "a.png\t1\n"), ["1", "0"])
    assert _read(_table(tmp_path, "a.png\t1\nb.png\t0\n"), ["0", "1"])[0][0] == ("a.png", 1)
