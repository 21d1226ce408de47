"""The report, on findings made by hand."""

import base64
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest
from edgekit_convert.confidence.calibrate import Curves
from edgekit_convert.feeding.check import Fit
from edgekit_convert.report.render import render_html, render_json
from edgekit_convert.report.results import Candidate, Report
from edgekit_convert.target.memory import Memory
from edgekit_convert.target.preflight import EdgeTpu, Refusal
from edgekit_convert.verify.disagreements import Disagreement
from edgekit_convert.verify.fidelity import Gate, Kind
from edgekit_convert.verify.layers import Layer

from edgekit.model.geometry import Geometry
from edgekit.model.manifest import (
    Confidence,
    Feeding,
    Fidelity,
    Manifest,
    Normalization,
    Origin,
    Quantization,
    StageFidelity,
)
from edgekit.offline.calibration import Calibration, measure_calibration
from edgekit.vision.encode import encode_png

MIB = 1 << 20
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror='alert(2)'>", "{{ 7 * 7 }} & <b>"]
SECTIONS = [
    "fidelity", "feeding", "quantization", "layers", "disagreements", "confidence", "memory",
    "edgetpu", "architecture", "provenance",
]  # fmt: skip


class Element:
    """An element of a page; its text is that of all it contains."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return re.sub(r"\s+", " ", "".join(parts)).replace("\u202f", " ").strip()

    def all(self, tag: str, **attributes: str) -> "list[Element]":
        """Elements with such a tag and attributes; `class_` for one of the classes."""
        return [e for e in self._descendants() if e._matches(tag, attributes)]

    def one(self, tag: str, **attributes: str) -> "Element":
        (found,) = self.all(tag, **attributes)
        return found

    def _matches(self, tag: str, attributes: dict[str, str]) -> bool:
        wanted = dict(attributes)
        name = wanted.pop("class_", None)
        has_class = name is None or name in self.attributes.get("class", "").split()
        has_rest = all(self.attributes.get(key) == value for key, value in wanted.items())
        return self.tag == tag and has_class and has_rest

    def _descendants(self) -> "Iterator[Element]":
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._descendants()


class Page(HTMLParser):
    """A page as a tree; asserts that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert self._open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def _page(report: Report) -> Element:
    return Page(render_html(report)).root


def _section(report: Report, name: str) -> Element:
    return _page(report).one("section", id=name)


def _png() -> bytes:
    return encode_png(np.full((64, 96, 3), 90, np.uint8))


def _stages() -> list[StageFidelity]:
    def stage(
        name: str, images: int, agreement: float, kl: float, snr: float | None, top1: float
    ) -> StageFidelity:
        interval = (top1 - 0.02, top1 + 0.015)
        figures = StageFidelity(name, images, agreement, 1.0, kl, snr, top1, interval, 0.99)
        return msgspec.structs.replace(figures, score_change=kl)

    return [
        stage("pytorch", 1000, 1.0, 0.0, None, 0.912),
        stage("onnx", 200, 1.0, 3e-8, 118.3, 0.915),
        stage("tflite-float", 200, 1.0, 3e-8, None, 0.915),
        stage("tflite-int8 (litert)", 1000, 0.9921, 0.004021, 26.44, 0.910),
        stage("tflite-int8 (tflite)", 64, 0.984375, 0.004122, 26.1, 0.906),
    ]


KINDS = [Kind.REFERENCE, Kind.FLOAT, Kind.FLOAT, Kind.INT8, Kind.INT8]


def _with_stages(report: Report, fidelity: Fidelity) -> Report:
    manifest = msgspec.structs.replace(report.manifest, fidelity=fidelity)
    return msgspec.structs.replace(report, fidelity=fidelity, manifest=manifest)


def _with_labels(report: Report, labels: list[str]) -> Report:
    manifest = msgspec.structs.replace(report.manifest, classes=len(labels))
    return msgspec.structs.replace(report, labels=labels, manifest=manifest)


def _curve(confidence: float) -> Calibration:
    """Of 400 pictures, four in five right."""
    scores = np.linspace(confidence - 0.1, confidence + 0.1, 400, dtype=np.float32)
    return measure_calibration(scores, np.arange(400) % 5 > 0, scores)


