"""The forms in which trainers write class names down.

One name a line, which is ours; lines with their class index in front or behind; JSON and Python
lists and maps; the `names` of a YAML file. Numbers are obeyed. What is none of these is refused
rather than taken for names; a JSON list says any names without doubt.
"""

import ast
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from edgekit.model import limits

_HEADERS = frozenset(
    {"", "id", "idx", "index", "class_id", "class_index", "class", "classes", "class_name",
     "label", "labels", "name", "names", "wnid", "synset"}
)  # fmt: skip
# Keys under which trainers keep the names: Transformers, torchvision's folders, YOLO and others.
_KEYS = ("id2label", "idx_to_class", "class_to_idx", "label2id", "names", "class_names", "labels",
         "classes")  # fmt: skip
# `4: mug`, `4,mug`, `4. mug`, `4 mug`; the second says which of them no name looks like.
_FRONT = re.compile(r"(?P<index>\d+)(?:\s*[:;,=\t]\s*|\s*[.)-]\s+|\s+)(?P<name>\S.*)")
_SURELY_FRONT = re.compile(r"\d+(?:\s*[:;,=\t]|[.)]\s)")
_BEHIND = re.compile(r"(?P<name>.*?\S)(?:\s*[:;,=\t]\s*|\s+)(?P<index>\d+)")
_SURELY_BEHIND = re.compile(r".*(?:[:;=\t]\s*|,)\d+")
_MARKUP = re.compile(r"""[\[\](){}#"'`]|---|- |.*[,{[(]$|.*["']\s*:|[\w ]+:$""")
# Characters of a line, index and quotation marks included; and of what Python, not JSON, writes.
_LONGEST = 2 * limits.LABEL
_LONGEST_LITERAL = 256 << 10
_AS_JSON = 'write a JSON list, ["first", "second"], which leaves no doubt'


class Names(NamedTuple):
    """Names by class index, and how they were found where it was not one a line."""

    names: list[str]
    note: str | None = None


