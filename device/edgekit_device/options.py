"""The options of `edgekit run`, made from the schema of the configuration file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from edgekit_device.configuration import Key, keys

_F = TypeVar("_F", bound=Callable[..., Any])
_TITLES = {
    "": "Options",
    "camera": "Camera",
    "decision": "Decision",
    "mqtt": "MQTT",
    "http": "Live page, metrics and JSON interface",
    "webhook": "Webhook",
    "health": "Health",
    "recovery": "Recovery",
}


def parameter_name(key: Key) -> str:
    """What a command's function gets the option as."""
    return key.path.replace(".", "_").replace("-", "_")


def _type(key: Key) -> Any:
    low, high, open_low = key.meta.ge, key.meta.le, key.meta.gt is not None
    if open_low:
        low = key.meta.gt
    if key.type is int:
        return click.IntRange(
            None if low is None else int(low), None if high is None else int(high)
        )
    if key.type is float:
        return click.FloatRange(low, high, min_open=open_low)
    if key.type is Path:
        return click.Path(path_type=Path)
    return click.Choice(get_args(key.type)) if get_args(key.type) else str


def option_for(key: Key) -> Callable[[_F], _F]:
    """The option of a key; its value is None unless it was given."""
    text = key.meta.description or ""
    if key.type is bool:
        names = f"{key.option}/--no-{key.option.removeprefix('--')}"
        return click.option(names, parameter_name(key), default=None, help=text)
    if key.default is not None:
        shown = f"{key.default:g}" if isinstance(key.default, float) else key.default
        text += f"  [default: {shown}]" if shown != "" else ""
    return click.option(key.option, parameter_name(key), type=_type(key), default=None, help=text)


def settings_options(command: _F) -> _F:
    """Add an option for every key of the schema."""
    for key in reversed(list(keys())):
        command = option_for(key)(command)
    return command


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's values that were given, by key path."""
    named = {key.path: values.get(parameter_name(key)) for key in keys()}
    return {path: value for path, value in named.items() if value is not None}


class SectionedCommand(click.Command):
    """A command whose `--help` groups the options as the configuration file does."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections = {parameter_name(key): key.section for key in keys()}
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in _TITLES.values()}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[_TITLES[sections.get(parameter.name or "", "")]].append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