@pytest.fixture
def passing() -> Report:
    fidelity = Fidelity("evaluation", _stages())
    manifest = Manifest(
        schema=1,
        arch="resnet18",
        head="Linear(512, 3)",
        classes=3,
        geometry=Geometry(64, 96, 0.875),
        normalization=Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        quantization=Quantization(
            ranges="mse",
            equalized=True,
            rounding="nearest",
            bias_corrected=False,
            scheme="static_wi8_ai8",
            calibration="pictures",
            images=500,
            calibration_sha256="ca" * 32,
            seed=7,
        ),
        fidelity=fidelity,
        flatbuffer_sha256="fb" * 32,
        weights="toys.pth",
        weights_sha256="3e" * 32,
        tools={"edgekit": "0.1.0", "onnx2tf": "1.29.24"},
        feeding=Feeding("fits", "", 64, 0.0123, 0.00456, 0.0425),
        confidence=Confidence(
            temperature=1.4, images=1200, interval=(1.4, 1.62), gain=0.0312, gain_error=0.0081,
            error=0.024, error_before=0.081, error_by_chance=0.017, nll=0.41, nll_before=0.4412,
        ),
    )  # fmt: skip
    candidates = [
        Candidate(
            name="min-max ranges",
            ranges="min-max",
            equalized=False,
            rounding="nearest",
            bias_corrected=False,
            images=120,
            agreement=0.972,
            snr_db=19.1,
            kl=0.0187,
        ),
        Candidate(
            name="mse ranges, equalized",
            ranges="mse",
            equalized=True,
            rounding="nearest",
            bias_corrected=False,
            images=120,
            agreement=0.9917,
            snr_db=26.9,
            kl=0.00391,
            chosen=True,
        ),
    ]
    layers = [
        Layer(f"layer{i // 4 + 1}.{i // 2 % 2}.conv{i % 2 + 1}", "CONV_2D", -1.5, 3.25, 40.0 - i)
        for i in range(16)
    ]
    disagreements = [
        Disagreement("a/0001.jpg", _png(), "cat", "cat", 0.71, "dog", 0.55),
        Disagreement("a/0002.jpg", _png(), "dog", "cat", 0.61, "dog", 0.52),
        Disagreement("b/0003.jpg", _png(), "ship", "cat", 0.60, "dog", 0.51),
    ]
    return Report(
        output="build/toys-int8.tflite",
        written=True,
        architecture=["stem: 7x7 convolution, 3 to 64 channels; max pooling", "head: Linear"],
        labels=["cat", "dog", "ship"],
        manifest=manifest,
        fidelity=fidelity,
        kinds=KINDS,
        gate=Gate(True, "every stage keeps at least 99.34% of the original accuracy", 0.99, 0.98),
        candidates=candidates,
        layers=layers,
        disagreements=disagreements,
        disagreement_count=8,
        memory=Memory("pi-zero-2w", 256 * MIB, 98 * MIB, 11 * MIB, 31 * MIB, 101 * MIB),
        edgetpu=EdgeTpu(
            operators=31,
            mapped=28,
            refusals=[
                Refusal("CONCATENATION v2", 4, "the first dimension exceeds 1"),
                Refusal("CONCATENATION v2", 9, "the first dimension exceeds 1"),
                Refusal("SOFTMAX v2", 30, "more than 16,000 elements"),
            ],
            parameter_bytes=11 * MIB,
            streamed_bytes=4 * MIB,
            compiler=None,
            note="the compiler was not found",
        ),
        seconds={"calibrating": 18.34, "searching": 95.1},
        feeding=Fit(["bn1", "layer1.0.bn1", "layer1.0.bn2"], [0.00456, 0.0123, 0.5]),
        confidence=Curves(_curve(0.9), _curve(0.8)),
    )


@pytest.fixture
def refused(passing: Report) -> Report:
    stages = _stages()
    stages[3] = msgspec.structs.replace(stages[3], agreement=0.871, top1=0.842)
    reason = "stage tflite-int8 (litert) has 84.20% top-1 where pytorch has 91.20%"
    report = _with_stages(passing, Fidelity("evaluation", stages))
    return msgspec.structs.replace(report, written=False, gate=Gate(False, reason, 0.985, 0.97))


