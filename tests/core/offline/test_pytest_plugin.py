"""The pytest fixture `edgekit_replay`, on a clip that lies in the tree, and in a user's tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.offline.pytest_plugin import EdgekitReplay

DATA = Path(__file__).with_name("data")
# What a user writes.
TEST = """
def test_front_door(edgekit_replay):
    edgekit_replay("front-door.clip", model="colours.tflite")
"""


def test_a_clip_of_long_ago_gives_the_same_events(
    edgekit_replay: EdgekitReplay, model: Path
) -> None:
    # The model is made afresh, and another version of flatbuffers may write other bytes.
    found = edgekit_replay("data/colours.clip", model=model, any_model=True)
    assert (found.frames, found.inputs_differ) == (30, 0)
    assert [one.label for one in found.recorded or ()] == [one.label for one in found.changes]


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def users(tmp_path: Path, model: Path) -> Path:
    """A user's repository."""
    shutil.copy(DATA / "colours.clip", tmp_path / "front-door.clip")
    shutil.copy(model, tmp_path / "colours.tflite")
    (tmp_path / "test_front_door.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_a_users_test_in_five_lines(users: Path) -> None:
    assert len(TEST.strip().splitlines()) <= 5
    done = _pytest(users)
    assert done.returncode == 1
    assert "front-door.golden.json" in done.stdout
    assert "Traceback" not in done.stdout

    assert _pytest(users, "--edgekit-update").returncode == 0
    golden = users / "front-door.golden.json"
    assert _pytest(users).returncode == 0

    golden.write_text(golden.read_text().replace('"label": "green"', '"label": "blue"'))
    done = _pytest(users)
    assert done.returncode == 1
    assert "front-door.clip is decided otherwise:" in done.stdout
    assert "green   not expected" in done.stdout


def test_an_unused_plugin_loads_nothing(users: Path) -> None:
    (users / "test_front_door.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    loaded = {'cv2', 'numpy', 'click', 'msgspec'} & set(sys.modules)\n"
        "    assert 'edgekit.offline.pytest_plugin' in sys.modules\n"
        "    assert not loaded, loaded\n"
    )
    done = _pytest(users)
    assert done.returncode == 0, done.stdout
