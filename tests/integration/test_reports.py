"""The reports in a browser: nothing sticks out, whatever the names and the screen."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from edgekit_convert.report.render import render_html
from selenium import webdriver

from edgekit.inference.classifier import Classifier
from edgekit.model.decision import DecisionSettings, LabelSettings
from edgekit.model.settled import Settled
from edgekit.offline.comparison import Comparer
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.evaluation import evaluate_recording
from edgekit.offline.folder_evaluation import evaluate
from edgekit.offline.pages import render_comparison, render_evaluation
from edgekit.offline.truth import Interval, Truth
from tests.convert.report.test_render import Report, passing
from tests.core.offline.answers import played
from tests.core.offline.stubs import Stub, numbered
from tests.integration.browser import find_browser, open_browser, set_screen
from tests.tiny import tiny_model

__all__ = ["passing"]
pytestmark = pytest.mark.skipif(find_browser() is None, reason="needs Chromium and its driver")
NAMES = [
    "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias",
    "Straßenbahnhaltestellenschildbefestigungsschraube",
    *(f"class {number}" for number in range(50)),
]
LONG = "a-name-without-any-space-" * 6
SETTLED = Settled(
    DecisionSettings(
        labels={name: LabelSettings(0.5, 0.4, 1, name == LONG) for name in (*NAMES, LONG)}
    ),
    "the model file",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def page(request: pytest.FixtureRequest, passing: Report, tmp_path: Path) -> Path:
    """One of the reports, about things with long names."""
    kind = request.param
    shown = [NAMES[number // 9 % len(NAMES)] for number in range(1000)]
    answered = [NAMES[(number + 3) // 9 % len(NAMES)] for number in range(1000)]
    if kind == "conversion":
        html = render_html(passing)
    elif kind == "evaluation":
        intervals = [Interval(9 * n, 9 * (n + 1), shown[9 * n], "") for n in range(111)]
        frames = (played(answer, n / 10, labels=NAMES) for n, answer in enumerate(answered))
        result = evaluate_recording(frames, Truth(intervals, in_frames=False), Stub([], NAMES), 10)
        html = render_evaluation(result, SETTLED, DriftCourse(None), LONG, LONG, {"Notes": LONG})
    elif kind in ("folder", "two models on a folder"):
        scores = np.random.default_rng(0).dirichlet([0.1] * len(NAMES), 200)
        a, b = Stub(scores, NAMES, f"{LONG}.tflite"), Stub(scores[::-1], NAMES, f"{LONG}2.tflite")
        pairs = numbered([number % len(NAMES) for number in range(200)])
        html = evaluate(a, pairs, compare=None if kind == "folder" else b, max_pictures=9).html()
    else:
        comparer = Comparer(10)
        times = enumerate(zip(shown, answered, strict=True))
        both = ((played(a, n / 10), played(b, n / 10)) for n, (a, b) in times)
        comparer.compare(LONG, both, (DriftCourse(None), DriftCourse(None)))
        model = Classifier.open(tiny_model(tmp_path / f"{LONG}.tflite"))
        html = render_comparison(comparer.finish(), [SETTLED], LONG, model, model, {"Notes": LONG})
    target = tmp_path / "page.html"
    target.write_text(html, encoding="utf-8")
    return target


@pytest.mark.parametrize(
    "page",
    ["conversion", "evaluation", "comparison", "folder", "two models on a folder"],
    indirect=True,
)
def test_a_report_fits_every_screen(browser: webdriver.Chrome, page: Path) -> None:
    for width in (320, 390, 768, 1180):
        set_screen(browser, width, 800, dark=width == 390)
        browser.get(page.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        loaded = browser.execute_script(
            "return [...document.images].map(one => one.complete && one.naturalWidth > 0)"
        )
        assert loaded and all(loaded)
        # Breaches of the page's own policy, for example.
        assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