@pytest.fixture
def bare(passing: Report) -> Report:
    """All that may be missing is missing."""
    stages = [
        msgspec.structs.replace(stage, top1=None, top1_interval=None, top5=None)
        for stage in _stages()
    ]
    report = _with_stages(passing, Fidelity("calibration", stages))
    return msgspec.structs.replace(
        report,
        architecture=[],
        labels=[],
        candidates=[],
        layers=[],
        disagreements=[],
        disagreement_count=0,
        edgetpu=EdgeTpu(31, 31, [], 11 * MIB, 0, "16.0", ""),
        seconds={},
        feeding=None,
        confidence=None,
        manifest=msgspec.structs.replace(report.manifest, feeding=None, confidence=None),
    )


def test_the_page_has_all_parts_in_order(passing: Report) -> None:
    page = _page(passing)
    assert [section.attributes["id"] for section in page.all("section")] == SECTIONS
    assert page.one("h1").text == "toys-int8.tflite"
    assert "resnet18, weights toys.pth, 3 classes, input 96 × 64" in page.one("header").text


@pytest.mark.parametrize("name", ["passing", "refused", "bare"])
def test_the_page_runs_no_script_and_loads_nothing(
    name: str, request: pytest.FixtureRequest
) -> None:
    html = render_html(request.getfixturevalue(name))
    assert "://" not in html
    assert "@import" not in html
    page = Page(html).root
    elements = list(page._descendants())
    tags = {element.tag for element in elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "audio"}
    names = {name for element in elements for name in element.attributes}
    assert not {name for name in names if name.startswith("on")}
    assert not names & {"href", "xlink:href", "srcset", "action"}
    assert all(e.attributes["src"].startswith("data:image/png;base64,") for e in page.all("img"))
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none';")
    identifiers = [e.attributes["id"] for e in elements if "id" in e.attributes]
    assert len(identifiers) == len(set(identifiers))
    for table in page.all("table"):
        assert all(header.attributes.get("scope") in ("row", "col") for header in table.all("th"))


def test_the_verdict_on_a_file_that_passed(passing: Report) -> None:
    verdict = _page(passing).one("div", class_="verdict")
    assert "written" in verdict.attributes["class"].split()
    assert verdict.one("strong").text == "Written"
    assert "passed the fidelity gate: every stage keeps at least 99.34% of" in verdict.text
    assert "at least 99% of the original’s top-1 accuracy" in verdict.text


def test_the_verdict_on_a_file_that_was_refused(refused: Report) -> None:
    verdict = _page(refused).one("div", class_="verdict")
    assert "refused" in verdict.attributes["class"].split()
    assert verdict.one("strong").text == "Refused"
    assert "where pytorch has 91.20%. No model file was written." in verdict.text
    assert "at least 98.5% of the original’s" in verdict.text
    assert "its answer on 97% of the pictures" in verdict.text
    assert "at least 15 dB of signal to noise" in verdict.text
    assert "changes by at most 0.03 on average" in verdict.text


def test_the_verdict_on_a_file_that_was_written_although_refused(refused: Report) -> None:
    gate = msgspec.structs.replace(refused.gate, overridden=True)
    page = _page(msgspec.structs.replace(refused, written=True, gate=gate))
    verdict = page.one("div", class_="verdict")
    assert "overridden" in verdict.attributes["class"].split()
    assert verdict.one("strong").text == "Written although refused"
    assert "--allow-loss" in verdict.text


