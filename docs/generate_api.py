"""Write docs/api.md from the docstrings of what the packages export; a test compares it.

Signatures stand as the source has them: what Python makes of them at run time differs from version
to version.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import edgekit_convert

import edgekit
from edgekit import errors

TARGET = Path(__file__).parent / "api.md"
_HEAD = """# Reference of the Python interface

Generated from the docstrings by `make docs`; [how to use it](python.md). `StrPath` is a string or a
`pathlib.Path`, `NDArray` is of NumPy."""
_WIDTH = 96
# Types that the source names shortly, or at length.
_PLAIN = {
    "str | os.PathLike[str]": "StrPath",
    "_Triple": "Sequence[float]",
}
_SECTION = re.compile(r"(Args|Attributes|Returns|Raises):\n(.*)", re.DOTALL)


def render() -> str:
    """The page as it should be."""
    parts = [_HEAD]
    for package in (edgekit_convert, edgekit):
        parts.append(f"## {package.__name__}")
        for name in sorted(_described(package), key=str.lower):
            parts += _entry(f"{package.__name__}.{name}", getattr(package, name))
    drawing = (errors.__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    parts += [
        "## Errors",
        "All are in `edgekit`, and those of a conversion in `edgekit_convert`, too; the number is "
        "the exit code of a command.",
        f"```text\n{textwrap.dedent(drawing)}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _described(package: ModuleType) -> Iterator[str]:
    """Names that have an entry of their own; what both packages export has it in `edgekit`."""
    for name in package.__all__:
        one = getattr(package, name)
        is_error = inspect.isclass(one) and issubclass(one, errors.EdgekitError)
        elsewhere = package is edgekit_convert and getattr(edgekit, name, None) is one
        if not (is_error or elsewhere or name == "__version__"):
            yield name


def _entry(path: str, one: Any) -> Iterator[str]:
    yield f"### {path}"
    name = path.rpartition(".")[2]
    node = _parsed(one)
    if isinstance(node, ast.FunctionDef):
        yield _code(name, node)
        yield from _docstring(one)
        return
    members = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    if "__init__" in members:
        yield _code(name, members["__init__"])
    yield from _docstring(one)
    for method, definition in members.items():
        if not method.startswith("_"):
            called = method
        elif method == "__call__":
            called = name[0].lower() + name[1:]
        else:
            continue
        decorators = {ast.unparse(decorator) for decorator in definition.decorator_list}
        if decorators & {"property", "cached_property"}:
            kind = f": {_annotation(definition.returns)}" if definition.returns else ""
            yield f"#### {called}\n\n```python\n{called}{kind}\n```"
        else:
            yield f"#### {called}()"
            yield _code(called, definition)
        yield from _docstring(vars(one)[method])


def _parsed(one: Any) -> ast.FunctionDef | ast.ClassDef:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    return node


def _code(name: str, node: ast.FunctionDef) -> str:
    """A signature: on one line where it fits, else an argument a line."""
    given = list(_arguments(node.args))
    returns = f" -> {_annotation(node.returns)}" if node.returns and node.name != "__init__" else ""
    text = f"{name}({', '.join(given)}){returns}"
    if len(text) > _WIDTH:
        text = "\n".join([f"{name}(", *(f"    {one}," for one in given), f"){returns}"])
    return f"```python\n{text}\n```"


def _arguments(node: ast.arguments) -> Iterator[str]:
    plain = [one for one in node.args if one.arg not in ("self", "cls")]
    defaults = [None] * (len(plain) - len(node.defaults)) + list(node.defaults)
    for one, default in zip(plain, defaults, strict=True):
        yield _argument(one, default)
    if node.vararg or node.kwonlyargs:
        yield f"*{node.vararg.arg if node.vararg else ''}"
    for one, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        yield _argument(one, default)
    if node.kwarg:
        yield f"**{node.kwarg.arg}"


def _argument(node: ast.arg, default: ast.expr | None) -> str:
    kind = f": {_annotation(node.annotation)}" if node.annotation else ""
    if default is None:
        return f"{node.arg}{kind}"
    return f"{node.arg}{kind} = {ast.unparse(default).replace('_NO_HINTS', 'Hints()')}"


def _annotation(node: ast.expr | None) -> str:
    # A type in quotes is one that is not loaded at run time.
    quoted = isinstance(node, ast.Constant) and isinstance(node.value, str)
    text = str(node.value) if quoted else ast.unparse(node) if node else ""
    for ours, plain in _PLAIN.items():
        text = text.replace(ours, plain)
    return text


def _docstring(one: Any) -> Iterator[str]:
    """Its paragraphs, and its sections as lists."""
    for paragraph in re.split(r"\n\n(?=\S)", inspect.getdoc(one) or ""):
        found = _SECTION.fullmatch(paragraph)
        if found is None:
            yield paragraph
            continue
        yield f"**{found[1]}**"
        entries = re.split(r"\n(?=\S)", textwrap.dedent(found[2]).strip())
        yield "\n".join(f"- {_named(' '.join(entry.split()))}" for entry in entries)


def _named(entry: str) -> str:
    """An entry with its names as code."""
    names, colon, text = entry.partition(": ")
    if not colon or not re.fullmatch(r"[\w*.]+(, [\w*.]+)*", names):
        return entry
    return f"{', '.join(f'`{name}`' for name in names.split(', '))}: {text}"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
