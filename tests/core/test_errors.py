"""One tree of exceptions, in one file, which its drawing, the code and the exit codes agree on."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from edgekit import errors
from edgekit.errors import EXIT_CODES, EdgekitError

ROOT = Path(__file__).parents[2]
PACKAGES = ("edgekit", "convert/edgekit_convert", "device/edgekit_device")
TREE = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, EdgekitError)
}
# Raised to a library or between two functions, never to a user.
INTERNAL = {
    "CommandError", "DamageError", "EndOfLayers", "EndOfSource", "NotFoldedError",
    "OversizedPacketError", "TruncatedError", "UnsupportedError",
}  # fmt: skip


def _classes(file: Path) -> list[ast.ClassDef]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _raised() -> set[str]:
    """Names of what `raise` statements of the product construct."""
    names = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    names.add(node.func.id)
    return names


def test_the_drawing_shows_every_exception_below_its_base_with_its_exit_code() -> None:
    drawn: dict[str, tuple[str | None, int]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"(\W*)(\w+Error) +(\d+)", line)
        if found is None:
            continue
        depth, name, code = len(found[1]), found[2], int(found[3])
        above = [(d, n) for d, n in above if d < depth]
        drawn[name] = (above[-1][1] if above else None, code)
        above.append((depth, name))
    actual = {
        name: (kind.__bases__[0].__name__ if kind is not EdgekitError else None, kind.exit_code)
        for name, kind in TREE.items()
    }
    assert drawn == actual


def test_every_exit_code_is_documented_once() -> None:
    numbers = [code.number for code in EXIT_CODES]
    assert len(set(numbers)) == len(numbers)
    assert {kind.exit_code for kind in TREE.values()} | {0, errors.INTERRUPTED} == set(numbers)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_exception_is_defined_elsewhere(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        if file == ROOT / "edgekit" / "errors.py":
            continue
        for node in _classes(file):
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            is_exception = any(b in TREE or b.endswith(("Error", "Exception")) for b in bases)
            assert not is_exception or node.name in INTERNAL, f"{file.name}: {node.name}"


def test_every_exception_is_raised_or_a_base_of_one_that_is() -> None:
    raised = _raised()
    for name, kind in TREE.items():
        assert name in raised or kind.__subclasses__(), f"nothing raises {name}"


def test_what_a_message_quotes_steers_no_terminal_and_has_an_end() -> None:
    assert str(EdgekitError("a  b\n\x1b[2J\u2028c\ud800")) == "a  b  [2J c "
    assert str(EdgekitError("x" * 9999 + "y")) == "x" * 2000 + "…" + "x" * 1998 + "y"
    assert str(EdgekitError("x" * 4000)) == "x" * 4000
    assert str(EdgekitError("é…")) == "é…"