class TestFeeding:
    def test_what_fits(self, passing: Report) -> None:
        section = _section(passing, "feeding")
        assert "are like those that the network was trained on" in section.text
        assert "On 64 pictures the divergence is 0.0123 nats" in section.text
        assert "0.00456 in the first layer; 0.0425 may be chance" in section.text
        values = [text.text for text in section.all("text", class_="value")]
        assert values == ["0.005", "0.012"]
        # The layer above the line.
        assert [text.text for text in section.all("text", class_="worst-text")] == [
            "layer1.0.bn2", "0.500",
        ]  # fmt: skip

    def test_the_scale_is_of_decades(self, passing: Report) -> None:
        texts = _section(passing, "feeding").all("text", **{"text-anchor": "middle"})
        places = {text.text: text.attributes["x"] for text in texts if text.text}
        assert places == {"0.001": "0.0%", "0.01": "33.33%", "0.1": "66.67%", "1": "100.0%"}

    def test_divergences_far_off_the_scale(self, passing: Report) -> None:
        fit = Fit(["bn1", "bn2"], [0.0, 15149.2])
        section = _section(msgspec.structs.replace(passing, feeding=fit), "feeding")
        assert "<0.001" in section.text and "15149" in section.text
        assert {c.attributes["cx"] for c in section.all("circle")} == {"0.0%"}

    @pytest.mark.parametrize("allowed", [False, True])
    def test_what_does_not_fit_says_why(self, passing: Report, allowed: bool) -> None:
        feeding = Feeding("misfit", "trained at 64 px: --size 64", misfit_allowed=allowed)
        manifest = msgspec.structs.replace(passing.manifest, feeding=feeding)
        report = msgspec.structs.replace(passing, manifest=manifest, feeding=None)
        caution = _section(report, "feeding").one("p", class_="caution")
        assert "Misfit. Trained at 64 px: --size 64." in caution.text
        assert ("--allow-misfit converted it all the same" in caution.text) == allowed
        assert not _section(report, "feeding").all("svg")


class TestConfidence:
    def test_a_temperature_that_was_used(self, passing: Report) -> None:
        section = _section(passing, "confidence")
        assert "all logits are divided by 1.4, " in section.text
        assert "1,200 labelled pictures the temperature is between 1.4 and 1.62" in section.text
        assert "gain 0.0312 nats each, with a standard error of 0.0081" in section.text
        assert "another answer" not in section.text
        headings = [one.text for one in section.all("h3")]
        assert headings == ["As it was", "With the temperature"]
        curves = section.all("svg")
        assert [one.attributes["aria-label"] for one in curves] == [
            "Reliability diagram before", "Reliability diagram after"
        ]  # fmt: skip
        assert passing.confidence is not None and passing.confidence.after is not None
        for curve in (passing.confidence.before, passing.confidence.after):
            assert f"{curve.error:.3f}" in section.text
            assert f"{curve.chance_error:.3f}" in section.text
            assert f"{curve.nll:.3f}" in section.text

    def test_one_that_was_tried_and_not_used(self, passing: Report) -> None:
        left = msgspec.structs.replace(
            passing.manifest.confidence, temperature=1.0, reason="the gain is chance"
        )
        manifest = msgspec.structs.replace(passing.manifest, confidence=left)
        section = _section(msgspec.structs.replace(passing, manifest=manifest), "confidence")
        assert "Left as it is: the gain is chance." in section.text
        assert "divided" not in section.text
        assert section.all("h3")[1].text == "With the temperature, which was not used"

    def test_none_tried(self, passing: Report) -> None:
        left = Confidence(reason="9 labelled pictures are too few", images=9)
        report = msgspec.structs.replace(
            passing,
            manifest=msgspec.structs.replace(passing.manifest, confidence=left),
            confidence=Curves(_curve(0.9)),
        )
        section = _section(report, "confidence")
        assert "9 labelled pictures are too few." in section.text
        assert len(section.all("svg")) == 1
        assert "nine tenths" not in section.text

    def test_answers_that_8_bits_change_are_told(self, passing: Report) -> None:
        tied = msgspec.structs.replace(passing.manifest.confidence, tied=2)
        manifest = msgspec.structs.replace(passing.manifest, confidence=tied)
        section = _section(msgspec.structs.replace(passing, manifest=manifest), "confidence")
        assert "2 pictures get another answer" in section.text

    def test_without_labelled_pictures(self, bare: Report) -> None:
        section = _section(bare, "confidence")
        assert "Not looked at." in section.text
        assert not section.all("svg")


def _rows(section: Element) -> list[list[str]]:
    return [[cell.text for cell in row.all("th") + row.all("td")] for row in section.all("tr")[1:]]


