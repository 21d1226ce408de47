"""Files that say what a recording shows."""

from pathlib import Path

import pytest

from edgekit.errors import DatasetError
from edgekit.offline.truth import read_truth

LABELS = ["cat", "dog"]


def _read(path: Path, text: str) -> list[tuple[float, float, str]]:
    path.write_text(text)
    return [one[:3] for one in read_truth(path, LABELS).intervals]


@pytest.mark.parametrize(
    "text",
    [
        "start,end,label\n0,1.5,cat\n61.5,3661,unknown\n",
        "label, start, end\n\ncat, 0, 0:01.5\nunknown, 1:01.5, 1:01:01\n",
        "START,END,LABEL\r\n61.5,3661,unknown\r\n0,1.5,cat\r\n",
        '[{"start": 0, "end": 1.5, "label": "cat"}, '
        '{"start": "1:01.5", "end": 3661, "label": "unknown"}]',
        "\ufeffstart,end,label\n0,1.5,cat\n61.5,3661,unknown",
    ],
)
def test_seconds_in_csv_and_json(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path / "t", text) == [(0, 1.5, "cat"), (61.5, 3661, "unknown")]
    assert not read_truth(tmp_path / "t", LABELS).in_frames


@pytest.mark.parametrize(
    "text",
    [
        "start_frame,end_frame,label\n0,5,cat\n5,9,dog\n",
        '[{"start_frame": 0, "end_frame": 5, "label": "cat"},'
        ' {"start_frame": 5, "end_frame": 9, "label": "dog"}]',
    ],
)
def test_frames_in_csv_and_json(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path / "t", text) == [(0, 5, "cat"), (5, 9, "dog")]
    assert read_truth(tmp_path / "t", LABELS).in_frames


def test_a_label_for_each_frame(tmp_path: Path) -> None:
    text = '["cat", "cat", null, "dog", "unknown", "unknown"]'
    assert _read(tmp_path / "t", text) == [(0, 2, "cat"), (3, 4, "dog"), (4, 6, "unknown")]
    truth = read_truth(tmp_path / "t", LABELS)
    assert (truth.in_frames, truth.frames) == (True, 6)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_it_may_come_from_another_program(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t").write_bytes("start,end,label\r\n0,1,cat\r\n".encode(encoding))
    assert [one[:3] for one in read_truth(tmp_path / "t", LABELS).intervals] == [(0, 1, "cat")]


def test_a_class_whose_name_means_no_class_goes_by_its_other_name(tmp_path: Path) -> None:
    path, labels = tmp_path / "t", ["cat", "unknown (class)"]
    path.write_text(HEAD + "0,1,unknown\n")
    with pytest.raises(DatasetError, match=r"write 'unknown \(class\)' for the class"):
        read_truth(path, labels)
    path.write_text(HEAD + "0,1,unknown (class)\n")
    assert read_truth(path, labels).intervals[0].label == "unknown (class)"


HEAD = "start,end,label\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "0,2,cat\n1,3,dog\n", "line 3: dog from 1 overlaps cat until 2 (line 2)"),
        (HEAD + "5,6,cat\n0,5.5,dog\n", "line 2: cat from 5 overlaps dog until 5.5 (line 3)"),
        (HEAD + "0,2,cats\n", "line 2: the model has no class 'cats'; did you mean cat?"),
        (HEAD + "0,2,xyz\n", "line 2: the model has no class 'xyz'; it knows cat, dog"),
        (HEAD + "-1,2,cat\n", "line 2: the start -1 is negative"),
        (HEAD + "2,2,cat\n", "line 2: the end 2 is not after the start 2"),
        (HEAD + "0,nan,cat\n", "line 2: 'nan' is neither a number nor minutes:seconds"),
        (HEAD + "0,x,cat\n", "line 2: 'x' is neither"),
        (HEAD + "0,1\n", "line 2 has 2 cells, not 3"),
        ("begin,end,label\n", "line 1: the columns are start,end,label"),
        (HEAD, "has no intervals"),
        ("", "has no intervals"),
        (HEAD + f"{'9' * 5000}:00:00,2,cat\n", "line 2: '99"),
        (HEAD + f"0,{'9' * 400},cat\n", "line 2: '99"),
        (f'[{{"start": 0, "end": {"9" * 400}, "label": "cat"}}]', "interval 1: 99"),
        (HEAD + f"0,1,{'c' * 200_000}\n", "line 2: field larger than field limit"),
        ("[" * 100_000, "is not valid JSON: its values are nested too deeply"),
        ("start_frame,end_frame,label\n0.5,2,cat\n", "line 2: frames are whole numbers"),
        ('[{"start": 0}]', "interval 1: its keys are not start, end, label"),
        ("[1]", "is a JSON list of int; it has to be a JSON list of objects with the keys start"),
        ('["cat", {"start": 0}]', "is a JSON list of dict and str; it has to be"),
        ('{"intervals": []}', "is a JSON object with the keys intervals; it has to be"),
        ('["cat"', "is not valid JSON"),
        ('["cats", null]', "item 1: the model has no class 'cats'; did you mean cat?"),
        ("[null, null]", "has no intervals"),
        ('[{"start": 0, "end": [1], "label": "cat"}]', "interval 1: [1] is neither a number"),
        ('[{"start": 0, "end": 1, "label": null}]', "interval 1: the model has no class 'None'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(DatasetError) as caught:
        read_truth(path, LABELS)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        read_truth(tmp_path / "none", LABELS)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="UTF-16 text that is damaged"):
        read_truth(tmp_path / "binary", LABELS)
