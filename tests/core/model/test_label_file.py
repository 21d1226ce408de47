"""The forms in which class names are written, and those that are refused."""

import json

import pytest

from edgekit.model import limits
from edgekit.model.label_file import parse, plain_lines

MUG = ["mug", "cube", "star"]


@pytest.mark.parametrize(
    "text",
    [
        "mug\ncube\nstar\n",
        "mug\r\ncube\r\nstar\r\n\r\n",
        "mug\rcube\rstar",
        " mug \n\tcube\nstar\n\n\n",
        "label\nmug\ncube\nstar\n",
        "- mug\n- 'cube'\n- \"star\" # shines\n",
        "0 mug\n1 cube\n2 star",
        "2: star\n0: mug\n1: cube",
        "1,cube\n0,mug\n2,star",
        "0\tmug\n1\tcube\n2\tstar",
        "0. mug\n1. cube\n2. star",
        "0) mug\n2) star\n1) cube",
        "0 - mug\n1 - cube\n2 - star",
        "1 mug\n2 cube\n3 star",
        "index,label\n1,cube\n0,mug\n2,star\n",
        ',label\n0,"mug"\n1,"cube"\n2,"star"\n',
        "mug,0\nstar,2\ncube,1",
        "star: 2\nmug: 0\ncube: 1",
        "star 2\nmug 0\ncube 1",
        "label,index\nmug,0\nstar,2\ncube,1",
        '["mug", "cube", "star"]',
        '{"2": "star", "0": "mug", "1": "cube"}',
        '{"star": 2, "mug": 0, "cube": 1}',
        '{"id2label": {"0": "mug", "1": "cube", "2": "star"}, "label2id": {"mug": 0}, "a": 1}',
        '{"class_to_idx": {"cube": 1, "mug": 0, "star": 2}}',
        '{"0": ["n01", "mug"], "1": ["n02", "cube"], "2": ["n03", "star"]}',
        "{0: 'mug',\n 2: 'star',\n 1: 'cube'}",
        "('mug', 'cube', 'star')".replace("(", "[").replace(")", "]"),
        "path: ../x\nnc: 3\nnames: ['mug', 'cube', 'star']\ntrain: a\n",
        "names:\n  - mug\n  - cube\n  - star\n",
        "# data\nnames:\n- mug\n- cube\n- star\nnc: 3\n",
        "names:\n  0: mug\n  # two\n  1: 'cube'\n\n  2: star # shines\nval: b\n",
        "names: ['mug',\n  'cube', 'star']\n",
    ],
)
def test_names_are_understood_and_numbers_obeyed(text: str) -> None:
    assert parse(text).names == MUG


@pytest.mark.parametrize(
    "names",
    [
        ["7 up", "cat", "dog", "eel"],
        ["35mm lens", "3d printer", "1", "0"],
        ["0", "1", "10", "2"],
        ["gate 1", "gate 2", "gate 3"],
        ["gate 0", "gate 1"],
        ["class_0", "class_1", "class_10", "class_2"],
        ["tench, Tinca tinca", "great white shark, man-eater"],
        ["n01440764 tench", "n01443537 goldfish"],
        ["3.5 inch disk", "mug", "cube"],
        ["名前", "café", "a\u2028b"],
    ],
)
def test_names_with_numbers_or_commas_are_names(names: list[str]) -> None:
    assert parse("\n".join(names)) == (names, None)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("0 mug\n1 cube", "its class indices are obeyed, from 0 on"),
        ("1 mug\n2 cube", "its class indices are obeyed, from 1 on"),
        ("name\nmug\ncube", "its first line, 'name', is a header"),
        ('["mug", "cube"]', "it is a list in JSON"),
        ("names:\n- mug\n", "it is a YAML file with names"),
    ],
)
def test_it_is_told_how_they_were_understood(text: str, note: str) -> None:
    assert parse(text).note == note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mug\n\ncube", "has no name in line 2"),
        ("0 mug\n1 cube\nstar", "has an index in 2 of 3 lines, and none in 'star'"),
        ("0: mug\ncube\nstar", "has an index in 1 of 3 lines, and none in 'cube'"),
        ("0 mug\n1 cube\n3 star", "has indices from 0 to 3, but not 2"),
        ("mug 0\ncube 1\nstar 1", "gives 'cube' and 'star' the same index, 1"),
        ("0,1\n1,2", "numbers that may be part of the names"),
        ("- mug\ncube", "is no list of names in line 1"),
        ("2 mug\n3 cube", "has indices from 2 to 3, but not 1"),
        ("1 euro\n2 euro\n5 euro", "numbers that may be part of the names"),
        ("1 cent\n2 euro\n5 mark", "has indices from 1 to 5, but not 3"),
        ("0 mug\n1 cube\n1 star", "gives 'cube' and 'star' the same index, 1"),
        ("mug_1\ncube_0\nstar_2", "numbers that contradict the order of its lines"),
        ('"mug": 0,\n"cube": 1', "is no list of names in line 1"),
        ("mug,\ncube,\nstar", "is no list of names in line 1"),
        ("'mug'\n'cube'", "is no list of names in line 1"),
        ("# names\nmug", "is no list of names in line 1"),
        ("item {\n  id: 1\n  name: 'mug'\n}", "is no list of names in line 1"),
        ("classes:\n  mug", "is no list of names in line 1"),
        ("(0) mug\n(1) cube", "is no list of names in line 1"),
        ("index,wnid,label\n0,n01,mug", "has 3 columns"),
        ('["mug", "cube"', "begins like a JSON list or map, but is none"),
        ("[mug, cube]", "begins like a JSON list or map, but is none"),
        ('{"mug": 0, "mug": 1}', "has the key 'mug' twice"),
        ('{"0": "mug", "0": "cube"}', "has the key '0' twice"),
        ('{"mug": 0, "cube": 2}', "has indices from 0 to 2, but not 1"),
        ('{"mug": "0.5"}', "not of class indices to names"),
        ('{"0": 1, "1": 0}', "not of class indices to names"),
        ('{"mug": true}', "not of class indices to names"),
        ('[{"id": 1, "name": "mug"}]', "for a name"),
        ("[1, 2]", "has '1' for a name"),
        ("[" * 5000, "begins like a JSON list or map, but is none"),
        ("names:\n  mug: 0\n", "has YAML names of another form"),
        ("names:\n  - mug\n  1: cube\n", "has YAML names of another form"),
        ("names: [mug, cube]\n", "is none"),
        ("names:\nnc: 3\n", "has YAML names of another form"),
        ('names:\n  - "a\\tb"\n', "is not understood"),
    ],
)
def test_what_is_doubtful_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|is|begins|gives)") as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_our_own_files_hold_names_as_they_are() -> None:
    assert plain_lines("0 mug\r\n[cube]\n\n") == ["0 mug", "[cube]"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n" * (limits.CLASSES + 2), "has 131,074 lines; at most 131,072 classes are read"),
        ("a" * 4_194_305, "has 4,194,305 characters"),
        ("mug\n" + "x" + " " * 300 + "x" * 300 + "\n", "line 2, which is too long"),
        ("['" + "a" * (256 << 10) + "']", "begins like a JSON list or map, but is none"),
        ("[" * 100_000, "begins like a JSON list or map, but is none"),
        ("mug " + "9" * 5000, "line 1, which is too long"),
    ],
)
def test_what_takes_long_to_understand_is_refused_before(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_as_many_classes_as_are_allowed_are_read() -> None:
    names = [f"class{index}" for index in range(limits.CLASSES)]
    assert parse("label\n" + "\n".join(names)).names == names
    assert parse(json.dumps(names)).names == names