def test_the_ladder(passing: Report) -> None:
    section = _section(passing, "fidelity")
    rows = _rows(section)
    accuracy = "91.20% (89.2–92.7)"
    assert rows[0] == ["pytorch (reference)", "1,000", "–", "–", accuracy, "–", "–", "–"]
    small = "< 0.0001"
    assert rows[1][2:] == ["100.00%", "100.00%", "91.50% (89.5–93.0)", small, small, "118.3"]
    assert rows[2][-1] == "exact"
    assert rows[3][2:] == ["99.21%", "100.00%", "91.00% (89.0–92.5)", "0.00402", "0.00402", "26.4"]
    assert not section.all("tr", class_="broken")
    assert "fewer pictures" in section.text


def test_a_stage_that_breaks_stands_out(refused: Report) -> None:
    broken = _section(refused, "fidelity").one("tr", class_="broken")
    assert broken.text.startswith("tflite-int8 (litert) breaks 1,000 87.10%")


def test_a_float_stage_that_breaks_stands_out_together_with_those_behind_it(
    passing: Report,
) -> None:
    stages = [
        msgspec.structs.replace(stage, agreement=0.5, top1=0.45) if number else stage
        for number, stage in enumerate(_stages())
    ]
    section = _section(_with_stages(passing, Fidelity("evaluation", stages)), "fidelity")
    assert len(section.all("tr", class_="broken")) == 4


def test_what_is_not_all_does_not_look_like_it(passing: Report) -> None:
    stages = _stages()
    stages[3] = msgspec.structs.replace(stages[3], agreement=0.99998, top5_agreement=0.00001)
    rows = _rows(_section(_with_stages(passing, Fidelity("evaluation", stages)), "fidelity"))
    assert rows[3][2:4] == ["99.99%", "0.01%"]


def _with_origin(report: Report, origin: Origin) -> Report:
    return _with_stages(report, msgspec.structs.replace(report.fidelity, origin=origin))


REBUILT = StageFidelity("pytorch", 35, 1.0, 1.0, 3e-8, 98.25)


def test_the_users_answers_are_the_first_rung(passing: Report) -> None:
    origin = Origin(source="state dict", reference="answers.npz", rebuilt=REBUILT)
    section = _section(_with_origin(passing, origin), "fidelity")
    first, second = section.one("tbody").all("tr")[:2]
    assert first.text.startswith("answers.npz (the user’s answers) 35 100.00% 100.00% –")
    assert first.text.endswith("98.2")
    assert second.text.startswith("pytorch (reference) 1,000")
    said = "rebuilt from the state dict; answers as answers.npz says on 100.00% of 35 pictures"
    assert said in section.text
    provenance = msgspec.structs.replace(origin, reference_sha256="ab" * 32)
    assert "ab" * 32 in _section(_with_origin(passing, provenance), "provenance").text


def test_the_users_network_is_a_stage_as_others_are(passing: Report) -> None:
    origin = Origin(source="state dict", reference="mine.onnx", is_network=True, rebuilt=REBUILT)
    section = _section(_with_origin(passing, origin), "fidelity")
    assert len(section.one("tbody").all("tr")) == len(_stages())
    assert "mine.onnx, the user's own network" in section.text


@pytest.mark.parametrize(
    ("source", "words", "warned"),
    [
        ("state dict", "rebuilt from the state dict, not compared", True),
        ("torchvision", "torchvision's published network", False),
        ("onnx", "the ONNX model as it came", False),
    ],
)
def test_the_reference_is_called_what_it_is(
    source: str, words: str, warned: bool, passing: Report
) -> None:
    text = _section(_with_origin(passing, Origin(source=source)), "fidelity").text
    assert f"The reference, pytorch, is {words}" in text
    assert ("--reference compares it with your own" in text) == warned


def test_notes_stand_at_the_top(passing: Report) -> None:
    noted = msgspec.structs.replace(passing, notes=["fc.1 was guessed", "n was left out"])
    cautions = [one.text for one in _page(noted).all("p", class_="caution")]
    assert cautions == ["Fc.1 was guessed.", "N was left out."]


