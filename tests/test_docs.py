"""What CONTRIBUTING names is there."""

import ast
import re
from pathlib import Path

import edgekit_convert
import pytest

import edgekit
from docs import generate_api

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
PATHS = sorted({c for c in CODE if re.fullmatch(r"[\w./-]+", c) and ("/" in c or c[-3:] == ".md")})
TARGETS = sorted({c.removeprefix("make ") for c in CODE if c.startswith("make ")})
NAMES = sorted(set(re.findall(r"`(\w+)` in\s+`([^`]+)`", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_exists(path: str) -> None:
    assert path == "../shared" or (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), NAMES)
def test_every_name_is_defined_where_the_page_says(name: str, path: str) -> None:
    defined = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.Assign):
            defined |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            defined.add(node.target.id)
    assert name in defined


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_exists(target: str) -> None:
    # Not all that lie in the tree: whole file systems may, below build/.
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    included = re.findall(r"^include (\S+)", rules, flags=re.MULTILINE)
    rules += "".join((ROOT / name).read_text(encoding="utf-8") for name in included)
    assert re.search(rf"^{re.escape(target)}:", rules, flags=re.MULTILINE)


def test_the_page_names_what_it_promises() -> None:
    assert len(NAMES) >= 10
    assert "tests/core/test_layers.py" in PATHS


@pytest.mark.parametrize("page", ["README.md", "convert/README.md", "device/README.md"])
def test_no_page_installs_the_stranger_of_our_name(page: str) -> None:
    files = [ROOT / page, *sorted((ROOT / "docs").glob("*.md"))]
    for file in files:
        assert "edgekit[" not in file.read_text(encoding="utf-8"), file.name


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_reference_of_the_interface_in_python_is_fresh() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == generate_api.render(), "run `make docs`"


def test_what_is_exported_is_documented_and_nothing_else() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^### \w+\.(\w+)$", page, re.MULTILINE))
    drawn = set(re.findall(r"\b(\w+Error) +\d", page))
    exported = {*edgekit.__all__, *edgekit_convert.__all__} - {"__version__"}
    assert described | drawn == exported


def test_every_module_that_a_page_names_exists() -> None:
    files = [
        file for folder in ("edgekit", "convert", "device") for file in (ROOT / folder).rglob("*")
    ]
    paths = [file.relative_to(ROOT).as_posix() for file in files]
    for page in (ROOT / "docs").glob("*.md"):
        for name in re.findall(r"`([\w/]+[.]py)`", page.read_text(encoding="utf-8")):
            known = any(path == name or path.endswith(f"/{name}") for path in paths)
            assert known or (ROOT / name).exists(), f"{page.name}: {name}"
