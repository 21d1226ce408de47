"""What is said of decisions, merged: by the configuration, by the model file, by nobody."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import SettingsError
from edgekit.model.decision import (
    DecisionOverrides,
    DecisionSettings,
    LabelOverrides,
    LabelSettings,
    Recommendation,
    merge,
)
from edgekit.model.settled import settle

Own = LabelOverrides
NAMES = ("cat", "dog", "coffee mug")
NOTHING = DecisionOverrides()


def of_labels(**labels: Own) -> DecisionOverrides:
    return DecisionOverrides(labels=labels)


class TestMerge:
    def test_where_nothing_is_said_the_defaults_hold(self) -> None:
        assert merge() == merge(NOTHING, NOTHING) == DecisionSettings()

    def test_the_first_to_speak_of_a_key_wins(self) -> None:
        chosen, recommended = DecisionOverrides(enter=0.9), DecisionOverrides(enter=0.7, hold=3)
        assert merge(chosen, recommended) == DecisionSettings(enter=0.9, hold=3)

    def test_of_one_label_wins_over_of_all_of_the_same(self) -> None:
        chosen = DecisionOverrides(enter=0.7, labels={"cat": Own(enter=0.9)})
        assert merge(chosen).of("cat") == LabelSettings(0.9, 0.4, 0.5)
        assert merge(chosen).of("dog") == LabelSettings(0.7, 0.4, 0.5)

    def test_of_all_wins_over_of_one_label_of_a_later(self) -> None:
        recommended = of_labels(cat=Own(enter=0.9, hold=3))
        assert merge(DecisionOverrides(enter=0.7), recommended).of("cat") == LabelSettings(
            0.7, 0.4, 3
        )

    def test_a_label_that_holds_as_all_do_makes_no_difference(self) -> None:
        assert merge(of_labels(cat=Own(enter=0.6), dog=Own())) == merge()

    def test_who_ignores_a_label_that_is_recommended_is_obeyed(self) -> None:
        recommended = of_labels(cat=Own(enter=0.9))
        merged = merge(of_labels(cat=Own(ignore=True)), recommended)
        assert merged.labels == {"cat": LabelSettings(0.6, 0.4, 0.5, ignore=True)}

    def test_who_does_not_ignore_one_that_is_to_be_is_obeyed(self) -> None:
        recommended = of_labels(cat=Own(ignore=True))
        chosen = of_labels(cat=Own(ignore=False, enter=0.9))
        assert merge(chosen, recommended).of("cat") == LabelSettings(0.9, 0.4, 0.5)

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ([DecisionOverrides(enter=0.3)], r"^decision: leave \(0.4\) is above enter \(0.3\)"),
            (
                [DecisionOverrides(enter=0.3), DecisionOverrides(enter=0.5, leave=0.35)],
                r"^decision: leave \(0.35\) is above enter \(0.3\)",
            ),
            (
                [DecisionOverrides(labels={"a b": Own(leave=0.7)})],
                r'^decision.labels."a b": leave \(0.7\) is above enter \(0.6\)',
            ),
            (
                [of_labels(cat=Own(enter=0.9)), of_labels(cat=Own(ignore=True))],
                "^decision.labels.cat: enter is set, but the label is ignored; set ignore = false",
            ),
        ],
    )  # fmt: skip
    def test_contradictions_are_named(self, said: list[DecisionOverrides], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            merge(*said)


class TestSaid:
    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: Own(enter=0.3, leave=0.4),
            lambda: Own(ignore=True, hold=1),
            lambda: DecisionOverrides(enter=0.3, labels={"cat": Own(leave=0.4)}),
            lambda: DecisionOverrides(leave=0.5, labels={"cat": Own(enter=0.4)}),
        ],
    )
    def test_what_contradicts_itself_is_refused_at_once(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"is above|is set for a label that is ignored"):
            wrong()  # type: ignore[operator]

    def test_complete_settings_can_be_said_again(self) -> None:
        ignored = LabelSettings(0.6, 0.4, 0.5, ignore=True)
        labels = {"cat": LabelSettings(0.9, 0.1, 2), "dog": ignored}
        settings = DecisionSettings(smoothing=1, labels=labels)
        assert merge(DecisionOverrides.of(settings)) == settings

    def test_in_words_of_many_labels_the_first(self) -> None:
        labels = {str(index): Own(ignore=True) for index in range(7)}
        said = DecisionOverrides(enter=0.75, labels={"cat\x1b": Own(leave=0.1)} | labels)
        assert str(said) == (
            "enter 0.75; cat: leave 0.1; 0: ignored; 1: ignored; 2: ignored; 3: ignored; "
            "3 more labels"
        )

    def test_a_recommendation_is_a_line(self) -> None:
        found = Recommendation(
            decision=DecisionOverrides(smoothing=9), objective="few\nfalse", recordings=1,
            events=42, span=75,
        )  # fmt: skip
        assert str(found) == (
            "smoothing 9 (found for few false, on 1 recording of 1:15 with 42 events)"
        )


class TestSettle:
    def test_says_where_from(self) -> None:
        chosen, recommended = DecisionOverrides(enter=0.9), DecisionOverrides(hold=3)
        assert settle(NOTHING, NOTHING, NAMES).source == "the defaults"
        assert settle(chosen, NOTHING, NAMES).source == "the configuration"
        assert settle(NOTHING, recommended, NAMES).source == "the model file"
        both = settle(chosen, recommended, NAMES)
        assert str(both) == (
            "smoothing 5, enter 0.9, leave 0.4, hold 3, heartbeat 60 "
            "(from the configuration, then the model file)"
        )

    @pytest.mark.parametrize(
        ("labels", "reason"),
        [
            ({"Kat": Own()}, "decision.labels.Kat: m.tflite has no such class; did you "
             r"mean cat\?"),
            ({"coffe mug": Own()}, r'labels."coffe mug": .* did you mean coffee mug\?'),
            ({"xyz": Own(), "zyx": Own()}, "decision.labels.xyz: m.tflite has "
             "no such class, nor 1 more that are named; it has cat, dog, coffee mug"),
            ({"unknown": Own(ignore=True)}, "labels.unknown: m.tflite has no such class"),
            ({"a\nb": Own()}, r'labels."a\\nb": m.tflite has no such class'),
            ({name: Own(ignore=True) for name in NAMES}, "every class is ignored"),
            ({"cat": Own(leave=0.9)}, "decision.labels.cat: leave .* is above enter"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_a_model_is_one_line(
        self, labels: dict[str, Own], reason: str
    ) -> None:
        with pytest.raises(SettingsError, match=reason) as caught:
            settle(DecisionOverrides(labels=labels), NOTHING, NAMES, model="m.tflite")
        assert str(caught.value).isprintable()

    def test_names_are_compared_in_their_composed_form(self) -> None:
        chosen = DecisionOverrides(labels={"cafe\u0301": Own(enter=0.9)})
        assert settle(chosen, NOTHING, ["caf\xe9", "tea"]).settings.of("caf\xe9").enter == 0.9
        twice = DecisionOverrides(labels={"cafe\u0301": Own(), "caf\xe9": Own(enter=0.9)})
        with pytest.raises(SettingsError, match="names a class twice"):
            settle(twice, NOTHING, ["caf\xe9", "tea"])


@st.composite
def any_overrides(draw: st.DrawFn) -> DecisionOverrides:
    low, high = sorted(draw(st.lists(st.floats(0, 1), min_size=2, max_size=2)))

    def some(value: float) -> float | None:
        return draw(st.sampled_from([value, None]))

    labels = {
        name: Own(ignore=True)
        if draw(st.booleans())
        else Own(enter=some(high), leave=some(low), hold=some(1.5))
        for name in draw(st.lists(st.text(max_size=5), max_size=3, unique=True))
    }
    return DecisionOverrides(
        smoothing=draw(st.none() | st.integers(1, 9)), enter=some(high), leave=some(low),
        hold=some(2), labels=labels,
    )  # fmt: skip


@given(any_overrides(), any_overrides())
def test_what_is_merged_is_complete_and_merges_to_itself(
    chosen: DecisionOverrides, recommended: DecisionOverrides
) -> None:
    try:
        merged = merge(chosen, recommended)
    except ValueError as error:
        assert "decision" in str(error)
        return
    assert merge(DecisionOverrides.of(merged), recommended) == merged
    assert msgspec.convert(msgspec.to_builtins(merged), DecisionSettings) == merged
    for name, label in merged.labels.items():
        assert label.leave <= label.enter
        assert label != LabelSettings(merged.enter, merged.leave, merged.hold), name