def test_where_class_names_are_from_is_said(passing: Report) -> None:
    named = msgspec.structs.replace(passing, labels_from="the folders of --evaluate")
    assert "Class names fromthe folders of --evaluate" in _section(named, "provenance").text


def test_without_labels_there_is_no_column_for_accuracy(bare: Report) -> None:
    section = _section(bare, "fidelity")
    assert "accuracy" not in section.one("thead").text
    assert all(len(row) == 7 for row in _rows(section))
    assert "pass --evaluate" in section.text
    assert "Top-1 accuracy" not in _page(bare).one("dl", class_="glance").text


def test_the_candidates(passing: Report) -> None:
    section = _section(passing, "quantization")
    assert "Chosen: mse ranges, equalized, the highest SNR of 2 candid" in section.text
    assert "500 pictures" in section.text
    chosen = section.one("tr", class_="chosen")
    assert chosen.text == "mse chosen yes nearest no 99.17% 26.9 0.00391"
    assert "ata-free" not in section.text


def test_data_free_calibration_is_marked(bare: Report) -> None:
    quantization = msgspec.structs.replace(bare.manifest.quantization, calibration="data-free")
    manifest = msgspec.structs.replace(bare.manifest, quantization=quantization)
    page = _page(msgspec.structs.replace(bare, manifest=manifest))
    assert "No photograph was involved" in page.one("header").text
    section = page.one("section", id="quantization")
    assert section.one("p", class_="caution").text.startswith("Data-free calibration.")
    assert "data-free, 500 distilled pictures" in page.one("section", id="provenance").text


def test_the_plot_names_every_layer_and_marks_the_worst_five(passing: Report) -> None:
    section = _section(passing, "layers")
    plot = section.one("svg", role="img")
    names = [text.text for text in plot.all("text")]
    assert all(layer.name in names for layer in passing.layers)
    assert {"0", "10", "20", "30", "40"} <= set(names)
    marked = [text.text for text in plot.all("text", class_="worst-text")]
    assert marked[::2] == [layer.name for layer in passing.layers[-5:]]
    assert marked[1::2] == ["29.0", "28.0", "27.0", "26.0", "25.0"]
    assert len(plot.all("path", class_="worst-point")) == 5
    assert len(plot.all("circle", class_="point")) == 11
    worst = "layer4.1.conv2 (25.0 dB), layer4.1.conv1 (26.0 dB), "
    assert section.text.startswith(f"Layer by layer Least faithful: {worst}")
    assert plot.one("title").text and "16 layers" in plot.one("desc").text
    table = section.one("details").one("table")
    assert _rows(table)[0] == ["layer1.0.conv1", "CONV_2D", "−1.50", "3.25", "40.0"]


@pytest.mark.parametrize("ratios", [[-3.0], [0.0, 0.0], [-300.0, 41.0], [61.7, 118.0, 3.3]])
def test_points_of_the_plot_lie_inside_it(passing: Report, ratios: list[float]) -> None:
    layers = [Layer(f"conv{i}", "CONV_2D", 0.0, 6.0, ratio) for i, ratio in enumerate(ratios)]
    plot = _section(msgspec.structs.replace(passing, layers=layers), "layers").one(
        "svg", role="img"
    )
    # The worst are diamonds, in a coordinate system of their own.
    places = [c.attributes["cx"] for c in plot.all("circle")]
    places += [s.attributes["x"] for s in plot.all("svg")]
    assert len(places) == len(ratios)
    assert all(0 <= float(place.rstrip("%")) <= 100 for place in places)
    assert 2 <= len(plot.all("text", **{"text-anchor": "middle"})) <= 9


def test_the_axis_stands_at_both_ends_of_a_long_plot(passing: Report) -> None:
    layers = [Layer(f"conv{i}", "CONV_2D", 0.0, 6.0, 30.0 - i / 10) for i in range(150)]
    section = _section(msgspec.structs.replace(passing, layers=layers), "layers")
    labels = section.one("svg", role="img").all("text", **{"text-anchor": "middle"})
    assert [label.text for label in labels if label.text == "30"] == ["30", "30"]


