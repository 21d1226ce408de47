"""One schema for a configuration file, the command line and the documentation.

A key `x` of the file is the option `--x`; a key `y` of its section `[x]` is the option `--x-y`.
Tables by names of the user's own, `[x.y.NAME]`, are no options.
"""

import difflib
import itertools
import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from edgekit.errors import ConfigurationError
from edgekit.files import read_bounded
from edgekit.text import one_line

_S = TypeVar("_S", bound=msgspec.Struct)


class Section(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """Strict: an unknown key is an error. The file spells names with hyphens, as options are."""


@dataclass(frozen=True)
class Key:
    """A key of the schema.

    Attributes:
        section: name of its section, empty at the top.
        name: as the file spells it.
        type: its type without None and without metadata.
        default: its default.
        meta: bounds and description.
    """

    section: str
    name: str
    type: Any
    default: Any
    meta: Meta

    @property
    def path(self) -> str:
        """`section.name`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def unset(self) -> str:
        """In words, what holds where it is not set; empty for what its default says."""
        return str((self.meta.extra or {}).get("unset", ""))

    @property
    def option(self) -> str:
        """The command-line option."""
        return f"--{self.path.replace('.', '-')}"


def keys(struct: type[msgspec.Struct], section: str = "") -> Iterator[Key]:
    """Every key of the schema, in its order."""
    for field in msgspec.structs.fields(struct):
        hint = field.type
        if get_origin(hint) is dict:
            continue  # see `tables`
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from keys(hint, field.encode_name)
            continue
        # `Annotated[T, Meta]`, or that `| None`.
        annotated = hint if get_origin(hint) is Annotated else get_args(hint)[0]
        kind, meta = get_args(annotated)
        yield Key(section, field.encode_name, kind, field.default, meta)


@dataclass(frozen=True)
class Table:
    """Sections `[section.name.NAME]` of the schema, by names that the user gives.

    Attributes:
        section: name of the section that they are in.
        name: as the file spells it.
        entry: what each may hold.
        meta: description.
    """

    section: str
    name: str
    entry: type[msgspec.Struct]
    meta: Meta

    def section_of(self, entry: str) -> str:
        """The name of an entry's section, as the file spells it."""
        return f"{self.section}.{self.name}.{key_text(entry)}"


def tables(struct: type[msgspec.Struct]) -> Iterator[Table]:
    """Every table of the schema's sections, in their order."""
    for section in msgspec.structs.fields(struct):
        if not (isinstance(section.type, type) and issubclass(section.type, msgspec.Struct)):
            continue
        for field in msgspec.structs.fields(section.type):
            if get_origin(field.type) is dict:
                entry, meta = get_args(get_args(field.type)[1])
                yield Table(section.encode_name, field.encode_name, entry, meta)


def load(
    schema: type[_S], path: Path | None, options: Mapping[str, Any], content: bytes | None = None
) -> _S:
    """Settings from a file, with options put over them.

    Args:
        schema: what can be set.
        path: a TOML file, or None.
        options: values by key path, such as `mqtt.host`.
        content: what was read of the file, or came in its place; it is read by default.

    Raises:
        ConfigurationError: the file cannot be read or is wrong; names key and line.
    """
    text = _read(path, content) if path is not None else ""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {one_line(error)}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} nests values too deeply; no key takes that") from error
    except ValueError as error:  # Python's own limit to the digits of a number
        raise ConfigurationError(f"{path} holds a number with too many digits") from error
    for key, value in options.items():
        section, _, name = key.rpartition(".")
        target = tree.setdefault(section, {}) if section else tree
        if isinstance(target, dict):
            target[name] = value
    try:
        settings = msgspec.convert(tree, schema, dec_hook=_decode)
    except (msgspec.ValidationError, RecursionError) as error:
        message = _with_entry(schema, tree, str(error))
        raise ConfigurationError(_explained(schema, path, text, message)) from error
    _check_values(schema, path, text, settings)
    return settings


