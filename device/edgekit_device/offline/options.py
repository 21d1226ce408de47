"""Options that the commands for recordings share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgekit.clip import ClipHeader
from edgekit_device.configuration import keys, load
from edgekit_device.offline.player import recorded_decision
from edgekit_device.options import option_for
from edgekit_device.settings import DecisionSettings

_F = TypeVar("_F", bound=Callable[..., Any])

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file (TOML) of the daemon; options win over it.",
)


def settings_of(*wanted: str) -> Callable[[_F], _F]:
    """Add an option for each of some keys of the configuration, or of its sections."""

    def decorate(command: _F) -> _F:
        for key in reversed([k for k in keys() if k.path in wanted or k.section in wanted]):
            command = option_for(key)(command)
        return command

    return decorate


def decision_settings(
    config: Path | None, options: dict[str, Any], header: ClipHeader | None
) -> DecisionSettings:
    """How scores become labels: as options say, or the configuration, or the clip.

    Args:
        config: the configuration file, if any.
        options: values by key path.
        header: of the clip, if it is one.

    Raises:
        SettingsError, SourceError: see their own text.
    """
    if config is None and header is not None:
        recorded = msgspec.to_builtins(recorded_decision(header))
        options = {**{f"decision.{key}": value for key, value in recorded.items()}, **options}
    return load(config, options).decision