def test_no_layers(bare: Report) -> None:
    section = _section(bare, "layers")
    assert "No layer was compared." in section.text
    assert not section.all("svg")


def test_the_disagreements(passing: Report) -> None:
    section = _section(passing, "disagreements")
    assert "different answers to 8 of 1,000 pictures. Shown: 3 of 8" in section.text
    assert "float was right on 1, int8 on 1, neither on 1." in section.text
    cards = section.one("ul").all("li")
    assert cards[0].text == "floatcat ✓0.71 int8dog0.55 truthcat a/0001.jpg"
    pictures = section.all("img")
    for picture, found in zip(pictures, passing.disagreements, strict=True):
        assert base64.b64decode(picture.attributes["src"].partition(",")[2]) == found.png
        assert picture.attributes["alt"] == found.picture
    # What is smaller than its card is enlarged.
    assert [picture.attributes["class"] for picture in pictures] == 3 * ["tiny"]


def test_a_picture_as_large_as_its_card_is_not_enlarged(passing: Report) -> None:
    manifest = msgspec.structs.replace(passing.manifest, geometry=Geometry(224, 224, 0.875))
    section = _section(msgspec.structs.replace(passing, manifest=manifest), "disagreements")
    assert not [p for p in section.all("img") if "class" in p.attributes]


def test_disagreements_without_labels(passing: Report) -> None:
    found = [msgspec.structs.replace(one, truth=None) for one in passing.disagreements]
    section = _section(msgspec.structs.replace(passing, disagreements=found), "disagreements")
    assert "truth" not in section.text
    assert "was right" not in section.text
    assert "✓" not in section.text


def test_two_classes_of_one_name(passing: Report) -> None:
    found = [Disagreement("a.jpg", _png(), "crane", "crane", 0.5, "crane", 0.4)]
    section = _section(msgspec.structs.replace(passing, disagreements=found), "disagreements")
    assert "float was right on 1, int8 on 1, neither on 0." in section.text


def test_no_disagreements(bare: Report) -> None:
    assert "same answer to every picture" in _section(bare, "disagreements").text


def test_the_memory(passing: Report) -> None:
    section = _section(passing, "memory")
    for part in ("pi-zero-2w", "256 MiB", "98.0 MiB", "101 MiB", "31.0 MiB", "11.0 MiB"):
        assert part in section.text
    assert "Over budget" not in section.text
    assert section.one("svg").one("rect", class_="process").attributes["width"] == "39.45%"


def test_memory_over_the_budget(passing: Report) -> None:
    memory = msgspec.structs.replace(passing.memory, peak_bytes=290 * MIB)
    section = _section(msgspec.structs.replace(passing, memory=memory), "memory")
    assert "Over budget" in section.text
    assert section.one("line", class_="mark").attributes["x1"] == "88.28%"


def test_memory_without_a_target(passing: Report) -> None:
    memory = msgspec.structs.replace(passing.memory, target=None, budget_bytes=None)
    section = _section(msgspec.structs.replace(passing, memory=memory), "memory")
    assert "none named" in section.text
    assert not section.all("line", class_="mark")


def test_the_edge_tpu(passing: Report) -> None:
    section = _section(passing, "edgetpu")
    assert "28 of 31 operators run on the Edge TPU, by the preflight; the rest" in section.text
    assert "4.0 MiB for every inference" in section.text
    assert "The compiler was not found." in section.text
    assert _rows(section) == [
        ["CONCATENATION v2", "4, 9", "the first dimension exceeds 1"],
        ["SOFTMAX v2", "30", "more than 16,000 elements"],
    ]


def test_a_model_that_the_edge_tpu_runs_as_a_whole(bare: Report) -> None:
    section = _section(bare, "edgetpu")
    assert "31 of 31 operators run on the Edge TPU, by the compiler’s report." in section.text
    assert "those of the mapped operators fit" in section.text
    assert not section.all("table")


def test_the_architecture(passing: Report, bare: Report) -> None:
    lines = [line.text for line in _section(passing, "architecture").all("li")]
    assert lines == passing.architecture
    assert "no ResNet that edgekit knows" in _section(bare, "architecture").text


