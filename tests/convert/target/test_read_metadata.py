"""The normalization that a model's TFLite Metadata names, read without the schema's code."""

from typing import Any

import edgekit_convert.target.metadata as module
import pytest
from edgekit_convert.target.metadata import with_metadata

from edgekit.model.flatbuffer import parse
from edgekit.model.foreign import Hints, understand_input
from edgekit.model.metadata import read_normalization
from tests.tiny import tiny_flatbuffer


def _with_metadata(monkeypatch: pytest.MonkeyPatch, mean: list[float], std: list[float]) -> bytes:
    class Described(module._Table):
        def __init__(self, kind: str, **values: Any) -> None:
            other = {"mean": mean, "std": std}
            super().__init__(kind, **(other if kind == "NormalizationOptions" else values))

    monkeypatch.setattr(module, "_Table", Described)
    return with_metadata(tiny_flatbuffer(), name="", description="")


def test_metadata_says_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    described = _with_metadata(monkeypatch, [127.5], [127.5])
    found = read_normalization(described)
    assert found is not None
    assert found.mean == pytest.approx([0.5] * 3)
    assert found.std == pytest.approx([0.5] * 3)
    note = understand_input(parse(tiny_flatbuffer(dtype="FLOAT32")), described, Hints()).note
    assert note == "pixels normalized to -1..1 (rgb), as its metadata says"


def test_metadata_that_contradicts_the_range_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    described = _with_metadata(monkeypatch, [0.0], [1.0])
    note = understand_input(parse(tiny_flatbuffer()), described, Hints()).note
    assert note == "pixels normalized to 0..1 (rgb), as its values from 0 to 1 say"


def test_metadata_for_each_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    described = _with_metadata(monkeypatch, [123.0, 116.0, 103.0], [58.0, 57.0, 57.5])
    found = read_normalization(described)
    assert found is not None
    assert found.mean == pytest.approx([123 / 255, 116 / 255, 103 / 255])
    assert found.std == pytest.approx([58 / 255, 57 / 255, 57.5 / 255])


@pytest.mark.parametrize(
    ("mean", "std"), [([0.0], [0.0]), ([1.0, 2.0], [1.0]), ([float("nan")], [1.0])]
)
def test_metadata_that_is_nonsense_says_nothing(
    monkeypatch: pytest.MonkeyPatch, mean: list[float], std: list[float]
) -> None:
    assert read_normalization(_with_metadata(monkeypatch, mean, std)) is None
    assert read_normalization(tiny_flatbuffer()) is None
