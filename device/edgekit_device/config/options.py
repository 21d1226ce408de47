"""The options of `edgekit run`, made from the schema of the configuration file."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from edgekit.commands import options
from edgekit.redaction import has_password
from edgekit.settings import keys
from edgekit_device.config.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])
_TITLES = {
    "": "Options",
    "camera": "Camera",
    "view": "View",
    "decision": "Decision",
    "mqtt": "MQTT",
    "http": "Live page, metrics and JSON interface",
    "webhook": "Webhook",
    "pictures": "Pictures",
    "history": "History",
    "control": "Control",
    "health": "Health",
    "recovery": "Recovery",
}


def settings_of(*wanted: str) -> Callable[[_F], _F]:
    """A decorator that adds an option for each key of `Settings`, or of some keys or sections."""
    return options.settings_of(Settings, *wanted)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Those of a command's values that were given, by key path."""
    found = options.given(Settings, values)
    warn_of_password(found.get("source"))
    return found


def warn_of_password(source: str | None) -> str | None:
    """The same source; its password, if it has one, is said to be seen by everybody."""
    if source is not None and has_password(source):
        click.echo(
            "edgekit: everybody on this machine can see the password in --source; put the address "
            "into --config FILE, or the password into --source-password-file FILE",
            err=True,
        )
    return source


class SectionedCommand(click.Command):
    """A command whose `--help` groups the options as the configuration file does."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections = {options.parameter_name(key): key.section for key in keys(Settings)}
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in _TITLES.values()}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups[_TITLES[sections.get(parameter.name or "", "")]].append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)
