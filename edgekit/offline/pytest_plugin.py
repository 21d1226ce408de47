"""A fixture that replays a recording: `test_front_door.py` in five lines.

    def test_front_door(edgekit_replay):
        edgekit_replay("front-door.clip", model="resnet18-int8.tflite")

`pytest --edgekit-update` writes front-door.golden.json beside the clip; from then on the test
fails, with a readable diff, whenever something else is decided.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

# pytest loads this wherever edgekit-device is installed, so that it must cost nothing.
if TYPE_CHECKING:
    from edgekit.offline.replay import Replay

EdgekitReplay = Callable[..., "Replay"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--edgekit-update`."""
    parser.getgroup("edgekit").addoption(
        "--edgekit-update",
        action="store_true",
        help="write the golden files of edgekit_replay anew",
    )


@pytest.fixture
def edgekit_replay(request: pytest.FixtureRequest) -> EdgekitReplay:
    """Replay a recording, and fail where it decides something else than its golden file says.

    The function takes the recording and the keywords of `replay_and_compare`; paths are relative
    to the folder of the test.
    """

    def check(recording: str | Path, **keywords: object) -> "Replay":
        __tracebackhide__ = True
        from edgekit.errors import EdgekitError

        folder, update = request.path.parent, request.config.getoption("--edgekit-update")
        try:
            found, lines = replay_and_compare(folder, recording, bool(update), **keywords)  # type: ignore[arg-type]
        except EdgekitError as error:
            pytest.fail(str(error), pytrace=False)
        if lines:
            pytest.fail("\n".join([f"{recording} is decided otherwise:", *lines]), pytrace=False)
        return found

    return check


def replay_and_compare(
    folder: Path,
    recording: str | Path,
    update: bool,
    *,
    model: str | Path,
    golden: str | Path | None = None,
    config: str | Path | None = None,
    any_model: bool = False,
    tolerance: float = 0.05,
    frames: int = 2,
    labels: str | Path | None = None,
    runtime: str = "auto",
    threads: int = 1,
    channels: Literal["rgb", "bgr"] | None = None,
    normalization: str | None = None,
    softmax: bool = False,
) -> "tuple[Replay, list[str] | None]":
    """Replay a recording as `edgekit replay --golden` does.

    Args:
        folder: that the other paths are relative to.
        recording: a clip, a video or an image folder.
        update: write the golden file.
        model: the model file.
        golden: the golden file; `NAME.golden.json` beside the recording by default.
        config: a configuration file, for its decision settings and view; a clip's own by default.
        any_model: accept a golden file that another model made.
        tolerance: maximum difference of scores.
        frames: maximum number of frames that a change may come early or late.
        labels, runtime, threads: as for `Classifier.open`.
        channels, normalization, softmax: what a model without a manifest does not say itself.

    Returns:
        What came, and lines about what differs.

    Raises:
        EdgekitError: something cannot be read, or does not belong together.
    """
    from edgekit.inference.classifier import Classifier
    from edgekit.model.foreign import Hints
    from edgekit.offline.decision_settings import decision_settings, view_settings
    from edgekit.offline.recording import Recording
    from edgekit.offline.replay import Expectation, verify

    configured = None if config is None else folder / config
    opened = Recording(folder / recording, view_settings(configured, {}))
    beside = opened.path.with_name(f"{opened.path.stem}.golden.json")
    classifier = Classifier.open(
        folder / model,
        labels=None if labels is None else folder / labels,
        hints=Hints(channels=channels, normalization=normalization, softmax=softmax),
        runtime=runtime,
        threads=threads,
    )
    settled = decision_settings(configured, {}, opened.header, classifier)
    expected = Expectation(
        beside if golden is None else folder / golden, update, any_model, tolerance, frames
    )
    return verify(opened, classifier, settled.settings, expected, hidden=True)
