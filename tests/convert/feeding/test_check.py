"""What the check says of right and wrong ways to feed a network that remembers the right one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from edgekit_convert.feeding.candidates import NORMALIZATIONS, Way
from edgekit_convert.feeding.check import FeedingCheck, Finding, compare
from edgekit_convert.feeding.memory import find_memory
from edgekit_convert.weights.recorded import Recorded
from edgekit_convert.weights.trained import Network
from numpy.typing import NDArray

from edgekit.errors import MisfitError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.feeding.networks import (
    AT_64,
    IMAGENET,
    as_onnx,
    network,
    prepared,
    untouched_pictures,
)
from tests.convert.toys import noise

BYTES = Normalization((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
HALF = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _check(
    trained: Network,
    asked: Way,
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    *,
    allow_misfit: bool = False,
    one_size: bool = False,
) -> Finding:
    untouched = untouched_pictures() if pictures is None else pictures
    check = FeedingCheck(asked, allow_misfit=allow_misfit)
    check.check_normalization()
    check.check_network(trained, one_size=one_size)
    return check.check_pictures(
        prepared(asked, untouched), lambda chosen: (untouched[i] for i in chosen)
    )


class TestRight:
    @pytest.mark.parametrize(
        "way",
        [AT_64, AT_64.at(96), *(replace(AT_64, normalization=n) for n in NORMALIZATIONS.values())],
    )
    def test_pictures_as_in_training_fit(self, way: Way) -> None:
        summary = _check(network(way=way), way).summary
        assert (summary.verdict, summary.reason) == ("fits", "")
        assert summary.divergence is not None and summary.divergence < 0.015

    @pytest.mark.parametrize("count", [2, 3, 5, 10])
    def test_few_pictures_raise_no_alarm(self, count: int) -> None:
        trained = network(way=AT_64)
        for seed in range(5):
            found = _check(trained, AT_64, untouched_pictures(count, seed=1000 * seed))
            assert found.summary.verdict == "fits"

    def test_a_glance_is_enough_where_it_fits_as_well_as_all_have_to(self) -> None:
        summary = _check(network(way=AT_64), AT_64).summary
        assert summary.pictures == 24
        assert summary.divergence is not None and summary.divergence <= (0.03 + 0.8 / 64) / 3
        assert summary.allowed == pytest.approx(0.03 + 0.8 / 24, abs=1e-4)

    @pytest.mark.parametrize("kind", ["pytorch", "onnx"])
    def test_where_a_glance_is_not_enough_the_figures_are_those_of_all(self, kind: str) -> None:
        trained: Network = network(way=AT_64)
        if kind == "onnx":
            trained = as_onnx(network(way=AT_64), 64)
        asked = replace(AT_64, normalization=HALF)
        found = _check(trained, asked, allow_misfit=True)
        pictures = prepared(asked, untouched_pictures())
        whole = compare(find_memory(trained, asked.geometry), asked, pictures)
        assert found.summary.pictures == len(pictures) == 64
        assert found.fit is not None
        assert found.fit.divergences == pytest.approx(whole.divergences, rel=1e-4)

    def test_the_figures_are_of_each_layer(self) -> None:
        fit = _check(network(way=AT_64), AT_64).fit
        assert fit is not None
        assert fit.layers == ["1", "4", "7", "10"]
        assert fit.first == fit.divergences[0]
        assert fit.median == np.median(fit.divergences)

    def test_an_onnx_model_with_its_batchnorm_is_checked_too(self) -> None:
        trained = network(way=AT_64)
        by_onnx = _check(as_onnx(trained, 64), AT_64)
        by_torch = _check(trained, AT_64)
        assert by_onnx.summary.divergence == pytest.approx(by_torch.summary.divergence, abs=2e-4)
        assert by_onnx.fit is not None
        assert by_onnx.fit.layers == ["bn1", "bn4", "bn7", "bn10"]


class TestWrong:
    @pytest.mark.parametrize("kind", ["pytorch", "onnx"])
    def test_another_size_is_refused_and_the_right_one_named(self, kind: str) -> None:
        trained = network(way=AT_64)
        model = trained if kind == "pytorch" else as_onnx(trained)
        with pytest.raises(MisfitError, match="looks trained at 64 px: --size 64") as refusal:
            _check(model, AT_64.at(224))
        assert "--allow-misfit" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert refusal.value.exit_code == 3

    @pytest.mark.parametrize("size", [56, 112])
    def test_a_size_that_may_fit_by_chance_is_told_with_the_one_that_does(self, size: int) -> None:
        summary = _check(network(way=AT_64), AT_64.at(size)).summary
        assert summary.verdict == "doubtful"
        assert summary.reason.startswith("the network looks trained at 64 px: --size 64")

    @pytest.mark.parametrize("name", NORMALIZATIONS)
    def test_another_normalization_is_refused_and_the_right_one_named(self, name: str) -> None:
        right = replace(AT_64, normalization=NORMALIZATIONS[name])
        wrong = HALF if right.normalization != HALF else IMAGENET
        with pytest.raises(MisfitError, match=f"looks trained on {name}: --mean ") as refusal:
            _check(network(way=right), replace(right, normalization=wrong))
        assert "--std 0.00392157" in str(refusal.value) or "255" not in name

    def test_size_and_normalization_at_once(self) -> None:
        trained = network(way=replace(AT_64, normalization=BYTES))
        with pytest.raises(MisfitError) as refusal:
            _check(trained, AT_64.at(192))
        words = (
            "trained at 64 px and on pixels from 0 to 255: --size 64 --mean 0,0,0 --std 0.00392157"
        )
        assert words in str(refusal.value)

    def test_channels_in_the_other_order(self) -> None:
        # As Caffe has them; pictures with hardly any blue.
        right = replace(AT_64, normalization=BYTES, bgr=True)
        vivid = [picture // np.array([1, 3, 20], np.uint8) for picture in untouched_pictures()]
        trained = network(way=right, pictures=vivid)
        with pytest.raises(MisfitError, match=r"blue, green, red: .* reverse the input channels"):
            _check(trained, AT_64, vivid)

    def test_the_other_order_is_not_named_for_a_little(self) -> None:
        # Of 16 pictures 9 are like training with red and blue exchanged, and 7 as they are.
        right = replace(AT_64, normalization=BYTES)
        grey = [picture[..., :1].repeat(3, axis=2) for picture in untouched_pictures()]
        red, blue = np.array([20, 0, 0], np.uint8), np.array([0, 0, 20], np.uint8)
        trained = network(way=right, pictures=[picture // 2 + red for picture in grey])
        fed = [p // 2 + (blue if i % 16 < 9 else red) for i, p in enumerate(grey)]
        summary = _check(
            trained, replace(right, normalization=HALF), fed, allow_misfit=True
        ).summary
        assert "on pixels from 0 to 255" in summary.reason
        assert "blue" not in summary.reason

    def test_an_onnx_model_of_one_size_is_tried_at_no_other(self) -> None:
        trained = as_onnx(network(way=AT_64), 64)
        with pytest.raises(MisfitError, match="looks trained on ImageNet's mean"):
            _check(trained, replace(AT_64, normalization=HALF), one_size=True)
        summary = _check(trained, AT_64.at(112), one_size=True, allow_misfit=True).summary
        assert "--size 64" not in summary.reason

    @pytest.mark.parametrize("world", ["black and white", "one colour"])
    def test_pictures_of_another_world_are_refused(self, world: str) -> None:
        colour = np.full((64, 128, 128, 3), (124, 116, 104), np.uint8)
        squares = 255 * (noise(64, 8, 8, 1) // 128).repeat(3, axis=3)
        pictures = squares.repeat(16, axis=1).repeat(16, axis=2) if "black" in world else colour
        with pytest.raises(MisfitError, match="like none that it was trained on"):
            _check(network(way=AT_64), AT_64, list(pictures))

    def test_what_only_looks_odd_is_told_and_not_refused(self) -> None:
        dim = [(0.6 * picture).astype(np.uint8) for picture in untouched_pictures()]
        summary = _check(network(way=AT_64), AT_64, dim).summary
        assert summary.verdict == "doubtful"
        assert "BatchNorm remembers other pictures" in summary.reason

    def test_a_misfit_that_is_allowed_is_noted(self) -> None:
        trained = network(way=AT_64)
        summary = _check(trained, AT_64.at(224), allow_misfit=True).summary
        assert summary.verdict == "misfit" and summary.misfit_allowed
        assert "--size 64" in summary.reason
        assert summary.divergence is not None and summary.divergence > 0.05


class TestWithoutUntouchedPictures:
    """Those that a loader gave have one size, and no other is tried."""

    def _found(self, size: int) -> Finding:
        asked = AT_64.at(size)
        check = FeedingCheck(asked, allow_misfit=False)
        check.check_network(network(way=AT_64))
        return check.check_pictures(prepared(asked, untouched_pictures()), lambda chosen: None)

    def test_what_fits_does(self) -> None:
        assert self._found(64).summary.verdict == "fits"

    def test_what_does_not_is_said_without_another_size(self) -> None:
        found = self._found(96).summary
        assert found.verdict == "doubtful"
        assert "BatchNorm remembers other pictures" in found.reason
        assert "looks trained" not in found.reason


class TestUntrained:
    @pytest.mark.parametrize("kind", ["pytorch", "onnx", "onnx, shared constants"])
    def test_statistics_as_they_were_made_are_refused(self, kind: str) -> None:
        fresh = network()
        model = fresh if kind == "pytorch" else as_onnx(fresh, shared="shared" in kind)
        with pytest.raises(MisfitError, match="the network is not trained"):
            FeedingCheck(AT_64, allow_misfit=False).check_network(model)

    def test_allowed_it_is_noted(self) -> None:
        summary = _check(network(), AT_64, allow_misfit=True).summary
        assert summary.verdict == "misfit" and summary.misfit_allowed
        assert summary.reason.startswith("every BatchNorm layer has the mean 0 and the variance 1")


class TestUnits:
    """Pixels count from 0 to 1: without BatchNorm and without pictures, too."""

    @pytest.mark.parametrize(
        ("mean", "std", "likely"),
        [
            ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
             "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
            ((0.485, 0.456, 0.406), (58.395, 57.12, 57.375),
             "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
            ((123.675, 116.28, 103.53), (0.229, 0.224, 0.225),
             "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
            ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "--mean 0.5,0.5,0.5 --std 0.5,0.5,0.5"),
            ((123.675, 116.28, 103.53), (1.0, 1.0, 1.0),
             "--mean 0.485,0.456,0.406 --std 0.00392157,0.00392157,0.00392157"),
            ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0), "--mean 0,0,0 --std 1,1,1"),
        ],
    )  # fmt: skip
    def test_figures_of_pixels_from_0_to_255_are_refused(
        self,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        likely: str,
    ) -> None:
        asked = Way(Geometry(64, 64), Normalization(mean, std))
        with pytest.raises(MisfitError) as refusal:
            FeedingCheck(asked, allow_misfit=False).check_normalization()
        assert likely in str(refusal.value)

    @pytest.mark.parametrize("normalization", [*NORMALIZATIONS.values()])
    def test_usual_ones_are_not(self, normalization: Normalization) -> None:
        asked = replace(AT_64, normalization=normalization)
        FeedingCheck(asked, allow_misfit=False).check_normalization()


def test_without_batchnorm_it_says_that_it_cannot_tell() -> None:
    model = as_onnx(network(way=AT_64), 64)
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            del node.input[1:]
            node.op_type = "Identity"
    found = _check(model, AT_64)
    assert found.summary.verdict == "unknown"
    assert found.summary.reason.startswith("the network carries no BatchNorm statistics")
    assert found.summary.divergence is None and found.fit is None


def test_a_single_layer_as_it_was_made_is_refused_by_name() -> None:
    trained = network(way=AT_64)
    norm = trained[4]
    norm.reset_running_stats()
    with pytest.raises(MisfitError, match=r"^1 of 4 BatchNorm layers \(4, …\) have the mean 0"):
        FeedingCheck(AT_64, allow_misfit=False).check_network(trained)


class TestRecorded:
    """What the network's trainer wrote down."""

    @staticmethod
    def _told(
        trained: Network, recorded: Recorded | None, *, pictures: bool, allow: bool = False
    ) -> tuple[str | None, FeedingCheck]:
        check = FeedingCheck(AT_64, allow_misfit=allow)
        check.check_network(trained)
        return check.check_recorded(recorded, pictures_tell=pictures), check

    @pytest.mark.parametrize(
        "recorded",
        [
            None,
            Recorded("args", IMAGENET, frozenset({64, 224})),
            # CIFAR-10's own figures.
            Recorded("args", Normalization((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))),
        ],
    )
    def test_the_same_is_not_told(self, recorded: Recorded | None) -> None:
        told, _ = self._told(network(way=AT_64), recorded, pictures=False)
        assert told is None

    def test_another_size_is_told(self) -> None:
        recorded = Recorded("p.json", IMAGENET, frozenset({224, 288}))
        told, _ = self._told(network(way=AT_64), recorded, pictures=False)
        assert told == (
            "p.json says that the network was trained at 224 or 288 px, asked for is --size 64"
        )

    def test_another_normalization_is_refused_where_nothing_else_tells(self) -> None:
        with pytest.raises(MisfitError, match=r"p\.json says .*--mean 0\.5,0\.5,0\.5 --std 0\.5"):
            self._told(network(way=AT_64), Recorded("p.json", HALF), pictures=False)

    def test_or_accepted(self) -> None:
        recorded = Recorded("p.json", HALF)
        told, check = self._told(network(way=AT_64), recorded, pictures=False, allow=True)
        assert told is not None and "asked for are --mean 0.485" in told
        assert check.unknown("no pictures").summary.verdict == "misfit"

    @pytest.mark.parametrize("fed", [AT_64, replace(AT_64, normalization=HALF)])
    def test_pictures_say_who_is_right(self, fed: Way) -> None:
        told, check = self._told(network(way=fed), Recorded("p.json", HALF), pictures=True)
        assert told is not None
        pictures = untouched_pictures()

        def look() -> Finding:
            return check.check_pictures(
                prepared(AT_64, pictures), lambda chosen: (pictures[i] for i in chosen)
            )

        if fed is AT_64:
            assert look().summary.verdict == "fits"
        else:
            with pytest.raises(MisfitError, match=r"p\.json says"):
                look()
