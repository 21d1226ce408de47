"""`edgekit service`."""

import os
import shlex
import sys
from pathlib import Path

import click
import msgspec

from edgekit import child
from edgekit.errors import ServiceError
from edgekit.redaction import redact
from edgekit_device.config.options import warn_of_password
from edgekit_device.service.layout import SERVICES, Layout

# What does the work is imported where it is clear that it is needed: what the unit calls must
# start fast.


def _notify(text: str) -> None:
    """Print a line; the reader may have gone (a lost ssh connection), the work goes on."""
    try:
        click.echo(redact(text))
        sys.stdout.flush()
    except OSError:
        # Or else the interpreter tries to write the rest once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _need_root(layout: Layout, what: str) -> None:
    if os.geteuid() != 0 and layout.root == Path("/"):
        words = shlex.join([f"{sys.prefix}/bin/edgekit", *sys.argv[1:]])
        raise ServiceError(f"{what} needs root: sudo {words}")


def _layout(layout: Layout, root: Path | None) -> Layout:
    if root is None:
        return layout
    image = Layout(root.resolve(), offline=True)
    for path in image.files:
        if not path.parent.resolve().is_relative_to(image.root):
            raise ServiceError(
                f"{path.parent} is a link that leads out of the image {root}; files would be "
                "written there"
            )
    return image


_root = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Work on an image whose files lie below DIR; nothing is started.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


@click.group()
@click.pass_context
def service(context: click.Context) -> None:
    """Run the daemon as a systemd service.

    \b
    Examples:
      sudo /opt/edgekit/bin/edgekit service install --model resnet18-int8.tflite
      edgekit service status
      sudo /opt/edgekit/bin/edgekit service upgrade better-int8.tflite
    """
    context.obj = context.obj or Layout()


@service.command()
@click.option(
    "--model",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Model to run; it is copied.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Configuration to install; without it, the installed one is kept, or one is made.",
)
@click.option(
    "--replace-config",
    is_flag=True,
    help="Let FILE of --config replace a configuration that was edited, too.",
)
@click.option(
    "--source",
    metavar="SOURCE",
    callback=lambda _context, _option, source: warn_of_password(source),
    help="Where frames come from, for a configuration that is made: picamera2: where that is "
    "installed, else v4l2:/dev/video0, if left out.",
)
@click.option(
    "--allowed-signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Run only models that one of these has signed, in the format of OpenSSH's "
    "allowed_signers; copied to /etc/edgekit, and set in the configuration.",
)
@click.option("--no-start", is_flag=True, help="Install and enable, but do not start.")
@_dry_run
@_root
@click.pass_obj
def install(
    layout: Layout,
    model: Path,
    config: Path | None,
    replace_config: bool,
    source: str | None,
    allowed_signers: Path | None,
    no_start: bool,
    dry_run: bool,
    root: Path | None,
) -> None:
    """Install, enable and start the service, and wait for its first answer.

    The service runs the edgekit that this command belongs to. What is as it should be is left
    alone, so the command may be repeated. A configuration that was edited is overwritten with
    --replace-config alone: else the new one is put beside it as edgekit.toml.new.
    """
    from edgekit_device.service.changes import Changes
    from edgekit_device.service.install import install as work

    layout = _layout(layout, root)
    if not dry_run:
        _need_root(layout, "installing a service")
    changes = Changes(_notify, dry=dry_run)
    if replace_config and config is None:
        raise click.UsageError("--replace-config needs --config FILE, which is to replace it")
    work(
        layout,
        changes,
        model,
        config,
        source,
        replace=replace_config,
        allowed=allowed_signers,
        start=not no_start,
    )
    if not changes.changed:
        _notify("all is as it should be: nothing was changed")
    if dry_run or layout.offline or no_start:
        return
    from edgekit_device.service.state import observe
    from edgekit_device.service.status import describe

    for line in describe(layout, observe(layout)):
        _notify(line)


@service.command()
@click.option(
    "--purge",
    is_flag=True,
    help="Remove an edited configuration, too, and what the service has seen.",
)
@_dry_run
@_root
@click.pass_obj
def uninstall(layout: Layout, purge: bool, dry_run: bool, root: Path | None) -> None:
    """Stop the service and remove all that install put there, and the installed models.

    A configuration that was edited is kept, and so are what the service has seen (its history,
    below /var/lib/edgekit-data) and files that install knows nothing of.
    """
    from edgekit_device.service.changes import Changes
    from edgekit_device.service.uninstall import uninstall as work

    layout = _layout(layout, root)
    if not dry_run:
        _need_root(layout, "removing a service")
    changes = Changes(_notify, dry=dry_run)
    work(layout, changes, purge=purge)
    if not changes.changed:
        _notify("no service is installed: nothing was changed")


