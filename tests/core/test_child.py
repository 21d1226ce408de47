"""Children run what is installed, whatever lies in the current folder or stands in variables."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit import child
from tests.core.test_layers import FORBIDDEN, ROOT
from tests.tiny import tiny_model

PLANTED = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
# Modules that a child of ours imports, and one that Python itself does.
NAMES = ("edgekit", "edgekit_device", "edgekit_convert", "msgspec", "numpy", "json", "cv2", "onnx",
         "sitecustomize", "usercustomize")  # fmt: skip


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, PYTHONPATH and the rest hold modules that leave a file when they run."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(PLANTED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "json.py"))
    return tmp_path


@pytest.mark.parametrize("user", [0, 1000])
def test_a_module_runs_from_what_is_installed_alone(
    planted: Path, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    done = child.run_python("edgekit.__main__", "--version")
    assert done.returncode == 0, done.stderr
    assert b"edgekit" in done.stdout
    assert not (planted / "ran").exists()


# What each command that starts a Python does to start it; all of them go through these.
STARTS = {
    "service install and upgrade": (
        "from pathlib import Path; from edgekit_device.config.settings import Settings\n"
        "from edgekit_device.service.verify import Model, verify\n"
        "verify(Model.read(Path(sys.argv[1])), Settings())"
    ),
    "doctor": (
        "from edgekit_device.doctor.device import Device\n"
        "answer = Device().probe('packages'); assert answer.code == 0, answer"
    ),
    "convert, memory": (
        "from edgekit_convert.target.memory import measure\nmeasure(open(sys.argv[1], 'rb').read())"
    ),
}


@pytest.mark.parametrize("command", STARTS)
def test_no_command_runs_what_lies_where_it_was_typed(command: str, planted: Path) -> None:
    model = tiny_model(planted / "model.tflite")
    # The command itself is the installed one, as its script is: it does not look into the folder.
    program = f"import sys\n{STARTS[command]}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(model)], cwd=planted, timeout=120,
        env=environment | {"PYTHONPATH": str(planted)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (planted / "ran").exists()


def test_the_converter_is_started_as_every_child(
    planted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of its own; it loads TensorFlow, so that its command is all that is looked at."""
    started: list[tuple[list[str], Path]] = []

    class NoProcess:
        def __init__(self, command: list[str], *, cwd: Path, **_: object) -> None:
            assert [path.suffix for path in cwd.iterdir()] == [".log"]
            started.append((command, cwd))

        def kill(self) -> None:
            pass

        def communicate(self) -> None:
            pass

    from edgekit_convert.graph import export

    monkeypatch.setattr(export.subprocess, "Popen", NoProcess)
    with export.lowering():
        pass
    ((command, folder),) = started
    assert command == child.python_command("edgekit_convert.graph.lower", *command[-2:])
    assert folder != planted


def test_root_takes_no_modules_from_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "-I" in child.python_command("edgekit")
    # Where a user may have installed edgekit itself.
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not {"-I", "-s"} & set(child.python_command("edgekit"))


@pytest.mark.parametrize("path", [".", "", "bin", "./bin"])
def test_a_program_is_not_taken_from_the_current_folder(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "bin"):
        folder.mkdir(exist_ok=True)
        (folder / "systemctl").write_text("#!/bin/sh\nexit 7\n")
        (folder / "systemctl").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{tmp_path / 'none'}")
    assert child.find("systemctl") is None
    with pytest.raises(FileNotFoundError, match="systemctl"):
        child.run(["systemctl"])
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{tmp_path / 'bin'}")
    assert child.find("systemctl") == tmp_path / "bin" / "systemctl"
    assert child.run(["systemctl"]).returncode == 7


def test_a_child_works_in_a_folder_that_nobody_else_writes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert child.run(["pwd"]).stdout == b"/\n"


def _names(tree: ast.AST) -> set[str]:
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


# Who may start a process by other means than `edgekit.child`, and by which.
EXCEPTIONS = {
    # A person answers what it asks, on the terminal.
    "edgekit/model/signers.py": {"subprocess.run"},
    # In a folder of its own, and goes on talking to it.
    "convert/edgekit_convert/graph/export.py": {"subprocess.Popen", "sys.executable"},
    "convert/edgekit_convert/target/compiler.py": {"subprocess.Popen"},
    # Its own variables, a mask of signals, and files without names.
    "device/edgekit_device/trial.py": {"subprocess.Popen"},
    # ssh reads paths from the user's folder; the journal takes our place.
    "device/edgekit_device/service/push/remote.py": {"subprocess.Popen"},
    "device/edgekit_device/service/cli.py": {"os.execv"},
    # Asks that of another device's folder, or this one's.
    "device/edgekit_device/doctor/device.py": {"sys.executable"},
    # Looks at who may change it.
    "device/edgekit_device/service/environment.py": {"sys.executable"},
}
STARTERS = (
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check", "os.exec",
    "os.spawn", "os.posix_spawn", "os.system", "os.popen", "pty.", "multiprocessing.",
    "asyncio.create_subprocess", "sys.executable",
)  # fmt: skip


@pytest.mark.parametrize("package", FORBIDDEN)
def test_processes_are_started_in_one_place(package: str) -> None:
    for file in sorted((ROOT / package).rglob("*.py")):
        where = str(file.relative_to(ROOT))
        if where == "edgekit/child.py":
            continue
        names = _names(ast.parse(file.read_text(encoding="utf-8")))
        used = {name for name in names if name.startswith(STARTERS)}
        assert used == EXCEPTIONS.get(where, set()), where


def test_the_interpreter_is_this_one_unless_another_is_named() -> None:
    assert child.python_command("m")[0] == sys.executable
    assert child.python_command("m", "a", python=Path("/p"))[0] == "/p"
    assert child.python_command("m", "a", python=Path("/p"))[-3:] == ["-m", "m", "a"]
