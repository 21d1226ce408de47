"""A network in memory is its own reference; what cannot be exported faithfully is refused."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edgekit_convert.answers import softmax
from edgekit_convert.graph.execution import exported_answer
from edgekit_convert.graph.torch_module import open_module
from edgekit_convert.weights.trained import TrainedModel, normalize
from torch import Tensor, nn

from edgekit.errors import CheckpointError, ConversionError, EdgekitError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.toys import noise

NORMALIZATION = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GEOMETRY = Geometry(24, 24)


def trunk(classes: int = 4) -> nn.Sequential:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )  # fmt: skip
    with torch.no_grad():
        network[5].weight *= 10
    return network.eval()


class Changed(nn.Module):
    """What `change` makes of the scores of a small network."""

    def __init__(self, change: Any, classes: int = 4) -> None:
        super().__init__()
        self.trunk = trunk(classes)
        self.change = change

    def forward(self, pictures: Tensor) -> Any:
        return self.change(self.trunk(pictures))


def opened(module: nn.Module) -> TrainedModel:
    return open_module(module, NORMALIZATION, GEOMETRY)


PICTURES = noise(3, 24, 24, 3)


@pytest.fixture(scope="module")
def plain() -> TrainedModel:
    return opened(trunk())


def test_its_answers_are_its_own(plain: TrainedModel) -> None:
    network, found = trunk(), plain
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalize(PICTURES, NORMALIZATION))).numpy()
    np.testing.assert_allclose(found.answer(PICTURES).logits, logits, atol=1e-5)
    assert (found.stage, found.source, found.name) == ("pytorch", "module", "Sequential")
    assert (found.classes, found.architecture) == (4, None)
    assert found.parameters == pytest.approx(8 * 27 + 8 + 4 * 8 + 4, abs=8)


def test_its_graph_gives_the_same(plain: TrainedModel) -> None:
    found = plain
    assert isinstance(found.graph, onnx.ModelProto)
    graph = exported_answer(found.graph, NORMALIZATION)(PICTURES)
    np.testing.assert_allclose(graph.logits, found.answer(PICTURES).logits, atol=1e-4)


@pytest.mark.parametrize("end", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1)])
def test_probabilities_are_as_good_as_logits(plain: TrainedModel, end: nn.Module) -> None:
    ended = opened(nn.Sequential(*trunk(), end).eval())
    logits = plain.answer(PICTURES).logits
    found = ended.answer(PICTURES)
    np.testing.assert_allclose(softmax(found.logits), softmax(logits), atol=1e-5)
    np.testing.assert_allclose(found.probabilities, softmax(logits), atol=1e-5)


def test_one_sigmoid_is_two_classes() -> None:
    found = opened(Changed(torch.sigmoid, classes=1))
    answers = found.answer(PICTURES)
    assert found.classes == 2 and "one sigmoid" in found.head
    with torch.inference_mode():
        score = trunk(1)(torch.from_numpy(normalize(PICTURES, NORMALIZATION))).numpy()
    np.testing.assert_allclose(np.diff(answers.logits, axis=1), score, rtol=1e-3, atol=1e-4)


def test_one_that_takes_single_pictures_only_gets_them(plain: TrainedModel) -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = trunk()

        def forward(self, pictures: Tensor) -> Tensor:
            return self.trunk(pictures.reshape(1, 3, 24, 24))

    found = opened(Single())
    np.testing.assert_allclose(
        found.answer(PICTURES).logits, plain.answer(PICTURES).logits, atol=1e-5
    )


def _branching(scores: Tensor) -> Tensor:
    return scores * 2 if scores.max() > -1e9 else scores


def _without_statistics() -> nn.Module:
    network = trunk()
    network[1] = nn.BatchNorm2d(8, track_running_stats=False)
    return network


@torch.library.custom_op("edgekit_tests::twice", mutates_args=())
def twice(values: Tensor) -> Tensor:
    return values * 2


@twice.register_fake
def _(values: Tensor) -> Tensor:
    return torch.empty_like(values)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Changed(_branching), "which way it takes depends on the values of the picture"),
        (Changed(torch.ops.edgekit_tests.twice), "ONNX has nothing for its operator edgekit_tests"),
        (Changed(lambda s: (s, s)), "gives 2 outputs"),
        (
            Changed(lambda s: nn.functional.dropout(s, training=True)),
            "the same picture otherwise each time",
        ),
        (_without_statistics(), "otherwise beside others than alone"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4)), "fails on a picture of 24x24"),
        (Changed(lambda s: s.sum(0)), "gives"),
        (nn.Conv2d(3, 8, 3), "not one score for each class"),
        (Changed(lambda s: s, classes=1), "gives one number"),
        (Changed(torch.sigmoid), "of which several may be true at once"),
        (Changed(lambda s: s.argmax(dim=1)), "gives no scores"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_faithful_file_can_be_made_of_is_refused(module: nn.Module, words: str) -> None:
    with pytest.raises((CheckpointError, ConversionError), match=words) as error:
        opened(module.eval())
    assert isinstance(error.value, EdgekitError) and "\n" not in str(error.value)


def test_a_network_that_normalizes_itself_says_so() -> None:
    class Itself(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = trunk()
            self.register_buffer("mean", torch.tensor(NORMALIZATION.mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(NORMALIZATION.std).view(1, 3, 1, 1))

        def forward(self, pictures: Tensor) -> Tensor:
            scores: Tensor = self.trunk((pictures - self.mean) / self.std)
            return scores

    with pytest.raises(ConversionError, match="normalizes its input itself, from pixels of 0 to 1"):
        opened(Itself())


def test_the_exporter_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckpointError):
        opened(Changed(_branching))
    assert capfd.readouterr() == ("", "")
