"""The decision for each model, and what is said of its settings."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.decisions import Decisions

from edgekit.errors import SettingsError
from edgekit.inference.decision import Decision
from edgekit.model.decision import DecisionOverrides, LabelOverrides
from tests.device.fakes import FakeClassifier

NOTHING = Settings(model=Path("m.tflite"))


def chosen(**said: object) -> Settings:
    return msgspec.structs.replace(NOTHING, decision=DecisionOverrides(**said))  # type: ignore[arg-type]


def recommending(**said: object) -> FakeClassifier:
    model = FakeClassifier()
    model.recommended = DecisionOverrides(**said)  # type: ignore[arg-type]
    return model


class Bench:
    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.said: list[str] = []
        self.decisions = Decisions(self.problems, self.said.append)

    def use(self, model: FakeClassifier, settings: Settings = NOTHING) -> Decision:
        return self.decisions.for_model(model, settings)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_nothing_is_said_of_the_defaults(bench: Bench) -> None:
    assert bench.decisions.source == ""
    bench.use(FakeClassifier())
    assert (bench.said, bench.decisions.source) == ([], "the defaults")


def test_what_holds_is_said_and_where_from_whenever_it_is_another(bench: Bench) -> None:
    bench.use(recommending(enter=0.7))
    bench.use(recommending(enter=0.7), chosen(hold=2))
    bench.use(FakeClassifier())
    assert [line.partition("(")[2] for line in bench.said] == [
        "from the model file)",
        "from the configuration, then the model file)",
        "from the defaults)",
    ]
    assert bench.said[0].startswith("decision: smoothing 5, enter 0.7, ")


def test_a_decision_goes_on_while_labels_and_settings_are_the_same(bench: Bench) -> None:
    first = bench.use(FakeClassifier(name="a.tflite"))
    assert bench.use(FakeClassifier(name="b.tflite")) is first
    second = bench.use(recommending(enter=0.7))
    assert second is not first
    third = bench.use(FakeClassifier(["cat", "eel"]))
    assert third is not second
    assert bench.use(FakeClassifier(["cat", "eel"]), chosen(enter=0.6)) is not third
    every = msgspec.structs.replace(NOTHING, every_frame=True)
    assert bench.use(FakeClassifier(), every).update(np.float32([1, 0, 0]), 0).first


def test_it_begins_afresh_when_it_is_told_to(bench: Bench) -> None:
    first = bench.use(FakeClassifier())
    bench.decisions.begin_afresh()
    assert bench.use(FakeClassifier()) is not first
    assert bench.said == []


def test_the_first_settings_have_to_fit(bench: Bench) -> None:
    with pytest.raises(SettingsError, match=r"labels.cow: m.tflite has no such class"):
        bench.use(FakeClassifier(), chosen(labels={"cow": LabelOverrides(enter=0.7)}))


def test_later_ones_that_do_not_fit_are_a_problem_and_those_before_go_on(bench: Bench) -> None:
    bench.use(FakeClassifier(), chosen(enter=0.7))
    wrong = chosen(labels={"cow": LabelOverrides(enter=0.9)})
    decision = bench.use(FakeClassifier(), wrong)
    assert decision.settings.enter == 0.7
    assert bench.problems["decision"].endswith("cat, dog, eel; going on with the settings before")
    assert bench.said[-1] == f"decision: {bench.problems['decision']}"
    # It is said once, and the decision goes on, whatever else happens.
    assert bench.use(FakeClassifier(), wrong) is decision
    assert len(bench.said) == 2
    # The model that they are for has come.
    assert bench.use(FakeClassifier(["cat", "cow"]), wrong).settings.of("cow").enter == 0.9
    assert bench.problems == {}


def test_a_model_that_recommends_what_settings_contradict_changes_no_threshold(
    bench: Bench,
) -> None:
    settings = chosen(enter=0.45)
    bench.use(FakeClassifier(), settings)
    bench.use(recommending(enter=0.9, leave=0.5), settings)
    assert "leave (0.5) is above enter (0.45)" in bench.problems["decision"]
    assert bench.decisions.settled is not None
    assert bench.decisions.settled.settings.leave == 0.4
