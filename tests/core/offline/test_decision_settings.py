"""Whose decision settings hold for a recording."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edgekit.errors import ConfigurationError, SettingsError, SourceError
from edgekit.model.decision import (
    DecisionOverrides,
    DecisionSettings,
    LabelOverrides,
    LabelSettings,
)
from edgekit.model.geometry import Geometry
from edgekit.model.settled import Settled
from edgekit.offline.clip import ClipHeader
from edgekit.offline.decision_settings import decision_settings

OWN = DecisionSettings(
    smoothing=3,
    labels={
        "cat": LabelSettings(0.9, 0.1, 2),
        "dog": LabelSettings(0.6, 0.4, 0.5, ignore=True),
    },
)
RECOMMENDED = DecisionOverrides(smoothing=9, labels={"eel": LabelOverrides(enter=0.8)})


def header(decision: object = OWN, **changes: Any) -> ClipHeader:
    usual = ClipHeader(
        schema=1, created="", device="pi", source="test:", model="m.tflite", model_sha256="aa",
        runtime="litert", accelerator="cpu", geometry=Geometry(8, 8),
        decision=msgspec.to_builtins(decision), versions={},
    )  # fmt: skip
    return msgspec.structs.replace(usual, **changes)


def settled(
    head: ClipHeader | None,
    *,
    recommended: DecisionOverrides = RECOMMENDED,
    sha256: str = "aa",
    labels: tuple[str, ...] = ("cat", "dog", "eel"),
    config: Path | None = None,
    **options: object,
) -> Settled:
    model = SimpleNamespace(
        recommended=recommended, sha256=sha256, labels=list(labels), path=Path("m.tflite")
    )
    given = {f"decision.{name}": value for name, value in options.items()}
    return decision_settings(config, given, head, model)  # type: ignore[arg-type]


def test_a_clip_holds_those_of_its_day_also_where_its_model_recommends_others() -> None:
    assert settled(header()) == Settled(OWN, "the clip")


def test_another_model_brings_its_own_if_it_has_any() -> None:
    found = settled(header(), sha256="bb")
    assert found.settings.smoothing == 9
    assert found.source == "the model file, as another model recorded the clip"
    assert settled(header(), sha256="bb", recommended=DecisionOverrides()).settings == OWN


def test_a_configuration_takes_the_place_of_the_clip(tmp_path: Path) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text("threads = 2\n[decision.labels.cat]\nenter = 0.7\n")
    found = settled(header(), config=config)
    assert found.settings.of("cat").enter == 0.7
    assert (found.settings.smoothing, found.settings.of("eel").enter) == (9, 0.8)
    assert found.source == "the configuration, then the model file"


def test_options_win_over_the_clip_and_the_rest_of_it_holds() -> None:
    found = settled(header(), enter=0.7)
    assert found.settings.of("cat") == LabelSettings(0.7, 0.1, 2)
    assert found.settings.of("dog").ignore
    assert found.settings.smoothing == 3
    assert found.source == "the options, then the clip"


def test_what_is_no_clip_holds_what_the_model_recommends() -> None:
    assert settled(None).source == "the model file"
    assert settled(None, recommended=DecisionOverrides()).source == "the defaults"


def test_labels_of_a_clip_that_another_model_has_not_are_left_out_and_told() -> None:
    found = settled(header(), sha256="bb", recommended=DecisionOverrides(), labels=("dog", "eel"))
    assert found.settings.labels == {"dog": OWN.labels["dog"]}
    assert found.source == "the clip, without cat, which this model has not"


def test_a_clip_of_before_labels_had_settings_is_read() -> None:
    old = {"smoothing": 3, "enter": 0.6, "leave": 0.4, "hold": 0.5, "heartbeat": 60.0}
    assert settled(header(decision=old)).settings == DecisionSettings(smoothing=3)


@pytest.mark.parametrize(
    "damaged",
    [
        {"smoothing": 0},
        {"new": 1},
        {"enter": 0.3},
        {"labels": {"cat": {"enter": 0.3, "leave": 0.4, "hold": 1}}},
        {"labels": {"cat": {"enter": 2, "leave": 0.4, "hold": 1}}},
        {"labels": {"cat": 1}},
        {"labels": {"cat": {"ignore": True}}},
    ],
)
def test_a_damaged_header_is_one_line(damaged: dict[str, object]) -> None:
    with pytest.raises(SourceError, match="the clip's decision settings do not fit this edgekit"):
        settled(header(decision=damaged))


def test_a_label_that_the_model_has_not_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text("[decision.labels.cta]\nenter = 0.7\n")
    with pytest.raises(SettingsError, match=r"m.tflite has no such class; did you mean cat\?"):
        settled(None, config=config)
    config.write_text("[decision.labels.cat]\nenterr = 0.7\n")
    with pytest.raises(ConfigurationError, match=r"line 2: decision.labels.cat.enterr: .*enter\?"):
        settled(None, config=config)
