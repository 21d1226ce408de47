"""What may import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "edgekit": {"edgekit_convert", "edgekit_device", "demo", "torch", "tensorflow", "rich"},
    "convert/edgekit_convert": {"edgekit_device", "demo"},
    "device/edgekit_device": {"edgekit_convert", "demo", "torch", "tensorflow", "rich"},
}


def _imports(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        assert not _imports(file) & FORBIDDEN[package], file.name


def _loaded(program: str, *arguments: str) -> set[str]:
    code = f"import sys\n{program}\nprint('MODULES', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_edgekit_alone_loads_nothing_heavy() -> None:
    assert not _loaded("import edgekit") & {"torch", "tensorflow", "cv2", "numpy"}


def test_importing_edgekit_leaves_the_environment_alone() -> None:
    program = "import os; before = dict(os.environ); import edgekit; assert before == os.environ"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_daemon_loads_neither_torch_nor_tensorflow(converted: Path, tmp_path: Path) -> None:
    program = (
        "from edgekit.cli import main\ntry:\n    main()\nexcept SystemExit as stop:\n"
        "    assert not stop.code"
    )
    from demo.scene import write_pictures

    write_pictures(tmp_path, per_class=1, seed=1)
    arguments = ("run", "--model", str(converted), "--source", str(tmp_path))
    modules = _loaded(program, *arguments)
    heavy = {"torch", "torchvision", "tensorflow", "onnx", "rich", "matplotlib", "scipy", "PIL"}
    assert "edgekit_device.daemon.daemon" in modules
    assert not modules & heavy