# Nothing that is counted or waited for is more, and more would not fit where it is used.
_LARGEST = 2**31 - 1
# They steer a terminal, end a line of a protocol or a path, or cannot be encoded.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _check_values(
    schema: type[msgspec.Struct], path: Path | None, text: str, settings: msgspec.Struct
) -> None:
    """Refuse values that no key can mean, though they are of its type."""
    for key, value in _values(settings):
        if isinstance(value, str) and _CONTROL.search(value):
            reason = "has a control character, or one that is no text"
        elif isinstance(value, (int, float)) and not abs(value) <= _LARGEST:
            reason = f"expected a number of at most {_LARGEST}"
        else:
            continue
        raise ConfigurationError(_explained(schema, path, text, f"{reason} - at `$.{key.path}`"))


# Bytes of a configuration; one with every key explained has a tenth of a tenth of that.
LONGEST_FILE = 1 << 20


def _read(path: Path, content: bytes | None) -> str:
    # Bounded, and no pipe: a daemon reads it again while it works, and must not be kept.
    try:
        content = read_bounded(path, LONGEST_FILE, follow=True) if content is None else content
        return content.decode("utf-8")
    except PermissionError as error:
        raise ConfigurationError(
            f"cannot read the configuration {path}: {error.strerror}; it may hold secrets, so use "
            "sudo, or join its group"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the configuration {path}: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the configuration {path} is not UTF-8 text") from error


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


# What msgspec calls the types of JSON, and what a writer of TOML calls them.
_TYPES = {
    "`int": "`whole number", "`float": "`number", "`str": "`string", "`bool": "`true or false",
    "`object": "`section", "`dict": "`section", " | null`": "`", "`": "",
}  # fmt: skip


def _with_entry(schema: type[msgspec.Struct], tree: dict[str, Any], message: str) -> str:
    """msgspec's message with the name of a table's entry, which it calls `[...]`."""
    if "[...]" not in message:
        return message
    for table in tables(schema):
        section = tree.get(table.section)
        entries = section.get(table.name) if isinstance(section, dict) else None
        for name, content in entries.items() if isinstance(entries, dict) else ():
            try:
                msgspec.convert(content, table.entry)
            except (msgspec.ValidationError, RecursionError) as error:
                reason, _, where = str(error).partition(" - at `$")
                return f"{reason} - at `$.{table.section_of(name)}{where or '`'}"
    return message


def _explained(schema: type[msgspec.Struct], path: Path | None, text: str, message: str) -> str:
    """msgspec's message with the key's path, its line in the file, and a likely spelling."""
    reason, _, where = message.partition(" - at `$")
    name = where.strip("`").lstrip(".")
    known = {key.path: key for key in _known(schema, name)}
    if unknown := re.search(r"unknown field `(.*)`", reason):
        name = f"{name}.{key_text(unknown[1])}".lstrip(".")
        near = _near(schema, name, known)
        near = near or [key for key in known if key.endswith(f".{unknown[1]}")]
        remedy = f"did you mean {near[0]}?" if near else "see edgekit run --print-config"
        reason = f"there is no such key; {remedy}"
    elif name in known and ("regex" in reason or "enum" in reason):
        reason = f"this value will not do: {_note(known[name])}"
    for theirs, ours in _TYPES.items():
        reason = reason.replace(theirs, ours)
    line = _line(text, re.sub(r"(\[\d+\])+$", "", name))
    place = f"{path}, line {line}: " if line else f"{path}: " if path else ""
    return one_line(f"{place}{name + ': ' if name else ''}{reason[0].lower()}{reason[1:]}")


def _near(schema: type[msgspec.Struct], name: str, known: Mapping[str, Key]) -> list[str]:
    """The key, or the table, that is spelt most like a name; none where none is near."""
    places = {key.path: (key.section, key.name) for key in known.values()}
    places |= {f"{one.section}.{one.name}": (one.section, one.name) for one in tables(schema)}
    section, _, last = name.rpartition(".")
    # Where the section is right it says nothing about the key.
    if any(section == there for there, _ in places.values()):
        spelt = {called: path for path, (there, called) in places.items() if there == section}
        return [spelt[one] for one in difflib.get_close_matches(last, spelt, n=1)]
    return difflib.get_close_matches(name, places, n=1)


def _known(schema: type[msgspec.Struct], name: str) -> Iterator[Key]:
    """The keys that there are; those of a table's entry where the name is in one."""
    entries = [(table, _parts(name)) for table in tables(schema)]
    for table, parts in entries:
        if parts[:2] == (table.section, table.name) and len(parts) > 2:
            yield from keys(table.entry, table.section_of(parts[2]))
            return
    yield from keys(schema)


# A key, and what may be in front of it, up to the end of a header or the value.
_PART = r"(?:[\w-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*')"
_KEY = rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*"
_HEADER_LINE, _KEY_LINE = re.compile(rf"\s*\[{_KEY}\]"), re.compile(rf"{_KEY}=")


def _parts(key: str) -> tuple[str, ...]:
    """The parts of a dotted key as TOML spells it; none where it is no key."""
    try:
        value: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        return ()
    parts = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)


