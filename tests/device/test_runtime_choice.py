"""`runtime = "auto"` takes the runtime that was faster, as long as what was measured holds."""

from pathlib import Path

import msgspec
import pytest
from edgekit_device import board, runtime_choice
from edgekit_device.config.settings import Settings
from edgekit_device.runtime_choice import (
    AGAIN,
    Choice,
    Figure,
    Measured,
    choose,
    fitting,
    machine,
    measure,
    record_path,
)
from edgekit_device.trial import Report

from edgekit.errors import LabelsError, ModelFileError, RuntimeUnavailableError

SHA = "ab" * 32
VERSIONS = {"litert": "2.1.0", "tflite": "2.14.0"}
PREFERRED = "auto"


@pytest.fixture(autouse=True)
def both(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions of the runtimes that are installed: for a test to change."""
    versions = dict(VERSIONS)
    monkeypatch.setattr(runtime_choice, "installed_versions", lambda: versions)
    return versions


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A link to a model that is stored, as the daemon knows it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "model.tflite").symlink_to(f"models/{SHA}.tflite")
    return tmp_path / "model.tflite"


def measured(litert: float | None = 63.1, tflite: float | None = 4.8, **other: object) -> Measured:
    figures = {
        name: Figure(VERSIONS[name], ms, None if ms else "m.tflite crashes (SIGILL)")
        for name, ms in (("litert", litert), ("tflite", tflite))
    }
    fields = {"sha256": SHA, "machine": machine(), "threads": 1, "figures": figures}
    return Measured(**fields | other)  # type: ignore[arg-type]


def keep(model: Path, record: Measured | bytes) -> None:
    content = record if isinstance(record, bytes) else msgspec.json.encode(record)
    record_path(model.resolve()).write_bytes(content)


def chosen(model: Path, **settings: object) -> Choice:
    return choose(Settings(model=model, **settings), model, SHA)  # type: ignore[arg-type]


def test_the_faster_one_is_taken_and_the_figures_are_told(model: Path) -> None:
    keep(model, measured())
    assert chosen(model) == Choice(
        "tflite",
        "litert 2.1.0: 63.1 ms; tflite 2.14.0: 4.8 ms, measured when the model was installed",
    )
    fits = fitting(model, SHA)
    assert fits == measured()


@pytest.mark.parametrize(
    ("litert", "tflite", "name"),
    [
        (10.0, 9.6, "litert"),  # as good as equal
        (10.0, 9.5, "tflite"),
        (4.8, 63.1, "litert"),
        (None, 63.1, "tflite"),
        (4.8, None, "litert"),
        (None, None, None),
    ],
)
def test_of_two_that_are_as_good_as_equal_the_preferred_one_is_taken(
    litert: float | None, tflite: float | None, name: str | None
) -> None:
    assert measured(litert, tflite).chosen == name


def test_what_crashed_is_told_with_what_was_taken() -> None:
    assert "tflite 2.14.0: 2,770.5 ms" in str(measured(tflite=2770.46))
    text = str(measured(litert=None, threads=3))
    assert text == (
        "litert 2.1.0: m.tflite crashes (SIGILL); tflite 2.14.0: 4.8 ms, measured with 3 threads "
        "when the model was installed"
    )


def test_what_the_configuration_says_counts(model: Path) -> None:
    keep(model, measured())
    assert chosen(model, runtime="litert") == Choice("litert", "as configured")
    name, why = chosen(model, delegate="edgetpu")
    assert (name, why) == (PREFERRED, "preferred; nothing is measured for an accelerator")


def test_without_measurement_the_preferred_one_is_taken(model: Path, both: dict[str, str]) -> None:
    assert chosen(model) == Choice(PREFERRED, "preferred; none was measured")
    del both["tflite"]
    assert chosen(model) == Choice(PREFERRED, "the only one")


@pytest.mark.parametrize(
    "record",
    [b"", b"\xff\xfe{", b"{}", b"null", b"[" * 9000, b" " * (1 << 20),
     msgspec.json.encode(measured(threads=0)), msgspec.json.encode(measured(litert=-1.0)),
     msgspec.json.encode(measured()).replace(b"63.1", b"1e999")],
)  # fmt: skip
def test_a_record_that_is_damaged_is_told_and_not_used(model: Path, record: bytes) -> None:
    keep(model, record)
    assert chosen(model) == Choice(
        PREFERRED, f"preferred; what was measured cannot be read: {AGAIN}"
    )
    assert fitting(model, SHA) is None


def test_a_record_that_is_no_file_keeps_nobody(model: Path) -> None:
    record_path(model.resolve()).mkdir()
    assert "cannot be read" in chosen(model).why
    record_path(model.resolve()).rmdir()
    record_path(model.resolve()).symlink_to("/dev/zero")
    assert "cannot be read" in chosen(model).why


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"sha256": "cd" * 32}, "of another model"),
        ({"machine": "Raspberry Pi 3"}, "on another machine, Raspberry Pi 3"),
        ({"figures": {"litert": Figure("2.1.0", 4.8)}}, "with other runtimes (litert 2.1.0: 4.8"),
        ({"figures": {"best": Figure("1", 1.0)}}, "with other runtimes (best 1: 1.0 ms"),
    ],
)
def test_a_record_of_something_else_is_told_and_not_used(
    model: Path, other: dict[str, object], why: str
) -> None:
    keep(model, measured(**other))  # type: ignore[arg-type]
    name, text = chosen(model)
    assert name == PREFERRED
    assert text.startswith(f"preferred; it was measured {why}")
    assert text.endswith(AGAIN)
    assert fitting(model, SHA) is None


def test_a_runtime_of_another_version_or_gone_is_told(model: Path, both: dict[str, str]) -> None:
    keep(model, measured())
    both["tflite"] = "2.15.0"
    assert "with other runtimes (litert 2.1.0: 63.1 ms; tflite 2.14.0: 4.8" in chosen(model).why
    del both["tflite"]
    assert chosen(model).runtime == PREFERRED


def test_a_runtime_that_can_no_longer_be_imported_is_told(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise RuntimeUnavailableError(f"{name} needs NumPy 1")

    monkeypatch.setattr(runtime_choice, "load", broken)
    keep(model, measured())
    assert chosen(model) == Choice(PREFERRED, "preferred; tflite needs NumPy 1")


def trial(monkeypatch: pytest.MonkeyPatch, **answers: float | Exception) -> list[tuple[str, int]]:
    """Let a trial with each runtime end so; returns those that were tried, with their threads."""
    tried = []

    def try_model(
        path: Path, content: bytes, labels: None, settings: Settings, *,
        accelerated: bool, threads: int, measured_s: float,
    ) -> Report:  # fmt: skip
        assert (content, accelerated, measured_s) == (b"m", False, 2.0)
        tried.append((settings.runtime, threads))
        answer = answers[settings.runtime]
        if isinstance(answer, Exception):
            raise answer
        return Report(answer_ms=answer)

    monkeypatch.setattr(runtime_choice, "try_model", try_model)
    return tried


def _measure(**settings: object) -> Measured:
    return measure(Path("m"), b"m", SHA, None, Settings(**settings))  # type: ignore[arg-type]


def test_each_runtime_is_measured_as_the_daemon_will_run_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = trial(monkeypatch, litert=63.1, tflite=4.8)
    assert _measure(threads=2) == measured(threads=2)
    assert tried == [("litert", 2), ("tflite", 2)]


def test_one_that_crashes_is_told_and_the_other_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = ModelFileError("m.tflite crashes (SIGILL); convert it again")
    trial(monkeypatch, litert=crash, tflite=4.8)
    assert _measure(threads=1) == measured(litert=None)
    trial(monkeypatch, litert=4.8, tflite=RuntimeUnavailableError("no"))
    assert _measure().chosen == "litert"


def test_what_is_wrong_in_all_of_them_is_what_the_preferred_one_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial(monkeypatch, litert=ModelFileError("damaged"), tflite=RuntimeUnavailableError("no"))
    with pytest.raises(ModelFileError, match=r"^damaged$"):
        _measure()


def test_what_does_not_fit_the_model_is_no_fault_of_a_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = trial(monkeypatch, litert=LabelsError("too few"))
    with pytest.raises(LabelsError):
        _measure()
    assert len(tried) == 1


@pytest.mark.parametrize(("usable", "threads"), [(1, 1), (2, 1), (4, 3), (16, 3)])
def test_one_processor_is_left_to_all_else(
    monkeypatch: pytest.MonkeyPatch, usable: int, threads: int
) -> None:
    monkeypatch.setattr(board.os, "sched_getaffinity", lambda _: range(usable))
    assert board.inference_threads(0) == threads
    assert board.inference_threads(4) == 4