def parse(text: str) -> Names:
    """Read class names in any form that is understood.

    Args:
        text: of the whole file.

    Raises:
        ValueError: it is in no such form, or contradicts itself; the message is a clause without
            the file's name.
    """
    if not text.strip():
        return Names([])
    if len(text) > limits.LABEL_FILE_BYTES:
        raise ValueError(f"has {len(text):,} characters; names of classes have fewer")
    if text.lstrip()[:1] in ("{", "["):
        return _of_data(_literal(text.strip()))
    lines = _lines(text)
    start = next((n for n, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is not None:
        block = itertools.takewhile(lambda line: not re.match(r"\w", line), lines[start + 1 :])
        value = lines[start].partition(":")[2].partition(" #")[0].strip()
        return _of_yaml(value, list(block))._replace(note="it is a YAML file with names")
    return _of_lines([line.strip() for line in lines])


def plain_lines(text: str) -> list[str]:
    """One name a line, whatever it looks like; blank lines at the end do not count."""
    return [line.strip() for line in _lines(text)]


def _lines(text: str) -> list[str]:
    # Not `splitlines`, which cuts at separators that may be in a name.
    return re.split(r"\r\n|\r|\n", text.rstrip())


def _of_lines(lines: list[str]) -> Names:
    # A header may stand above them.
    if len(lines) > limits.CLASSES + 1:
        raise ValueError(f"has {len(lines):,} lines; at most {limits.CLASSES:,} classes are read")
    number = next((n for n, line in enumerate(lines, start=1) if len(line) > _LONGEST), None)
    if number is not None:
        raise ValueError(f"is no list of names in line {number}, which is too long")
    cells = [cell.strip("\"' ").lower() for cell in re.split(r"[,;:\t]", lines[0])]
    has_header = _HEADERS.issuperset(cells) and any(cells) and not lines[0].endswith(":")
    if has_header and len(cells) > 2:
        raise ValueError(f"has {len(cells)} columns; keep the index and the name")
    body = lines[has_header:]
    if body and all(line.startswith("- ") for line in body):
        return Names([_scalar(line[2:]) for line in body], "it is a YAML list")
    for number, line in enumerate(body, start=has_header + 1):
        if not line:
            raise ValueError(f"has no name in line {number}; write one a line")
        if _MARKUP.match(line):
            raise ValueError(f"is no list of names in line {number}, {line[:40]!r}; {_AS_JSON}")
    note = f"its first line, {lines[0]!r}, is a header" if has_header else None
    numbered = _numbered(body, _FRONT, _SURELY_FRONT) or _numbered(body, _BEHIND, _SURELY_BEHIND)
    if numbered is None:
        _check_order(body)
    return numbered or Names(body, note)


def _numbered(lines: list[str], pattern: re.Pattern[str], surely: re.Pattern[str]) -> Names | None:
    """Names of lines with an index each; None for lines that are names as they are."""
    if all(line.isdecimal() for line in lines):
        return None
    found = [pattern.fullmatch(line) for line in lines]
    sure = any(surely.match(line) for line in lines)
    pairs = [(int(one["index"]), _unquoted(one["name"])) for one in found if one]
    if len(pairs) < len(lines):
        if sure or (pattern is _FRONT and 2 * len(pairs) > len(lines)):
            odd = lines[found.index(None)]
            raise ValueError(
                f"has an index in {len(pairs)} of {len(lines)} lines, and none in {odd[:40]!r}; "
                f"give every name its index, or {_AS_JSON}"
            )
        return None
    alike = len({name for _, name in pairs}) < len(set(lines))
    if pattern is _BEHIND and not sure:
        # `gate 1`, `gate 2` are names; nobody counts from 0 but with an index.
        if alike or 0 not in (index for index, _ in pairs):
            return None
    elif alike or any(name.isdecimal() and int(name) != index for index, name in pairs):
        raise ValueError(f"has numbers that may be part of the names ({lines[0]!r}); {_AS_JSON}")
    return _by_index(pairs)


def _by_index(pairs: Iterable[tuple[int, str]]) -> Names:
    """Names in the order of their numbers, which count all classes from 0, or from 1.

    Raises:
        ValueError: they do not.
    """
    ordered = sorted(pairs)
    numbers = [index for index, _ in ordered]
    for (index, name), (following, other) in itertools.pairwise(ordered):
        if index == following:
            raise ValueError(f"gives {name!r} and {other!r} the same index, {index}")
    first = 0 if 0 in numbers else 1
    wanted = range(first, first + len(numbers))
    if numbers != list(wanted):
        missing = min(set(wanted) - set(numbers))
        raise ValueError(
            f"has indices from {numbers[0]} to {numbers[-1]}, but not {missing}; name every class, "
            f"and where the numbers belong to the names {_AS_JSON}"
        )
    return Names([name for _, name in ordered], f"its class indices are obeyed, from {first} on")


def _check_order(names: list[str]) -> None:
    """Refuse names whose own numbers are those of other lines.

    Sorted as text, as torchvision sorts folders, `a10` may well come before `a2`.
    """
    found = [re.findall(r"\d+", name) for name in names]
    numbers = [int(one[0]) for one in found if len(one) == 1]
    if len(numbers) < len(names) or all(map(str.isdecimal, names)) or names == sorted(names):
        return
    for first in (0, 1):
        wanted = list(range(first, first + len(numbers)))
        if sorted(numbers) == wanted != numbers:
            raise ValueError(
                f"has numbers that contradict the order of its lines ({names[0]!r} comes first); "
                f"{_AS_JSON}"
            )


def _of_yaml(value: str, block: list[str]) -> Names:
    """The value of a key: on its own line, or in the lines below."""
    if value:
        return _of_data(_literal(" ".join([value, *block])))
    lines = [line.strip() for line in block]
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and all(line.startswith("- ") for line in lines):
        return Names([_scalar(line[2:]) for line in lines])
    pairs = [re.fullmatch(r"(\d+)\s*:\s+(\S.*)", line) for line in lines]
    if not pairs or not all(pairs):
        raise ValueError(f"has YAML names of another form than '- name' or '0: name'; {_AS_JSON}")
    return _by_index((int(pair[1]), _scalar(pair[2])) for pair in pairs if pair)


def _scalar(text: str) -> str:
    """A YAML scalar on one line, its quotation marks or the comment behind it left out."""
    text = text.strip()
    if text[:1] not in ("'", '"'):
        return text.partition(" #")[0].strip()
    closed = re.fullmatch(r"""('(?:[^'\\])*'|"[^"\\]*")\s*(?:#.*)?""", text)
    if closed is None:
        raise ValueError(f"has {text[:40]!r}, which is not understood; {_AS_JSON}")
    return closed[1][1:-1]


def _unquoted(text: str) -> str:
    return text[1:-1] if re.fullmatch(r"\"[^\"]*\"|'[^']*'", text) else text


def _literal(text: str) -> Any:
    """The value that JSON, or else Python, writes so."""
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        repeated.extend(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    try:
        try:
            data = json.loads(text, object_pairs_hook=once)
        except json.JSONDecodeError:
            if len(text) > _LONGEST_LITERAL:
                raise
            data = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"begins like a JSON list or map, but is none; {_AS_JSON}") from error
    if repeated:
        raise ValueError(f"has the key {repeated[0]!r} twice")
    return data


def _of_data(data: Any) -> Names:
    if isinstance(data, (list, tuple)):
        return Names([_name(one) for one in data], "it is a list in JSON")
    if not isinstance(data, dict):
        raise ValueError(f"is neither a list nor a map; {_AS_JSON}")
    key = next((key for key in _KEYS if isinstance(data.get(key), (dict, list, tuple))), None)
    if key is not None:
        return _of_data(data[key])
    by_index, by_name = all(map(_is_index, data)), all(map(_is_index, data.values()))
    if by_index == by_name:
        raise ValueError(f"is a map, but not of class indices to names or the reverse; {_AS_JSON}")
    pairs = data.items() if by_index else ((index, name) for name, index in data.items())
    return _by_index((int(index), _name(name)) for index, name in pairs)


def _is_index(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value.isdecimal())


def _name(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) == 2:  # Keras: synset and name
        value = value[1]
    if not isinstance(value, str):
        raise ValueError(f"has {str(value)[:40]!r} for a name; {_AS_JSON}")
    return value.strip()
