"""`edgekit doctor` loads the accelerator's library in the runtime that is to use it."""

import sys
from pathlib import Path

import pytest
from edgekit_device.doctor.accelerator import check_delegate
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis

from tests.device.doctor.broken_pi import BrokenPi

STOPPED = ("LoadState=loaded", "ActiveState=inactive", "SubState=dead", "MainPID=0")
BOOKWORM, TRIXIE = "16.0tf2.15.1-1.bookworm", "16.0tf2.19.1-1.trixie"


def _here(root: Path, delegate: Path, runtime: str = "auto") -> list[Diagnosis]:
    """What is found with this Python, where a delegate is configured and no service runs."""
    config = root / "etc/edgekit/edgekit.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f'delegate = "{delegate}"\nruntime = "{runtime}"\n')
    return list(check_delegate(Device(root=root, python=Path(sys.executable))))


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_a_delegate_that_works_in_the_runtime(
    tmp_path: Path, fake_delegate: Path, runtime: str
) -> None:
    pytest.importorskip({"litert": "ai_edge_litert", "tflite": "tflite_runtime"}[runtime])
    (found,) = _here(tmp_path, fake_delegate, runtime)
    assert (found.check, found.level) == ("delegate", "ok")
    assert found.text.startswith(f"fake in {'ai-edge-litert' if runtime == 'litert' else runtime}")
    assert found.text.endswith(" loads, and a model answers")


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("refuse", "libfake.so does not start (no fake accelerator is attached); attach its hard"),
        ("mute", "does not start (it gives no reason); attach its hardware"),
        ("unprepared", "the fake accelerator takes no graph"),
    ],
)
def test_a_delegate_that_does_not(
    tmp_path: Path, fake_delegate: Path, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
) -> None:
    monkeypatch.setenv("FAKE_DELEGATE_MODE", mode)
    (found,) = _here(tmp_path, fake_delegate)
    assert (found.level, found.remedy) == ("problem", None)
    assert said in found.text
    assert found.text.isprintable()


def test_a_library_that_is_none_and_one_that_is_not_there(tmp_path: Path) -> None:
    text = tmp_path / "libtext.so"
    text.write_text("no library")
    (found,) = _here(tmp_path, text)
    assert (found.level, "cannot be loaded" in found.text) == ("problem", True)
    (found,) = _here(tmp_path, tmp_path / "nowhere")
    assert found.level == "problem"
    assert found.text.startswith("no delegate ")


@pytest.fixture
def pi(tmp_path: Path) -> BrokenPi:
    """One with a Coral, whose service does not run."""
    pi = BrokenPi(tmp_path)
    pi.add_coral(5000, BOOKWORM)
    pi.service(*STOPPED, pid=0)
    return pi


def _found(pi: BrokenPi) -> list[Diagnosis]:
    return [one for one in pi.examine() if one.check == "delegate"]


def _with(pi: BrokenPi, runtime: str, answer: str) -> None:
    """Answer so where the Coral's library is tried in a runtime."""
    pi.answers[f"{runtime} libedgetpu.so.1 *"] = answer


def test_a_coral_whose_library_was_built_for_the_other_runtime(pi: BrokenPi) -> None:
    pi.packages["ai-edge-litert"] = "2.1.0"
    _with(pi, "ai_edge_litert.interpreter", "kill -SEGV $$")
    (found,) = _found(pi)
    assert found.level == "problem"
    assert found.text == (
        "edgetpu in ai-edge-litert 2.1.0: crashes (SIGSEGV); libedgetpu1-std "
        "16.0tf2.15.1-1.bookworm goes with tflite-runtime: set runtime = 'tflite'"
    )
    assert found.remedy == ("sudo nano /etc/edgekit/edgekit.toml && sudo systemctl reload edgekit")
    del pi.packages["tflite-runtime"]
    (found,) = _found(pi)
    assert found.remedy is not None
    assert found.remedy.startswith('sudo /opt/edgekit/bin/pip install "edgekit-device[tflite]" && ')
    # With the one that it goes with, nothing is said of the other.
    pi.packages["tflite-runtime"] = "2.14.0"
    pi.write("etc/edgekit/edgekit.toml", 'delegate = "edgetpu"\nruntime = "tflite"\n')
    _with(pi, "tflite_runtime.interpreter", '{"right": true}')
    assert [one.level for one in _found(pi)] == ["ok"]
    _with(pi, "tflite_runtime.interpreter", '{"wrong": "not\\\\nattached"}')
    (found,) = _found(pi)
    assert found.text == "edgetpu in tflite-runtime 2.14.0: not attached"


def test_a_coral_whose_library_is_too_new_for_the_runtime(pi: BrokenPi) -> None:
    pi.add_coral(5000, TRIXIE)
    _with(pi, "tflite_runtime.interpreter", '{"right": false}')
    (found,) = _found(pi)
    assert "gives a wrong answer; libedgetpu1-std 16.0tf2.19.1-1.trixie goes with" in found.text
    assert found.remedy is not None
    assert 'install "edgekit-device" && ' in found.remedy


def test_a_runtime_that_is_configured_and_not_there(pi: BrokenPi) -> None:
    pi.write("etc/edgekit/edgekit.toml", 'delegate = "edgetpu"\nruntime = "litert"\n')
    (found,) = _found(pi)
    assert found.text == "runtime = 'litert' is configured, and is not installed"


@pytest.mark.parametrize("why", ["it is not used", "the service holds it", "unknown"])
def test_nothing_is_tried_where_that_would_mean_nothing(pi: BrokenPi, why: str) -> None:
    if why == "it is not used":
        pi.write("etc/edgekit/edgekit.toml", 'model = "m.tflite"\n')
    elif why == "unknown":
        pi.write("etc/edgekit/edgekit.toml", "no TOML\n")
    else:
        pi.service("LoadState=loaded", "ActiveState=active", "SubState=running")
    assert _found(pi) == []
