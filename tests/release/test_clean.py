"""What `make test-wheels` takes for right, and what it finds wrong."""

import tomllib
from pathlib import Path

import pytest

from release import clean
from release.building import Commit
from tests.conftest import ROOT

TRUTH = ["mug", "mug", None, "cup", "cup"]


def _events(**labels: str) -> list[dict[str, object]]:
    return [{"frame": int(frame[1:]), "label": label} for frame, label in labels.items()]


@pytest.mark.parametrize(
    ("events", "faults"),
    [
        (_events(f0="mug", f2="unknown", f4="cup"), []),
        # What comes or goes may be called either.
        (_events(f0="mug", f2="cup"), []),
        (_events(f0="cup", f1="mug"), ["frame 0 is mug, and was called cup"]),
        (_events(f0="mug", f3="unknown"), ["cup was never told"]),
        ([], ["cup was never told", "mug was never told"]),
    ],
)
def test_an_answer_is_right_or_named(events: list[dict[str, object]], faults: list[str]) -> None:
    assert clean.faults_of_answers(events, TRUTH) == faults


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_a_python_is_found_on_path_or_of_pyenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert clean.find_python("3.12") is None
    # As pyenv's names do for versions that are not chosen.
    _program(tmp_path / "bin" / "python3.12", "exit 127")
    assert clean.find_python("3.12") is None
    python = _program(tmp_path / ".pyenv/versions/3.12.1/bin/python", "exit 0")
    assert clean.find_python("3.12") == str(python)
    on_path = _program(tmp_path / "bin" / "python3.12", "exit 0")
    assert clean.find_python("3.12") == str(on_path)
    assert clean.find_python("3.1") is None


@pytest.mark.parametrize(
    "said", ["edgekit, version 0.1.0, from commit 0123456789ab of 2026-01-02\nedgekit-core 0.0.9",
             "edgekit, version 0.1.0, from commit fedcba987654 of 2026-01-02",
             "edgekit, version 0.1.0, from an unknown commit"],
)  # fmt: skip
def test_another_commit_is_refused(tmp_path: Path, said: str) -> None:
    commit = Commit("0123456789abcdef", 0)
    good = "edgekit, version 0.1.0, from commit 0123456789ab of 2026-01-02"
    clean.check_origin(_program(tmp_path / "good", f"echo '{good}'"), commit)
    with pytest.raises(SystemExit, match="expected commit 0123456789ab: build it with `make dist`"):
        clean.check_origin(_program(tmp_path / "other", f"printf '%s\\n' '{said}'"), commit)


def test_without_wheels_it_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="has 0 wheels of edgekit-core; build one with `make"):
        clean._wheel(tmp_path, "edgekit-core")
    for number in (1, 2):
        (tmp_path / f"edgekit_core-0.{number}.0-py3-none-any.whl").touch()
    with pytest.raises(SystemExit, match="has 2 wheels of edgekit-core"):
        clean._wheel(tmp_path, "edgekit-core")


def test_a_program_that_fails_ends_it_with_what_it_said(tmp_path: Path) -> None:
    program = _program(tmp_path / "edgekit", "echo no such model >&2; exit 1")
    (tmp_path / "truth.json").write_text("[]")
    with pytest.raises(SystemExit, match="no such model"):
        clean.answer_clip(program, tmp_path / "x.tflite", tmp_path)


def test_the_pythons_are_those_of_the_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if ":: 3." in text]
    assert list(clean.PYTHONS) == named
