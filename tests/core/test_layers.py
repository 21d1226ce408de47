"""What may import what: packages one way, and inside each, rooms one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Each room imports from those before it, and from itself. A name without a folder is a module.
ROOMS = {
    "edgekit": (
        "errors", "text", "redaction", "files", "child", "settings", "model", "vision",
        "inference", "report", "offline", "commands", "origin", "cli",
    ),
    "convert/edgekit_convert": (
        "interruption", "progress", "scratch", "answers", "pictures", "weights", "graph", "feeding",
        "given", "quantize", "verify", "confidence", "target", "report", "source_models", "request",
        "material", "profile", "provenance", "outputs", "conversion", "option_types", "arguments",
        "api", "console", "summary", "cli",
    ),
    "device/edgekit_device": (
        "health", "answers", "folders", "board", "retry", "signals", "config", "pictures",
        "control", "history", "installed", "signers", "trial_protocol", "trial", "trial_process",
        "runtime_choice", "sources", "sinks", "fleet", "daemon", "bench", "collect", "service",
        "doctor",
    ),
}  # fmt: skip
FORBIDDEN = {
    "edgekit": {"edgekit_convert", "edgekit_device", "demo", "torch", "tensorflow", "rich"},
    "convert/edgekit_convert": {"edgekit_device", "demo"},
    "device/edgekit_device": {"edgekit_convert", "demo", "torch", "tensorflow", "rich"},
}
HEAVY = {
    "torch", "torchvision", "tensorflow", "onnx", "rich", "matplotlib", "scipy", "PIL", "jinja2",
    "av", "pillow_heif",
}  # fmt: skip


def _imports(file: Path) -> set[str]:
    """Dotted names of what a file imports, those from this repository down to the module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    return files


@pytest.mark.parametrize("package", FORBIDDEN)
def test_packages_import_one_way(package: str) -> None:
    for file in _files(package):
        tops = {name.partition(".")[0] for name in _imports(file)}
        assert not tops & FORBIDDEN[package], file.name


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_is_in_a_room(package: str) -> None:
    there = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert there - {"__init__", "__main__"} == set(ROOMS[package])


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_one_way(package: str) -> None:
    folder, order = ROOT / package, ROOMS[package]
    for file in _files(package):
        room = file.relative_to(folder).parts[0].removesuffix(".py")
        if room not in order:
            continue
        for name in _imports(file):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top == folder.name and other in order:
                where = f"{file.relative_to(ROOT)} imports {name}"
                assert order.index(other) <= order.index(room), where


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_is_long(package: str) -> None:
    # The exception is a table of names.
    for file in _files(package):
        assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, file.name


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


def test_a_conversion_loads_torch_only_for_networks_of_it() -> None:
    """An ONNX model does without; and while it loads, onnx2tf does already in its own process."""
    assert not _loaded("import edgekit_convert.conversion") & {"torch", "tensorflow"}


def test_the_daemon_loads_neither_torch_nor_tensorflow(converted: Path, tmp_path: Path) -> None:
    program = (
        "from edgekit.cli import main\ntry:\n    main()\nexcept SystemExit as stop:\n"
        "    assert not stop.code"
    )
    from demo.scene import write_pictures

    write_pictures(tmp_path, per_class=1, seed=1)
    arguments = ("run", "--model", str(converted), "--source", str(tmp_path))
    modules = _loaded(program, *arguments)
    assert "edgekit_device.daemon.daemon" in modules
    assert not modules & HEAVY
