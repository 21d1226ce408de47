"""`edgekit push`."""

import hashlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import msgspec

from edgekit import child
from edgekit.commands.options import NumberRange
from edgekit.errors import ConfigurationError, PushError
from edgekit.files import read_file
from edgekit.model.container import ModelFile, read_model
from edgekit.redaction import redact
from edgekit.settings import LONGEST_FILE
from edgekit.text import one_line
from edgekit_device.config.file import parse
from edgekit_device.config.secrets import remark_on_password
from edgekit_device.service.configure import check
from edgekit_device.service.push.hosts import named_hosts
from edgekit_device.service.push.outcome import Outcome
from edgekit_device.service.push.remote import TIMEOUT, Connection, Payload
from edgekit_device.service.push.schedule import push_all
from edgekit_device.signals import handled

_AT_ONCE = 16


@click.command()
@click.argument("words", nargs=-1, metavar="[HOST]... [MODEL]")
@click.option(
    "--hosts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Devices, one on each line; what follows a # does not count.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Bring this configuration, and no model.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 64),
    default=_AT_ONCE,
    show_default=True,
    help="Devices at once.",
)
@click.option(
    "--stop-after-failures",
    "failures",
    type=click.IntRange(1),
    metavar="N",
    help="Begin with no further device when so many have failed; all are tried if left out.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON in the end; the lines go to stderr."
)
@click.option(
    "-i", "--identity", type=click.Path(exists=True, path_type=Path), help="Private key for ssh."
)
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="Port of the devices' sshd.")
@click.option(
    "-o", "--ssh-option", "options", multiple=True, metavar="KEY=VALUE", help="Option for ssh."
)
@click.option(
    "--edgekit",
    metavar="PATH",
    help="edgekit on the devices; if left out, that on PATH, else /opt/edgekit/bin/edgekit.",
)
@click.option(
    "--timeout",
    type=NumberRange(1),
    default=TIMEOUT,
    show_default=True,
    help="Seconds for each device, the change itself included.",
)
def push(
    words: tuple[str, ...],
    hosts: Path | None,
    config: Path | None,
    batch: int,
    failures: int | None,
    as_json: bool,
    identity: Path | None,
    port: int | None,
    options: tuple[str, ...],
    edgekit: str | None,
    timeout: float,
) -> None:
    """Bring MODEL, or a configuration, to devices over ssh, and let their service change to it.

    HOST is what ssh takes: user@name, a name from ~/.ssh/config, ssh://user@name:port. On each,
    the hash is compared and `sudo edgekit service upgrade`, or `configure`, is run: it checks what
    was brought, and takes it back when the service does not do well with it. ssh and sudo must work
    without asking.

    The exit code is 1 if a device does not run in the end what was brought to it. Ctrl-C begins
    with no further device, lets those that have begun come to their end, and gives 130; a second
    one leaves them to themselves.

    \b
    Examples:
      edgekit push pi@porch resnet18-int8.tflite
      edgekit push pi@porch pi@gate pi@shed resnet18-int8.tflite
      edgekit push --hosts cameras.txt --batch 1 --stop-after-failures 1 resnet18-int8.tflite
      edgekit push --hosts cameras.txt --config edgekit.toml
    """
    remark = None
    if config is None:
        names, model = _split(words)
        devices = named_hosts(names, hosts)
        payload, what = _model(read_model(model))
    else:
        devices = named_hosts(_no_files(words), hosts)
        payload, what, remark = _configuration(config, len(devices))
    ssh = [word for option in options for word in ("-o", option)]
    ssh += ["-i", str(identity)] if identity else []
    ssh += ["-p", str(port)] if port else []
    program = child.find("ssh")
    if program is None:
        raise PushError("there is no ssh here; install an OpenSSH client")
    connection = Connection(program, tuple(ssh), edgekit, timeout)
    say = partial(click.echo, err=as_json)
    if remark is not None:
        say(remark)
    say(f"{what}, to {len(devices)} device(s)")
    progress = _Progress(devices, say)
    with handled(progress.stop) as asked:
        outcomes = push_all(
            devices,
            partial(connection.push, payload=payload),
            progress.told,
            batch=batch,
            failures=failures,
            stopped=lambda: progress.stopped,
        )
    if as_json:
        click.echo(_json(payload, outcomes))
    _conclude(outcomes, what.partition(",")[0], say)
    if asked.interrupted:
        raise click.Abort
    _check(outcomes)


