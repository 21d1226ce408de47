"""One table of recipes, which the search tries and all else follows."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.ranges import RULES
from edgekit_convert.quantize.recipes import (
    DATA_FREE_RECIPES,
    PLAIN,
    RECIPES,
    Candidate,
    Score,
    Scoring,
    without_each_technique,
)
from edgekit_convert.quantize.search import CANDIDATES, Found, corrected, search

from edgekit.model.manifest import Quantization, Recipe
from tests.convert.toys import NONE, Toy, noise, normal

ALL = Recipe(ranges="mse", equalized=True, rounding="error-feedback", bias_corrected=True)


class TestRecipe:
    def test_its_name_is_readable(self) -> None:
        assert str(PLAIN) == "min-max ranges, nearest rounding"
        assert str(ALL) == "mse ranges, equalized, error-feedback rounding, bias corrected"

    def test_techniques_are_left_out_one_at_a_time(self) -> None:
        assert [str(recipe) for recipe in without_each_technique(ALL)] == [
            "mse ranges, error-feedback rounding, bias corrected",
            "mse ranges, equalized, nearest rounding, bias corrected",
            "mse ranges, equalized, error-feedback rounding",
        ]

    def test_of_techniques_that_it_lacks_nothing_is_left_out(self) -> None:
        assert without_each_technique(PLAIN) == []
        equalized = msgspec.structs.replace(PLAIN, ranges="mse", equalized=True)
        found = without_each_technique(equalized)
        assert found == [msgspec.structs.replace(PLAIN, ranges="mse")]


@pytest.fixture(scope="module")
def model() -> FloatModel:
    toy = Toy(4, 4)
    hidden = toy.conv(toy.image, normal(4, 1, 1, 3) / 255, normal(4, seed=1))
    logits = toy.dense(toy.mean(hidden), normal(3, 4, seed=2), normal(3, seed=3), NONE)
    graph = toy.build(toy.softmax(logits))
    seen = observe(graph, noise(4, 4, 4, 3), 1, 0, lambda done: None)
    return FloatModel.prepare(graph, seen)


def _scores(ratios: Sequence[float]) -> Scoring:
    """Scores with these signal-to-noise ratios, in the order asked."""
    left = iter(ratios)
    # The other figures would choose otherwise.
    return lambda flatbuffer: Score(10, 1 - (ratio := next(left)) / 100, ratio, ratio)


def _search(
    model: FloatModel, ratios: Sequence[float], recipes: Sequence[Recipe] = RECIPES
) -> Found:
    return search(model, recipes, _scores(ratios), lambda done: None)


class TestSearch:
    def test_every_rule_with_all_techniques_then_none_then_the_best_without_each(
        self, model: FloatModel
    ) -> None:
        found = _search(model, [1, 4, 2, 3, 0, 0, 0, 0, 0])
        full = "equalized, error-feedback rounding, bias corrected"
        assert [candidate.name for candidate in found.candidates] == [
            f"min-max ranges, {full}",
            f"percentile-99.99 ranges, {full}",
            f"percentile-99.9 ranges, {full}",
            f"mse ranges, {full}",
            "mse ranges, error-feedback rounding, bias corrected",
            "min-max ranges, nearest rounding",
            "percentile-99.99 ranges, error-feedback rounding, bias corrected",
            "percentile-99.99 ranges, equalized, nearest rounding, bias corrected",
            "percentile-99.99 ranges, equalized, error-feedback rounding",
        ]

    def test_for_distilled_pictures_no_candidate_is_equalized(self, model: FloatModel) -> None:
        found = _search(model, [1, 4, 2, 3, 0, 0, 0], DATA_FREE_RECIPES)
        rest = "error-feedback rounding, bias corrected"
        assert [candidate.name for candidate in found.candidates] == [
            f"min-max ranges, {rest}",
            f"percentile-99.99 ranges, {rest}",
            f"percentile-99.9 ranges, {rest}",
            f"mse ranges, {rest}",
            "min-max ranges, nearest rounding",
            "percentile-99.99 ranges, nearest rounding, bias corrected",
            "percentile-99.99 ranges, error-feedback rounding",
        ]
        assert found.model is model

    def test_nothing_is_tried_twice(self, model: FloatModel) -> None:
        found = _search(model, [1, 2, 3, 4, 0, 0, 0, 0])
        names = [candidate.name for candidate in found.candidates]
        assert len(names) == len(set(names)) == CANDIDATES - 1

    @pytest.mark.parametrize("winner", range(9))
    def test_the_highest_signal_to_noise_ratio_wins(self, model: FloatModel, winner: int) -> None:
        ratios = [30.0] * 9
        ratios[winner] = 31.0
        found = _search(model, ratios)
        assert [candidate.chosen for candidate in found.candidates] == [
            number == winner for number in range(len(found.candidates))
        ]
        assert str(found.recipe) == found.candidates[winner].name
        assert (found.model is model) == (not found.recipe.equalized)
        assert quantize(found.model, found.recipe) == found.flatbuffer

    def test_without_techniques_the_best_may_be_better_and_the_others_still_lose_theirs(
        self, model: FloatModel
    ) -> None:
        found = _search(model, [1, 2, 4, 3, 0, 50, 0, 0, 0])
        assert found.recipe == PLAIN
        assert {candidate.ranges for candidate in found.candidates[6:]} == {"percentile-99.9"}

    def test_of_equals_the_first_wins(self, model: FloatModel) -> None:
        assert _search(model, [30] * 9).candidates[0].chosen

    def test_candidates_have_their_scores(self, model: FloatModel) -> None:
        candidate = _search(model, [10, 20, 30, 40, 50, 60, 70, 80, 90]).candidates[1]
        figures = (candidate.images, candidate.agreement, candidate.snr_db, candidate.kl)
        assert figures == (10, 0.8, 20, 20)

    def test_one_that_was_dropped_never_wins(self, model: FloatModel) -> None:
        # It answered fewer pictures, which may have been the easy ones.
        ratios = iter([1, 2, 50, 3, 0, 0, 0, 0, 0])

        def score(flatbuffer: bytes) -> Score:
            ratio = next(ratios)
            return Score(4 if ratio == 50 else 10, 1, ratio, 0, dropped=ratio == 50)

        found = search(model, RECIPES, score, lambda done: None)
        assert found.recipe.ranges == "mse"
        assert [one.dropped for one in found.candidates] == [False, False, True] + [False] * 5

    def test_it_tells_how_far_it_is(self, model: FloatModel) -> None:
        done: list[int] = []
        search(model, RECIPES, _scores([0] * 9), done.append)
        assert done == [1] * CANDIDATES


class TestCorrected:
    @pytest.mark.parametrize(("after", "kept"), [(4.5, True), (4.0, False)])
    def test_a_corrected_output_is_kept_where_it_is_closer(
        self, model: FloatModel, after: float, kept: bool
    ) -> None:
        found = _search(model, [1, 2, 3, 4, 0, 0, 0, 0])
        answered = np.ones((2, 3), np.float32)
        better, logits = corrected(found, _scores([after]), answered)
        assert (better.flatbuffer != found.flatbuffer) == kept
        assert (logits is not answered) == kept
        assert better.recipe == found.recipe

    def test_one_that_was_dropped_is_not_kept(self, model: FloatModel) -> None:
        found = _search(model, [1, 2, 3, 4, 0, 0, 0, 0])
        answered = np.ones((2, 3), np.float32)
        same, _ = corrected(found, lambda made: Score(4, 1, 9, 0, dropped=True), answered)
        assert same.flatbuffer == found.flatbuffer

    def test_without_bias_correction_the_output_stays(self, model: FloatModel) -> None:
        found = _search(model, [1, 2, 3, 4, 0, 9, 0, 0])
        assert found.recipe == PLAIN
        answered = np.ones((2, 3), np.float32)
        assert corrected(found, _scores([]), answered) == (found, answered)


def test_every_rule_for_ranges_is_tried() -> None:
    assert {recipe.ranges for recipe in RECIPES} == set(RULES)


def test_a_recipe_and_a_rule_added_in_one_place_are_searched_and_reported(
    model: FloatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, "doubled", lambda seen, error: (2 * seen.low, 2 * seen.high))
    added = Recipe(ranges="doubled", equalized=False, rounding="nearest", bias_corrected=True)
    found = _search(model, [1, 1, 1, 1, 1, 1, 9, 0], (*RECIPES, added))
    assert found.recipe == added
    # The best with techniques, and so the one that is tried without them.
    assert [candidate.name for candidate in found.candidates[6:]] == [
        "doubled ranges, nearest rounding, bias corrected",
        "doubled ranges, nearest rounding",
    ]
    written = Quantization(
        **msgspec.structs.asdict(found.recipe),
        scheme="static_wi8_ai8",
        calibration="pictures",
        images=4,
        calibration_sha256="00",
        seed=0,
    )
    assert "doubled ranges from 4 pictures, nearest rounding, bias corrected" in str(written)
    reported = msgspec.json.decode(msgspec.json.encode(found.candidates[6]))
    assert reported["ranges"] == "doubled"
    assert reported["chosen"] is True


def test_the_report_keeps_its_keys() -> None:
    candidate = Candidate.of(ALL, Score(10, 0.5, 20.0, 0.1), chosen=False)
    assert msgspec.to_builtins(candidate) == {
        "name": "mse ranges, equalized, error-feedback rounding, bias corrected",
        "ranges": "mse",
        "equalised": True,
        "rounding": "error-feedback",
        "bias_corrected": True,
        "images": 10,
        "agreement": 0.5,
        "snr_db": 20.0,
        "kl": 0.1,
        "dropped": False,
        "chosen": False,
    }
