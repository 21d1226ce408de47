import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from edgekit_device.bench import command as commands
from edgekit_device.bench.command import command

from edgekit.errors import EdgekitError, ModelFileError, OutputError, RuntimeUnavailableError
from tests.device.bench.machine import Machine
from tests.tiny import own_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return own_model(tmp_path / "tiny.tflite")


def _bench(*arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)])


@pytest.mark.usefixtures("machine")
class TestWithoutMeasuring:
    def test_text_ends_with_the_line_to_paste(self, model: Path) -> None:
        done = _bench(model, "--threads", 1)
        assert done.exit_code == 0, done.output
        line = done.stdout.splitlines()[-1]
        assert line.startswith("edgekit ") and "tiny.tflite sha256" in line
        assert "round 1 of 3: litert, 1 thread" in done.stderr

    def test_json_is_one_object_on_stdout(self, model: Path) -> None:
        found = json.loads(_bench(model, "--json", "--runtime", "litert").stdout)
        assert found["schema"] == 1 and found["line"]

    def test_the_page_is_written(self, model: Path, tmp_path: Path) -> None:
        report = tmp_path / "bench.html"
        assert _bench(model, "--report", report).exit_code == 0
        assert "tiny.tflite" in report.read_text()

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--seconds", "0"), "--seconds 0: from 0.1 to 600"),
            (("--seconds", "nan"), "--seconds nan"),
            (("--threads", "1000"), "--threads 1000: this device has 1 to"),
            (("--threads", "0"), "--threads 0"),
            (("--runtime", "onnx"), "no runtime onnx is installed"),
            (("--frame", "640"), "is no size of a frame"),
            (("--frame", "0x480"), "is no size of a frame"),
            (("--frame", "²x480"), "is no size of a frame"),
            (("--frame", "99999x480"), "is no size of a frame"),
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self,
        model: Path,
        machine: Machine,
        arguments: tuple[str, str],
        said: str,
    ) -> None:
        done = _bench(model, *arguments)
        assert (done.exit_code, machine.jobs) == (2, [])
        assert said in done.output

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (lambda model: [model.with_name("none.tflite")], ModelFileError),
            (lambda model: [model, "--report", model], OutputError),
            (lambda model: [model, "--report", model.parent / "no" / "x.html"], OutputError),
            (lambda model: [model, "--source", model.parent / "none.clip"], EdgekitError),
            (lambda model: [model, "--delegate", "coral"], EdgekitError),
        ],
    )
    def test_what_cannot_work_is_refused_before_it_starts(
        self,
        model: Path,
        machine: Machine,
        change: Callable[[Path], list[Any]],
        error: type[Exception],
    ) -> None:
        done = _bench(*change(model))
        assert isinstance(done.exception, error)
        assert machine.jobs == []

    def test_without_a_runtime_nothing_starts(
        self, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands, "installed", list)
        assert isinstance(_bench(model).exception, RuntimeUnavailableError)

    def test_an_accelerator_needs_no_second_thread(
        self,
        model: Path,
        machine: Machine,
    ) -> None:
        _bench(model, "--delegate", "edgetpu", "--runtime", "litert")
        assert {job.threads for job in machine.jobs} == {1}

    def test_an_interruption_shows_what_there_is_and_fails(
        self,
        model: Path,
        machine: Machine,
        tmp_path: Path,
    ) -> None:
        def interrupt(_: object) -> None:
            if len(machine.jobs) == 2:
                raise KeyboardInterrupt

        machine.fails = interrupt
        report = tmp_path / "bench.html"
        done = _bench(model, "--json", "--report", report)
        assert done.exit_code == 1  # click's own; the command's is 130
        assert json.loads(done.stdout)["partial"]
        assert "interrupted" in report.read_text()

    def test_an_interruption_at_the_start_leaves_nothing(
        self,
        model: Path,
        machine: Machine,
        tmp_path: Path,
    ) -> None:
        def interrupt(_: object) -> None:
            raise KeyboardInterrupt

        machine.fails = interrupt
        done = _bench(model, "--report", tmp_path / "bench.html")
        assert (done.stdout, done.exit_code) == ("", 1)
        assert not (tmp_path / "bench.html").exists()


def test_it_measures_a_real_model(model: Path) -> None:
    done = _bench(model, "--threads", 1, "--runtime", "litert", "--seconds", 0.1, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["latency"][0]["p50_ms"] > 0
    assert found["pipeline"]["per_second"] > 0
    assert {one["kind"] for one in found["operators"]["kinds"]} == {"MEAN", "SOFTMAX"}
    assert found["preprocessing"]["runs"] >= 3
