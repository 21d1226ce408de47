"""`edgekit fleet`."""

import functools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.commands.options import NumberRange, config_option
from edgekit.errors import ConfigurationError, OutputError
from edgekit.inference.events import timestamp
from edgekit.text import listed
from edgekit_device.config.file import load
from edgekit_device.config.options import given, settings_of
from edgekit_device.config.settings import MqttSettings
from edgekit_device.fleet.devices import Device
from edgekit_device.fleet.selection import Selection, selection_options

_TIMEOUT = 30.0
_TYPED = click.core.ParameterSource.COMMANDLINE


class Report(msgspec.Struct, frozen=True):
    """What `--json` prints.

    Attributes:
        ts: RFC 3339 in UTC.
        broker: which one, in words.
        complete: whether no device can be missing, as far as that can be told.
        remarks: what is missing and what does not belong there, in words.
        devices: those that are meant.
    """

    ts: str
    broker: str
    complete: bool
    remarks: list[str]
    devices: list[Device]


def _reads(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which broker and which devices; the command gets what they say."""

    @functools.wraps(command)
    @click.pass_context
    def reading(ctx: click.Context, /, config: Path | None, **values: Any) -> Any:
        if ctx.invoked_subcommand is not None:
            if any(ctx.get_parameter_source(name) is _TYPED for name in ctx.params):
                raise click.UsageError(f"write options behind {ctx.invoked_subcommand}")
            return None
        chosen = {name: values.pop(name) for name in Selection.__struct_fields__}
        names = [name for name in values if name.startswith("mqtt_")]
        options = given({name: values.pop(name) for name in names})
        settings = load(config, options).mqtt
        if settings.host is None:
            raise ConfigurationError(
                "no broker; name one with --mqtt-host, or `host` in [mqtt] of --config FILE"
            )
        return command(ctx, settings=settings, selection=Selection(**chosen), **values)

    decorated: Any = selection_options(reading)
    decorated = click.option(
        "--timeout",
        type=NumberRange(0, 86400, min_open=True),
        default=_TIMEOUT,
        show_default=True,
        help="Seconds to connect, and to read what the broker retains.",
    )(decorated)
    decorated = settings_of(
        "mqtt.port", "mqtt.tls", "mqtt.ca-file", "mqtt.cert-file", "mqtt.key-file", "mqtt.user",
        "mqtt.password-file", "mqtt.prefix",
    )(decorated)  # fmt: skip
    decorated = click.option("--mqtt-host", help="Name or address of the broker.")(decorated)
    return config_option(decorated)  # type: ignore[no-any-return]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--watch",
    "watched",
    is_flag=True,
    help="Go on, and draw the table anew each second; where the output is no terminal, print a "
    "line for each change.",
)
@_reads
def fleet(
    ctx: click.Context,
    settings: MqttSettings,
    selection: Selection,
    timeout: float,
    as_json: bool,
    watched: bool,
) -> None:
    """Show all devices of an MQTT broker, and how each is.

    Reads what devices retain there, and publishes nothing. Those that are unwell come first, with
    what is wrong. The exit code is 1 if one of those shown is unwell, or if devices may be missing.

    \b
    Examples:
      edgekit fleet --mqtt-host broker.lan
      edgekit fleet --mqtt-host broker.lan --unwell --watch
      edgekit fleet --mqtt-host broker.lan --model 9f86d081 --json
    """
    if watched:
        from edgekit_device.fleet.watching import Changes, Screen, watch

        watch(
            settings,
            selection,
            timeout,
            Changes(as_json) if as_json or not _is_drawn_on() else Screen(),
        )
        return
    from edgekit_device.fleet.table import render, summary

    report = _read(settings, selection, timeout)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        for remark in report.remarks:
            notify(remark)
        if report.devices:
            columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
            click.echo(f"{render(report.devices, columns)}\n")
        click.echo(summary(report.devices))
    if not report.complete or any(device.unwell for device in report.devices):
        ctx.exit(1)


@fleet.command()
@_reads
def export(
    ctx: click.Context, settings: MqttSettings, selection: Selection, timeout: float
) -> None:
    """Print the devices as an inventory for Ansible, in YAML.

    All are in the group edgekit, and in groups by state (edgekit_running) and by model
    (edgekit_model_ and 12 digits of its hash). A device that has told nobody where it is goes in
    with its name alone. The exit code is 1 if devices are missing, or may be.

    \b
    Example:
      edgekit fleet export --mqtt-host broker.lan > inventory.yml
    """
    from edgekit_device.fleet.inventory import can_be_host, inventory, is_found, shared_places

    report = _read(settings, selection, timeout)
    for remark in report.remarks:
        notify(remark)
    left_out = [device.name for device in report.devices if not can_be_host(device)]
    devices = [device for device in report.devices if can_be_host(device)]
    if left_out:
        notify(
            f"{len(left_out):,} device(s) have a name that means something else to Ansible, and "
            f"are left out: {listed(left_out, 5)}; give them another `name`"
        )
    if not devices:
        raise OutputError("no device fits; nothing is exported")
    for place, names in shared_places(devices).items():
        notify(
            f"{len(names):,} devices say that they are at {place}: {listed(names, 5)}; Ansible "
            "would take one machine for all of them"
        )
    lost = [device.name for device in devices if not is_found(device)]
    if lost:
        notify(
            f"{len(lost):,} device(s) have not told where they are: {listed(lost, 5)}; Ansible "
            "looks for their names"
        )
    click.echo(inventory(devices), nl=False)
    if left_out or not report.complete:
        ctx.exit(1)


def _is_drawn_on() -> bool:
    """Whether the output is a terminal that can be drawn anew: an editor's and CI's may be dumb."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _read(settings: MqttSettings, selection: Selection, timeout: float) -> Report:
    # paho, which `--help` does without.
    from edgekit_device.fleet.reading import Reading
    from edgekit_device.fleet.remarks import is_partial, remarks

    reading = Reading(settings, timeout)
    try:
        reading.read(timeout)
    finally:
        reading.close()
    devices = reading.fleet.devices()
    told = remarks(reading, settings.prefix, devices, selection)
    if not devices:
        raise OutputError("; ".join(told))
    chosen = selection.choose(devices, reading.where)
    return Report(timestamp(), reading.where, not is_partial(reading), told, chosen)