@service.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: what systemd and the daemon say."
)
@click.pass_obj
def status(layout: Layout, as_json: bool) -> None:
    """Say how the service is; exit code 1 unless it answers frames, or is paused."""
    from edgekit_device.service.state import observe
    from edgekit_device.service.status import describe, report

    state = observe(layout)
    if as_json:
        told = msgspec.json.encode(report(layout, state))
        _notify(msgspec.json.format(told, indent=2).decode())
    else:
        for line in describe(layout, state):
            _notify(line)
    if state.unit.active != "active" or not state.is_well:
        sys.exit(1)


@service.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, show_default=True)
def logs(follow: bool, lines: int) -> None:
    """Print what the service wrote to the journal."""
    journalctl = child.find("journalctl")
    if journalctl is None:
        raise ServiceError("there is no journalctl here; the service needs systemd")
    units = [word for unit in SERVICES for word in ("--unit", unit)]
    command = [str(journalctl), *units, "--lines", str(lines), "--no-hostname"]
    command += ["--follow"] if follow else ["--no-pager"]
    os.execv(journalctl, command)


@service.command()
@click.argument(
    "model", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.pass_obj
def upgrade(layout: Layout, model: Path) -> None:
    """Let the running service change to MODEL, without a pause; `-` reads it from standard input.

    The model is checked, with its signature where the configuration has allowed-signers, put
    beside the one in use and switched to. When frames are not answered with it for a while without
    a break, the one before comes back by itself, and the exit code is 1. A power cut at any moment
    leaves one of the two, whole.
    """
    from edgekit_device.service.upgrade import upgrade as work
    from edgekit_device.service.verify import Model

    _need_root(layout, "an upgrade")
    work(layout, Model.read(model), _notify)


@service.command()
@click.argument(
    "config", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.pass_obj
def configure(layout: Layout, config: Path) -> None:
    """Let the running service follow CONFIG; `-` reads it from standard input.

    It takes the place of /etc/edgekit/edgekit.toml, which is kept as edgekit.toml.previous, and the
    service reads it. When it then has a problem that it had not before, or answers no frames, the
    one before comes back by itself, and the exit code is 1. Which signatures are demanded cannot
    be changed so.
    """
    from edgekit_device.service.configure import configure as work

    _need_root(layout, "a change of the configuration")
    work(layout, config, _notify)


@service.command()
@click.pass_obj
def rollback(layout: Layout) -> None:
    """Let the running service change back to the model before, without a pause.

    With the same care as an upgrade: when frames are not answered with it, the one that runs now
    comes back. A second rollback returns to it, too.
    """
    from edgekit_device.service.upgrade import roll_back as work

    _need_root(layout, "a rollback")
    work(layout, _notify)


@service.command()
@click.argument("name")
@click.pass_obj
def use(layout: Layout, name: str) -> None:
    """Let the running service change to the installed model NAME, as `upgrade` does."""
    from edgekit_device.service.upgrade import use as work

    _need_root(layout, "a change of the model")
    work(layout, name, _notify)


@service.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models that are kept on the device, to choose among: by day and by night, say.

    \b
    Examples:
      edgekit service models
      sudo /opt/edgekit/bin/edgekit service models add night-int8.tflite --name night
      sudo /opt/edgekit/bin/edgekit service use night
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list alone")
        return
    from edgekit_device.service.models import describe, report

    found = report(context.obj)
    if as_json:
        _notify(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for line in describe(context.obj, found):
        _notify(line)


@models.command("add")
@click.argument(
    "model", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--name", metavar="NAME", help="For it; that of the file if left out.")
@click.pass_obj
def add_model(layout: Layout, model: Path, name: str | None) -> None:
    """Keep MODEL on the device, without changing to it; `-` reads it from standard input.

    It is checked as `upgrade` checks it.
    """
    from edgekit_device.service.models import add as work

    _need_root(layout, "installing a model")
    work(layout, model, name, _notify)


@models.command("remove")
@click.argument("name")
@click.pass_obj
def remove_model(layout: Layout, name: str) -> None:
    """Remove the model NAME, unless it runs; the one that ran before stays without its name."""
    from edgekit_device.service.models import remove as work

    _need_root(layout, "removing a model")
    work(layout, name, _notify)


@service.command(hidden=True)
@click.pass_obj
def before_start(layout: Layout) -> None:
    """What the unit runs before each start."""
    from edgekit_device.service.hooks import before_start as work

    work(layout, _notify)


@service.command(hidden=True)
@click.pass_obj
def before_reload(layout: Layout) -> None:
    """What the unit runs before the configuration is read again."""
    from edgekit_device.service.hooks import before_reload as work

    work(layout, _notify)


@service.command(hidden=True)
@click.pass_obj
def apply_request(layout: Layout) -> None:
    """What the unit runs where the daemon asks for another model."""
    from edgekit_device.service.requests import apply_request as work

    _need_root(layout, "a request of the daemon")
    work(layout, _notify)


@service.command(hidden=True)
@click.pass_obj
def after_start(layout: Layout) -> None:
    """What the unit runs after a start while an upgrade is not confirmed."""
    from edgekit_device.service.hooks import after_start as work

    work(layout, _notify)
