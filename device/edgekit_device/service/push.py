"""`edgekit push`: bring a model to devices over ssh, and let them change to it."""

import hashlib
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from edgekit import child
from edgekit.errors import PushError
from edgekit.files import decode_json
from edgekit.model.container import ModelFile, read_model
from edgekit.redaction import redact
from edgekit.text import last_line, one_line

_AT_ONCE = 16
# What a device needs for a model over a slow network, and for an upgrade that is rolled back.
_TIMEOUT = 600.0
_SSH = (
    "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=6",
)  # fmt: skip
# ssh itself failed, rather than what it ran.
_SSH_FAILED = 255
# Read from stdin into a private temporary file, which goes whatever happens; root gets its content
# and opens no file that a user names: that is all that sudo has to allow. The upgrade does not
# depend on the connection: it goes on, and rolls back, without it. What it says goes to stderr, so
# that stdout is JSON alone: the state of the service afterwards.
_SCRIPT = """\
set -eu
umask 077
file=$(mktemp /var/tmp/edgekit.XXXXXXXX)
trap 'rm -f "$file"' EXIT
trap 'exit 1' HUP INT TERM
cat > "$file"
hash=$(sha256sum < "$file")
if [ "${hash%% *}" != SHA256 ]; then
    echo "edgekit: the model arrived damaged" >&2
    exit 1
fi
edgekit=EDGEKIT
if [ -z "$edgekit" ]; then
    edgekit=$(command -v edgekit || echo /opt/edgekit/bin/edgekit)
fi
if command -v sudo > /dev/null; then
    sudo -n "$edgekit" service upgrade - < "$file" >&2
else
    "$edgekit" service upgrade - < "$file" >&2
fi
"$edgekit" service status --json 2> /dev/null || :
"""


class _Health(msgspec.Struct, frozen=True):
    state: str
    model_sha256: str
    problems: list[str]


class _Daemon(msgspec.Struct, frozen=True):
    health: _Health


class _Service(msgspec.Struct, frozen=True):
    """What is read of a device's `service status --json`; it may be of another version."""

    daemon: _Daemon | None = None


@dataclass(frozen=True)
class Outcome:
    """How it went with a device.

    Attributes:
        host: the device.
        done: whether it runs the model now.
        text: what it said last.
    """

    host: str
    done: bool
    text: str


@dataclass(frozen=True)
class Connection:
    """How to reach devices.

    Attributes:
        options: for ssh.
        edgekit: path of edgekit there; None for the one on PATH, or the one in /opt/edgekit.
        timeout: seconds for a device.
    """

    options: tuple[str, ...] = ()
    edgekit: str | None = None
    timeout: float = _TIMEOUT

    def push(self, host: str, content: bytes, sha256: str) -> Outcome:
        """Bring a model to a device and let it change to it.

        Args:
            host: as ssh takes it.
            content: of the model file.
            sha256: its hash.
        """
        script = _SCRIPT.replace("SHA256", sha256)
        script = script.replace("EDGEKIT", shlex.quote(self.edgekit or ""))
        # The user's shell there may be any; the script is for sh.
        ssh = child.find("ssh")
        if ssh is None:
            return Outcome(host, False, "there is no ssh here; install an OpenSSH client")
        command = [str(ssh), *_SSH, *self.options, "--", host, f"exec sh -c {shlex.quote(script)}"]
        try:
            # Not `child.run`: paths among the options count from the user's folder.
            done = subprocess.run(
                command, input=content, capture_output=True, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(host, False, f"no end within {self.timeout:g} s")
        said = last_line(done.stderr or done.stdout).removeprefix("edgekit: ")
        if done.returncode == 0:
            return _judge(host, said, done.stdout, sha256)
        if done.returncode == _SSH_FAILED:
            said = f"ssh: {said.removeprefix('ssh: ')}"
        elif said.startswith("sudo:"):  # Programs begin what they complain of with their name.
            said += f"; let the user run {self.edgekit or 'edgekit'} without a password (NOPASSWD)"
        return Outcome(host, False, said)


def _judge(host: str, said: str, status: bytes, sha256: str) -> Outcome:
    """How it went with a device whose upgrade succeeded.

    Args:
        host: the device.
        said: the last line of its upgrade.
        status: what its `service status --json` printed.
        sha256: of the model that it should run.
    """
    try:
        daemon = decode_json(status, _Service).daemon
    except ValueError:
        # The upgrade itself ended well, which it does only when frames are answered.
        told = "edgekit there is too old for `service status --json`; update edgekit-device"
        return Outcome(host, True, f"{said}; {told}")
    if daemon is None:
        return Outcome(host, False, f"{said}; but now the service does not run")
    health = daemon.health
    if health.model_sha256 != sha256:
        running = health.model_sha256[:12]
        return Outcome(host, False, f"{said}; but now the service runs model {running}")
    well = health.state in ("running", "degraded")
    if health.state != "running":
        said = " · ".join([f"{said}; the service is {health.state}", *health.problems])
    return Outcome(host, well, said)


def _check_hosts(_context: click.Context, _name: object, hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        # ssh would take it for an option.
        if host.startswith("-") or not host.strip():
            raise click.BadParameter(f"{host!r} is not a host")
    return tuple(dict.fromkeys(hosts))


@click.command()
@click.argument("hosts", nargs=-1, required=True, metavar="HOST…", callback=_check_hosts)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
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
    type=click.FloatRange(1),
    default=_TIMEOUT,
    show_default=True,
    help="Seconds for each device, the upgrade included.",
)
def push(
    hosts: tuple[str, ...],
    model: Path,
    identity: Path | None,
    port: int | None,
    options: tuple[str, ...],
    edgekit: str | None,
    timeout: float,
) -> None:
    """Bring MODEL to devices over ssh, and let their service change to it.

    HOST is what ssh takes: user@name, a name from ~/.ssh/config, ssh://user@name:port. Devices are
    served side by side. On each, the hash is compared and `sudo edgekit service upgrade` is run:
    it checks the model, and takes it back when frames are not answered with it. ssh and sudo must
    work without asking. The exit code is 1 if a device does not run the model in the end.

    \b
    Examples:
      edgekit push pi@porch resnet18-int8.tflite
      edgekit push pi@porch pi@gate pi@shed resnet18-int8.tflite
    """
    file = read_model(model)
    content = _content(file)
    words = [word for option in options for word in ("-o", option)]
    words += ["-i", str(identity)] if identity else []
    words += ["-p", str(port)] if port else []
    connection = Connection(tuple(words), edgekit, timeout)
    outcomes = []
    click.echo(f"model {file.sha256[:12]}, {len(content) / 1e6:.1f} MB, to {len(hosts)} device(s)")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        futures = [pool.submit(connection.push, host, content, file.sha256) for host in hosts]
        width = max(map(len, hosts))
        for future in as_completed(futures):
            outcome = future.result()
            outcomes.append(outcome)
            word = "done" if outcome.done else "failed"
            # A device's words must not steer this terminal.
            text = one_line(redact(outcome.text))
            click.echo(f"{redact(outcome.host):<{width}}  {word:<6}  {text}")
    failed = [outcome.host for outcome in outcomes if not outcome.done]
    if len(hosts) > 1:
        click.echo(f"{len(hosts) - len(failed)} of {len(hosts)} run model {file.sha256[:12]}")
    if failed:
        raise PushError(f"not upgraded: {', '.join(sorted(failed))}")


def _content(file: ModelFile) -> bytes:
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise PushError(f"cannot read the model {file.path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise PushError(f"{file.path} changed while it was read; try again")
    return content
