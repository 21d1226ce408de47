"""Settings as a configuration: what is written holds, whatever the model file says."""

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgekit.model.decision import (
    DecisionOverrides,
    DecisionSettings,
    LabelOverrides,
    LabelSettings,
    merge,
)
from edgekit.offline.decision_settings import Recorded
from edgekit.offline.tuning.snippet import overrides, toml
from edgekit.settings import load
from tests.core.offline.tuning.courses import LABELS
from tests.core.offline.tuning.test_replay import settings, thresholds

ODD = 'a "mug" = [1]\\'


@st.composite
def recommended(draw: st.DrawFn) -> DecisionOverrides:
    enter, leave, hold = draw(thresholds())
    names = draw(st.lists(st.sampled_from(LABELS), unique=True))
    rules = [draw(thresholds()) for _ in names]
    labels = {
        name: LabelOverrides(enter=one[0], leave=one[1], hold=one[2])
        for name, one in zip(names, rules, strict=True)
    }
    return DecisionOverrides(
        smoothing=draw(st.sampled_from([None, 2])), enter=enter, leave=leave, hold=hold,
        labels=labels,
    )  # fmt: skip


@given(wanted=settings(), recommended=recommended())
def test_what_is_written_holds_over_any_recommendation(
    wanted: DecisionSettings, recommended: DecisionOverrides
) -> None:
    said = overrides(wanted, merge(recommended))
    read = tomllib.loads(toml(wanted, said, []))["decision"]
    found = merge(DecisionOverrides(**_parsed(read)), recommended)
    assert [found.of(label) for label in LABELS] == [wanted.of(label) for label in LABELS]
    assert found.smoothing == wanted.smoothing


def _parsed(read: dict[str, object]) -> dict[str, object]:
    labels = read.pop("labels", {})
    assert isinstance(labels, dict)
    return {**read, "labels": {name: LabelOverrides(**one) for name, one in labels.items()}}


def test_what_stays_is_a_comment(tmp_path: Path) -> None:
    wanted = DecisionSettings(
        smoothing=3,
        labels={
            ODD: LabelSettings(0.9, 0.5, 1.0),
            "cup": LabelSettings(0.6, 0.4, 0.5, ignore=True),
        },
    )
    text = toml(wanted, overrides(wanted, DecisionSettings()), ["Of two\nlines."])
    assert text == (
        "# Of two lines.\n\n[decision]\nsmoothing = 3\n#enter = 0.6\n#leave = 0.4\n#hold = 0.5\n\n"
        '[decision.labels."a \\"mug\\" = [1]\\\\"]\nenter = 0.9\nleave = 0.5\nhold = 1.0\n\n'
        "[decision.labels.cup]\nignore = true\n"
    )
    file = tmp_path / "tuned.toml"
    file.write_text(text)
    assert merge(load(Recorded, file, {}).decision).of(ODD) == wanted.of(ODD)


def test_what_a_configuration_said_before_is_taken_back() -> None:
    before = DecisionSettings(
        smoothing=1, labels={"cup": LabelSettings(0.9, 0.4, 0.5, ignore=False)}
    )
    said = overrides(DecisionSettings(), DecisionSettings(), before)
    assert said == DecisionOverrides(
        smoothing=5, labels={"cup": LabelOverrides(enter=0.6, leave=0.4, hold=0.5)}
    )


def test_where_nothing_changes_nothing_is_said() -> None:
    said = overrides(DecisionSettings(), DecisionSettings())
    assert said == DecisionOverrides()
    assert tomllib.loads(toml(DecisionSettings(), said, [])) == {"decision": {}}