def _line(text: str, name: str) -> int | None:
    """The line on which a key stands, or else what it is in."""
    wanted, section = _parts(name), tuple[str, ...]()
    found, depth = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER_LINE.match(line):
            here = section = _parts(header[1])
        elif key := _KEY_LINE.match(line):
            here = section + _parts(key[1])
        else:
            continue
        shared = here[: len(wanted)]
        if len(shared) > depth and wanted[: len(shared)] == shared:
            found, depth = number, len(shared)
    return found


def render(
    settings: msgspec.Struct, header: str, hide: Mapping[str, Callable[[str], str]] | None = None
) -> str:
    """A commented configuration file; what is at its default is commented out.

    Args:
        settings: the values.
        header: comments that it begins with.
        hide: by key path, what makes a value fit to be shown.
    """
    lines = [header]
    schema = type(settings)
    for section, found in itertools.groupby(keys(schema), lambda key: key.section):
        lines += [f"\n[{section}]"] if section else []
        for key in found:
            value = _value(settings, key)
            if hide and key.path in hide and value is not None:
                value = hide[key.path](value)
            lines += [*_comment(_note(key)), _assigned(key, value)]
        for table in tables(schema):
            if table.section == section:
                lines += _shown_entries(table, _entries(settings, table))
    return "\n".join(lines) + "\n"


def _shown_entries(table: Table, entries: Mapping[str, msgspec.Struct]) -> Iterator[str]:
    """What a table may hold, as comments, then what it holds."""
    yield ""
    yield from _comment(table.meta.description or "")
    yield f"#[{table.section}.{table.name}.NAME]"
    for key in keys(table.entry):
        yield from [*_comment(_note(key)), _assigned(key, None)]
    for name, entry in entries.items():
        yield f"\n[{table.section_of(name)}]"
        for key in keys(table.entry):
            if (value := getattr(entry, _attribute(key.name))) is not None:
                yield _assigned(key, value)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="# ", subsequent_indent="# ")


def _assigned(key: Key, value: Any) -> str:
    """A line that sets a key; behind a # where it is at its default."""
    line = f"{key.name} = {toml_value(value)}" if value is not None else f"{key.name} ="
    default = key.default if not isinstance(key.default, Path) else str(key.default)
    return line if value != default else f"#{line}"


def _values(settings: msgspec.Struct) -> Iterator[tuple[Key, Any]]:
    """Every key and what settings say of it, those of tables' entries included."""
    for key in keys(type(settings)):
        yield key, _value(settings, key)
    for table in tables(type(settings)):
        for name, entry in _entries(settings, table).items():
            for key in keys(table.entry, table.section_of(name)):
                yield key, getattr(entry, _attribute(key.name))


def _entries(settings: msgspec.Struct, table: Table) -> dict[str, msgspec.Struct]:
    section = getattr(settings, _attribute(table.section))
    entries: dict[str, msgspec.Struct] = getattr(section, _attribute(table.name))
    return entries


def _value(settings: msgspec.Struct, key: Key) -> Any:
    """What settings say of a key, as plain types."""
    part = getattr(settings, _attribute(key.section)) if key.section else settings
    value = getattr(part, _attribute(key.name))
    return str(value) if isinstance(value, Path) else value


def _attribute(name: str) -> str:
    return name.replace("-", "_")


def _note(key: Key) -> str:
    one_of = get_args(key.type) if get_origin(key.type) is Literal else ()
    choices = f" One of {', '.join(map(str, one_of))}." if one_of else ""
    unset = f" If unset, {key.unset}." if key.unset else ""
    return f"{key.meta.description}{choices}{unset}"


def key_text(name: str) -> str:
    """A part of a key as TOML writes it: bare where it can be, else quoted."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_value(value: Any) -> str:
    """A value as a TOML file has it."""
    # A TOML basic string is written as a JSON string is, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
