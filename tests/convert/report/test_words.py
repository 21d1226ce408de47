"""A report in a few lines, and as a notebook shows it."""

import hashlib
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from edgekit_convert.outputs import Conversion
from edgekit_convert.report.results import Report
from edgekit_convert.verify.fidelity import Gate

from edgekit.errors import ConfigurationError, OutputError
from tests.convert.report.test_render import bare, passing, refused
from tests.tiny import tiny_flatbuffer

__all__ = ["bare", "passing", "refused"]


def test_it_says_what_it_is_and_how_faithful(passing: Report) -> None:
    assert repr(passing).splitlines() == [
        "resnet18, weights toys.pth: 3 classes, 96 x 64, 11.0 MiB of int8",
        "passed the gate: every stage keeps at least 99.34% of the original accuracy",
        "agrees with pytorch on 99.21% of 1,000 pictures, SNR 26.4 dB",
        "top-1 91.20% in pytorch, 91.00% in int8",
        "confidence: temperature 1.4, from 1200 labelled pictures; calibration error 0.081 before, "
        "0.024 after (0.017 by chance)",
    ]


def test_what_the_user_was_told_is_there(passing: Report) -> None:
    notes = ["12 pictures are left out", "two\nlines"]
    report = msgspec.structs.replace(passing, notes=notes)
    assert repr(report).splitlines()[-2:] == ["note: 12 pictures are left out", "note: two lines"]
    assert Conversion(report, b"").notes == notes
    assert "12 pictures are left out" in report._repr_html_()


def test_what_was_refused_says_so(refused: Report) -> None:
    second = repr(refused).splitlines()[1]
    assert second.startswith("refused by the gate: stage tflite-int8 (litert) has 84.20% top-1")
    gate = Gate(False, "too much is lost", 0.99, 0.98, overridden=True)
    taken = msgspec.structs.replace(refused, written=True, gate=gate)
    assert repr(taken).splitlines()[1] == "accepted although the gate refused: too much is lost"


def test_without_labels_there_is_no_accuracy(bare: Report) -> None:
    assert "top-1" not in repr(bare)


def test_a_conversion_shows_its_report_and_not_its_bytes(passing: Report) -> None:
    conversion = Conversion(passing, bytes(300_000))
    assert repr(conversion) == repr(passing)
    assert len(repr(conversion)) < 1000


def test_in_a_notebook_it_is_the_page_in_a_frame_that_runs_nothing(passing: Report) -> None:
    shown = Conversion(passing, b"")._repr_html_()
    start, page, end = shown.partition('srcdoc="')[0], shown.split('"')[1], shown.split('"')[2]
    assert start == "<iframe sandbox "
    assert unescape(page) == passing.html()
    assert end.strip().startswith("style=")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": None}, "NoneType is not a model file; give its path"),
        ({"path": ""}, "the path of a model file is empty"),
        ({"path": "m.tflite", "sign": 5}, "int is not an OpenSSH key"),
    ],
)
def test_what_is_no_path_is_not_saved_to(
    passing: Report, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Conversion(passing, b"").save(**arguments)


def test_it_is_saved_where_and_as_often_as_is_asked(passing: Report, tmp_path: Path) -> None:
    flatbuffer = tiny_flatbuffer()
    digest = hashlib.sha256(flatbuffer).hexdigest()
    manifest = msgspec.structs.replace(passing.manifest, flatbuffer_sha256=digest)
    mine = tmp_path / "mine.tflite"
    mine.touch()
    conversion = Conversion(
        msgspec.structs.replace(passing, manifest=manifest), flatbuffer, inputs=(mine,)
    )
    for name in ("a.tflite", "a.tflite", "b.tflite"):
        assert conversion.save(tmp_path / name).output == str(tmp_path / name)
    with pytest.raises(OutputError, match="is read here, and would be lost"):
        conversion.save(mine)
    assert not mine.read_bytes()
    with pytest.raises(OutputError, match="is a folder; name a file to write"):
        conversion.save(tmp_path)
    with pytest.raises(OutputError, match="does not exist; create it or choose another output"):
        conversion.save(tmp_path / "none" / "a.tflite")
    assert len(list(tmp_path.iterdir())) == 7