class _Progress:
    """A line for each device that has ended.

    Args:
        hosts: they.
        say: prints a line.

    Attributes:
        stopped: whether no further device is to be begun.
    """

    def __init__(self, hosts: tuple[str, ...], say: Callable[[str], None]) -> None:
        self.stopped = False
        self._say = say
        self._all = len(hosts)
        self._ended = 0
        self._width = max(len(redact(host)) for host in hosts)

    def stop(self) -> None:
        """Begin with no further device."""
        self.stopped = True
        self._say(
            "no further device is begun; those that have begun come to their end, and a second "
            "Ctrl-C leaves them to themselves"
        )

    def told(self, outcome: Outcome) -> None:
        """Say how it went with one."""
        self._ended += 1
        shown = outcome.shown()
        count = f"{self._ended:>{len(str(self._all))}}/{self._all}  " if self._all > 1 else ""
        reason = f"{outcome.reason}: " if outcome.reason else ""
        self._say(
            f"{count}{shown.host:<{self._width}}  {outcome.outcome:<6}  {reason}{shown.message}"
        )


def _split(words: tuple[str, ...]) -> tuple[tuple[str, ...], Path]:
    """The hosts, and the model behind them.

    Raises:
        UsageError: there is no model.
    """
    if not words:
        raise click.UsageError("Missing argument 'MODEL'.")
    *hosts, last = words
    model = Path(last)
    if not model.is_file():
        raise click.BadParameter(
            f"there is no file {one_line(last)!r}; the last word names the model, those before it "
            "the devices",
            param_hint="MODEL",
        )
    return tuple(hosts), model


def _no_files(words: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts of a push that brings no model.

    Raises:
        UsageError: one of them is a file.
    """
    for word in words:
        if Path(word).is_file():
            raise click.UsageError(
                f"{one_line(word)!r} is a file, and no host; with --config a model is not brought: "
                "push it by itself"
            )
    return words


def _model(file: ModelFile) -> tuple[Payload, str]:
    """A model, and its name for people.

    Raises:
        PushError: it cannot be read, or changes.
    """
    content = _content(file)
    what = f"model {file.sha256[:12]}, {len(content) / 1e6:.1f} MB"
    return Payload("upgrade", content, file.sha256, file.sha256), what


def _content(file: ModelFile) -> bytes:
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise PushError(f"cannot read the model {file.path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise PushError(f"{file.path} changed while it was read; try again")
    return content


def _configuration(path: Path, devices: int) -> tuple[Payload, str, str | None]:
    """A configuration, its name for people, and what is to be said of it.

    Raises:
        ConfigurationError: it is wrong, or names one device where there are several.
        ServiceError: no service can work with it.
    """
    content = read_file(path, ConfigurationError, "configuration", LONGEST_FILE)
    settings = parse(path, content)
    check(settings)
    if settings.name is not None and devices > 1:
        raise ConfigurationError(
            f"{path}: {devices} devices would all have the name {settings.name}, and their "
            "messages one topic; leave `name` out, and each has that of its host"
        )
    sha256 = hashlib.sha256(content).hexdigest()
    payload = Payload("configure", content, sha256, None)
    return payload, f"configuration {sha256[:12]}", remark_on_password(settings.source)


def _json(payload: Payload, outcomes: list[Outcome]) -> str:
    """What is for programs."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    told = {
        "brought": "configuration" if payload.model is None else "model",
        "sha256": payload.sha256,
        "done": counts["done"],
        "failed": counts["failed"],
        "not_tried": counts["not tried"],
        "hosts": [outcome.shown() for outcome in outcomes],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode()


def _conclude(outcomes: list[Outcome], what: str, say: Callable[[str], None]) -> None:
    """Say of several devices how it went with all of them."""
    if len(outcomes) < 2:
        return
    done = sum(outcome.outcome == "done" for outcome in outcomes)
    say(f"{done} of {len(outcomes)} run {what}")
    for reason, hosts in _by_reason(outcomes).items():
        say(f"{reason}: {', '.join(hosts)}")


def _check(outcomes: list[Outcome]) -> None:
    """Raise PushError unless every device runs what was brought."""
    troubles = [f"{reason}: {len(hosts)}" for reason, hosts in _by_reason(outcomes).items()]
    if len(outcomes) == 1 and troubles:
        (outcome,) = outcomes
        raise PushError(f"{redact(outcome.host)} does not run it ({outcome.reason})")
    if troubles:
        raise PushError(f"not every device runs it ({', '.join(troubles)}); see above")


def _by_reason(outcomes: list[Outcome]) -> dict[str, list[str]]:
    """The devices with trouble, by its kind, and those that were not tried."""
    found: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.outcome != "done":
            kind = outcome.reason or outcome.outcome
            found.setdefault(kind, []).append(redact(outcome.host))
    return found
