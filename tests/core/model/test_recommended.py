"""The decision settings that a model file recommends."""

import json
import re
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.inference.classifier import Classifier
from edgekit.inference.decision import settle_for
from edgekit.model.container import read_model
from edgekit.model.decision import DecisionOverrides, LabelOverrides, Recommendation
from edgekit.model.inspection import inspect
from tests.recordings import Edgekit
from tests.tiny import own_model


def recommendation(decision: DecisionOverrides) -> Recommendation:
    return Recommendation(
        decision=decision, objective="few false events", recordings=3, events=42, span=750.0
    )


def recommending(path: Path, decision: DecisionOverrides, **options: list[str]) -> Path:
    return own_model(path, **options, decision=recommendation(decision))  # type: ignore[arg-type]


GREEN = DecisionOverrides(smoothing=9, labels={"green": LabelOverrides(enter=0.8)})


def test_one_without_recommends_nothing(tmp_path: Path) -> None:
    classifier = Classifier.open(own_model(tmp_path / "m.tflite"))
    assert not classifier.recommended
    assert settle_for(DecisionOverrides(), classifier).source == "the defaults"


def test_it_holds_where_nothing_else_is_said(tmp_path: Path) -> None:
    classifier = Classifier.open(recommending(tmp_path / "m.tflite", GREEN))
    assert classifier.recommended == GREEN
    settled = settle_for(DecisionOverrides(hold=2), classifier)
    assert settled.settings.of("green").enter == 0.8
    assert (settled.settings.smoothing, settled.settings.hold) == (9, 2)
    assert settled.source == "the configuration, then the model file"


def test_it_is_for_a_class_whatever_its_name(tmp_path: Path) -> None:
    path = recommending(tmp_path / "m.tflite", GREEN)
    # Also where a name goes to another class than the file's.
    classifier = Classifier(path, labels=["green", "leaf", "red"])
    assert classifier.recommended.labels == {"leaf": LabelOverrides(enter=0.8)}


def test_it_calls_labels_as_they_are_shown(tmp_path: Path) -> None:
    said = DecisionOverrides(
        labels={"cat (1)": LabelOverrides(enter=0.8), "unknown (class)": LabelOverrides(hold=1)}
    )
    labels = ["cat", "cat", "unknown"]
    path = recommending(tmp_path / "m.tflite", said, labels=labels)
    assert Classifier.open(path).recommended == said


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (DecisionOverrides(enter=0.3), "decision: leave (0.4) is above enter (0.3)"),
        (DecisionOverrides(labels={"x": LabelOverrides(enter=0.7)}), "labels.x: the model has no"),
        (
            DecisionOverrides(labels={"red": LabelOverrides(leave=0.7)}),
            "decision.labels.red: leave (0.7) is above enter (0.6)",
        ),
        (
            DecisionOverrides(
                labels={name: LabelOverrides(ignore=True) for name in ("red", "green", "blue")}
            ),
            "every class is ignored",
        ),
    ],
)
def test_a_file_that_recommends_what_cannot_hold_is_refused(
    tmp_path: Path, said: DecisionOverrides, reason: str
) -> None:
    path = recommending(tmp_path / "m.tflite", said)
    with pytest.raises(ModelFileError, match=re.escape(reason)) as caught:
        read_model(path)
    assert "m.tflite is not a usable model: the decision settings that it recommends" in str(
        caught.value
    )


def test_one_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = recommending(tmp_path / "m.tflite", GREEN)
    content = path.read_bytes()
    # As long as before, so that the zip is whole but for its sum.
    path.write_bytes(content.replace(b'"enter": 0.8', b'"enter": 8.0'))
    with pytest.raises(ModelFileError, match="is not a usable model"):
        read_model(path)


def test_inspect_shows_it(tmp_path: Path, edgekit: Edgekit) -> None:
    path = recommending(tmp_path / "m.tflite", GREEN)
    facts = inspect(path)
    assert facts["decision"]["decision"] == {"smoothing": 9, "labels": {"green": {"enter": 0.8}}}
    assert (facts["decision"]["recordings"], facts["decision"]["events"]) == (3, 42)
    assert (
        "recommends    smoothing 9; green: enter 0.8 (found for few false events, on 3 recordings "
        "of 12:30 with 42 events)\n"
    ) in edgekit("inspect", path).stdout
    without = own_model(tmp_path / "w.tflite")
    assert json.loads(edgekit("inspect", without, "--json").stdout)["decision"] is None
    assert "recommends" not in edgekit("inspect", without).stdout
