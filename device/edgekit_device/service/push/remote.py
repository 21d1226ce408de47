"""What is done on a device, over the system's ssh."""

import os
import selectors
import shlex
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edgekit_device.service.push.outcome import (
    ABSENT,
    BROKEN,
    DAMAGED,
    MARK,
    Answer,
    Outcome,
    judge,
)

# What a device needs for a model over a slow network, and for an upgrade that is rolled back.
TIMEOUT = 600.0
# The first that ssh is told of an option counts: nothing asks, and the user may wait longer.
_FIRST = ("-T", "-o", "BatchMode=yes")
_LAST = (
    "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6",
)  # fmt: skip
# Bytes of what a device says that are kept, and of what is passed on at once.
_LONGEST, _CHUNK = 1 << 20, 1 << 16
# Seconds in which what ssh wrote at its end is read; who it leaves behind may hold the pipes open.
_GRACE = 1.0
# What is brought lies in a file without a name, of which nothing can stay behind; root gets its
# content and opens no file that a user names: that is all that sudo has to allow. The work does not
# depend on the connection: it goes on, and goes back, without it. What it says goes to stderr.
_SCRIPT = f"""\
set -eu
umask 077
LC_ALL=C.UTF-8
export LC_ALL
say() {{ printf '{MARK}%s %s\\n' "$1" "$2"; }}
status() {{ "$edgekit" service status --json 2> /dev/null | tr -d '\\n'; }}
say machine "$(uname -m)"
edgekit=EDGEKIT
if [ -z "$edgekit" ]; then
    edgekit=$(command -v edgekit || echo /opt/edgekit/bin/edgekit)
fi
if ! [ -e "$edgekit" ]; then
    echo "edgekit: there is no $edgekit" >&2
    exit {ABSENT}
fi
if ! version=$("$edgekit" --version 2>&1); then
    printf '%s\\n' "$version" >&2
    exit {BROKEN}
fi
say version "$version"
file=$(mktemp "${{TMPDIR:-/var/tmp}}/edgekit.XXXXXXXX")
exec 3<> "$file"
rm -f "$file"
cat >&3
hash=$(sha256sum < /dev/fd/3)
if [ "${{hash%% *}}" != SHA256 ]; then
    echo "edgekit: it arrived damaged" >&2
    exit {DAMAGED}
fi
say before "$(status)"
if command -v sudo > /dev/null; then
    set -- sudo -n "$edgekit"
else
    set -- "$edgekit"
fi
code=0
"$@" service COMMAND - < /dev/fd/3 >&2 3<&- || code=$?
say after "$(status)"
exit $code
"""


class Payload(NamedTuple):
    """What is brought.

    Attributes:
        command: of `edgekit service`, which takes it on standard input.
        content: its bytes.
        sha256: of them.
        model: hash of the model that runs afterwards; None for the one that runs.
    """

    command: str
    content: bytes
    sha256: str
    model: str | None


@dataclass(frozen=True)
class Connection:
    """How to reach devices.

    Attributes:
        ssh: the program.
        options: for it.
        edgekit: path of edgekit there; None for the one on PATH, or the one in /opt/edgekit.
        timeout: seconds for a device.
    """

    ssh: Path
    options: tuple[str, ...] = ()
    edgekit: str | None = None
    timeout: float = TIMEOUT

    def push(self, host: str, payload: Payload) -> Outcome:
        """Bring something to a device and let its service change to it; never raises.

        Args:
            host: as ssh takes it.
            payload: what.
        """
        script = _SCRIPT.replace("SHA256", payload.sha256).replace("COMMAND", payload.command)
        script = script.replace("EDGEKIT", shlex.quote(self.edgekit or ""))
        # The user's shell there may be any; the script is for sh.
        words = [*_FIRST, *self.options, *_LAST, "--", host, f"exec sh -c {shlex.quote(script)}"]
        started = time.monotonic()
        try:
            answer = _run([str(self.ssh), *words], payload.content, self.timeout)
        except OSError as error:
            return _failed(host, "local", f"ssh cannot be started: {error.strerror or error}")
        seconds = time.monotonic() - started
        if answer is None:
            return _failed(
                host, "slow",
                f"no end within {self.timeout:g} s; a change that has begun there ends by itself, "
                "or is taken back: look with `edgekit service status`", seconds,
            )  # fmt: skip
        return judge(host, answer, payload.model, seconds)


def _failed(host: str, reason: str, message: str, seconds: float = 0.0) -> Outcome:
    return Outcome(
        host=host, outcome="failed", reason=reason, message=message, seconds=round(seconds, 1)
    )


def _run(command: list[str], given: bytes, timeout: float) -> Answer | None:
    """Run a program with some input; None where it does not end in time.

    Of what it says the last is kept. Ctrl-C does not reach it: a push is not left half way.

    Raises:
        OSError: it cannot be started.
    """
    deadline = time.monotonic() + timeout
    # Not `child.start`: paths among the options count from the user's folder.
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = _talk(process, given, deadline)
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            ended = process.poll() is not None
        finally:
            if process.poll() is None:
                # The group: ssh may have started a proxy.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return Answer(process.returncode, output, errors) if ended else None


def _talk(process: "subprocess.Popen[bytes]", given: bytes, deadline: float) -> tuple[bytes, bytes]:
    """Give a process its input, and take what it writes until it ends or the deadline is there."""
    assert process.stdin and process.stdout and process.stderr
    left = memoryview(given)
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        for key in selector.get_map().values():
            os.set_blocking(key.fd, False)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(0.1):
                if key.fileobj is process.stdin:
                    try:
                        left = left[os.write(key.fd, left[:_CHUNK]) :]
                    except BrokenPipeError:  # It has refused the rest.
                        left = left[:0]
                    if not left:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                said[key.fd] += chunk
                del said[key.fd][:-_LONGEST]
            if process.poll() is not None:
                ended = ended or time.monotonic()
                if time.monotonic() - ended > _GRACE:
                    break
    output, errors = said.values()
    return bytes(output), bytes(errors)