def test_the_provenance(passing: Report) -> None:
    text = _section(passing, "provenance").text
    manifest = passing.manifest
    for part in (
        passing.output,
        manifest.weights,
        manifest.weights_sha256,
        manifest.flatbuffer_sha256,
        manifest.quantization.calibration_sha256,
        "static_wi8_ai8: mse ranges, equalized, nearest rounding, biases not corrected",
        "96 × 64 pixels (width × height) of the frame’s centred 87.5%",
        "mean 0.485, 0.456, 0.406; standard deviation 0.229, 0.224, 0.225",
        "Seed7",
        "onnx2tf1.29.24",
        "calibrating18.3 s",
        "searching1 min 35 s",
    ):
        assert part in text


def test_a_thousand_classes(passing: Report) -> None:
    labels = [f"class {number}" for number in range(1000)]
    report = _with_labels(passing, labels)
    details = _section(report, "provenance").one("details")
    assert details.one("summary").text == "Names of the 1,000 classes"
    assert details.one("ol").attributes["start"] == "0"
    assert [item.text for item in details.all("li")] == labels


def test_hostile_text_stays_text(passing: Report) -> None:
    script, quote, template = HOSTILE
    disagreement = Disagreement(quote, b"no PNG", script, script, 0.5, template, 0.4)
    manifest = msgspec.structs.replace(
        passing.manifest, weights=quote, arch=script, head=template, tools={script: quote}
    )
    stages = [msgspec.structs.replace(stage, stage=script) for stage in _stages()]
    layers = [Layer(hostile, hostile, 0.0, 6.0, 30.0) for hostile in HOSTILE]
    report = msgspec.structs.replace(
        _with_stages(
            msgspec.structs.replace(passing, manifest=manifest), Fidelity("evaluation", stages)
        ),
        output=f"build/{quote}.tflite",
        labels=HOSTILE,
        architecture=HOSTILE,
        gate=msgspec.structs.replace(passing.gate, reason=script),
        layers=layers,
        disagreements=[disagreement],
        edgetpu=EdgeTpu(2, 1, [Refusal(script, 1, quote)], 1, 1, script, quote),
        seconds={script: 1.0},
    )
    page = _page(report)
    assert not page.all("script")
    (picture,) = page.all("img")
    assert picture.attributes["alt"] == quote
    items = page.one("section", id="provenance").one("details").all("li")
    assert [item.text for item in items] == HOSTILE
    assert page.one("section", id="disagreements").text.count(template) == 1
    assert page.one("h1").text == f"{quote}.tflite"


def test_the_json_has_every_key_and_no_picture(passing: Report, bare: Report) -> None:
    plain = json.loads(render_json(passing))
    assert list(plain) == [field.name for field in msgspec.structs.fields(Report)]
    assert plain["gate"]["reason"] == passing.gate.reason
    assert plain["candidates"][1]["chosen"] is True
    assert plain["seconds"] == passing.seconds
    assert passing.confidence is not None
    assert plain["confidence"]["before"] == passing.confidence.before.summary()
    assert plain["confidence"]["after"]["bins"]
    assert plain["manifest"]["confidence"]["temperature"] == 1.4
    assert plain["disagreements"][0] == {
        "picture": "a/0001.jpg",
        "truth": "cat",
        "float_label": "cat",
        "float_score": 0.71,
        "int8_label": "dog",
        "int8_score": 0.55,
    }
    # The manifest inside the model file leaves out what is at its default; a report does not.
    stage = json.loads(render_json(bare))["manifest"]["fidelity"]["stages"][0]
    assert list(stage) == [field.name for field in msgspec.structs.fields(StageFidelity)]
    assert stage["top1"] is None
    assert msgspec.convert(plain["manifest"], Manifest) == passing.manifest


def test_the_json_is_small_and_made_to_be_compared(passing: Report) -> None:
    content = render_json(passing)
    assert content == render_json(passing)
    assert content.endswith(b"\n}\n")
    assert b'\n  "output": "build/toys-int8.tflite",\n' in content
    assert base64.b64encode(passing.disagreements[0].png)[:20] not in content
    assert len(content) < 20_000
