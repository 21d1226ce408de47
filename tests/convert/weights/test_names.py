"""Class names that a training left in its checkpoint."""

import argparse
from typing import Any

import pytest
from edgekit_convert.weights.names import SavedNames, find_names

LIST = ["cat", "dog", "cow"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", ["cat", "dog", "cow"]),
        ("class_names", ("cat", "dog", "cow")),
        ("class_to_idx", {"dog": 1, "cow": 2, "cat": 0}),
        ("label2id", {"dog": 1, "cow": 2, "cat": 0}),
        ("idx_to_class", {2: "cow", 0: "cat", 1: "dog"}),
        ("id2label", {"2": "cow", "0": "cat", "1": "dog"}),
        ("names", {0: "cat", 1: "dog", 2: "cow"}),
        ("class_to_idx", {"dog": 2, "cow": 3, "cat": 1}),
        ("CLASSES", ("cat", "dog", "cow")),
    ],
)
def test_names_are_read_by_their_indices(key: str, value: Any) -> None:
    assert find_names({"state_dict": {}, key: value}) == [SavedNames(key, LIST)]


def test_classes_that_are_called_by_numbers_keep_the_direction() -> None:
    found = find_names({"class_to_idx": {"0": 1, "1": 0, "2": 2}})
    assert found[0].names == ["1", "0", "2"]


def test_more_than_nine_are_in_the_order_of_their_numbers() -> None:
    names = [f"n{number}" for number in range(12)]
    found = find_names({"id2label": {str(number): name for number, name in enumerate(names)}})
    assert found[0].names == names


@pytest.mark.parametrize(
    "nested",
    [
        {"hyper_parameters": {"class_names": LIST}},
        {"meta": {"dataset": {"class_names": LIST}}},
        {"args": argparse.Namespace(class_names=LIST)},
        {"meta": {"dataset_meta": {"class_names": LIST}}},
    ],
)
def test_they_are_found_among_options(nested: dict[str, Any]) -> None:
    assert find_names(nested) == [SavedNames("class_names", LIST)]


def test_indices_are_surer_than_an_order() -> None:
    found = find_names({"classes": ["a", "b"], "class_to_idx": {"a": 1, "b": 0}})
    assert [one.names for one in found] == [["b", "a"], ["a", "b"]]


@pytest.mark.parametrize(
    "value",
    [7, [], ["one"], [0, 1, 2], {"a": 1, "b": 3}, {"a": 0, "b": 0}, {"a": "b"}, None, "cat", {}],
)
def test_what_are_no_names_are_left(value: Any) -> None:
    assert find_names({"classes": value}) == []


def test_numbers_that_transformers_writes_for_names_are_none() -> None:
    assert find_names({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}) == []
    assert find_names({"id2label": {"0": "LABEL_1", "1": "LABEL_0"}}) != []
