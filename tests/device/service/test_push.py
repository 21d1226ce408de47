"""What `edgekit push` does on a device, and that the documented lines of sudoers allow no more."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from edgekit_device.service.layout import COMMAND
from edgekit_device.service.push import push, remote
from edgekit_device.service.push.hosts import named_hosts
from edgekit_device.service.push.outcome import (
    ABSENT,
    BROKEN,
    DAMAGED,
    MARK,
    Answer,
    Outcome,
    judge,
)
from edgekit_device.service.push.remote import Connection, Payload
from edgekit_device.service.push.schedule import push_all

from edgekit import __version__
from edgekit.errors import ConfigurationError
from tests.conftest import ROOT
from tests.device.service.conftest import Model, fake_command, sha

_SSH = '#!/bin/sh\nfor word; do last=$word; done\nexec sh -c "$last"\n'
_SUDO = '#!/bin/sh\n[ "$1" = -n ] || exit 9\nshift\necho "$@" >> LOG\nexec "$@"\n'
# Says what it was given, and what has a name meanwhile; its status is that of an older edgekit.
_EDGEKIT = """\
#!/bin/sh
case "$*" in
    --version) echo 'edgekit, version 0.0.9, from commit f1d925e45bc4 of 2026-11-27' ;;
    'service upgrade -' | 'service configure -')
        sha256sum | cut -d" " -f1 >> LOG
        ls -A "$TMPDIR" >> LOG ;;
    *) exit 2 ;;
esac
"""


def _allowed() -> list[list[str]]:
    """The words of the commands that the lines in the documentation allow, without a password."""
    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    commands = re.findall(r"deploy ALL=\(root\) NOPASSWD: (.* -)(?:' \|)?\n", page)
    return [shlex.split(command) for command in commands]


def test_sudoers_allows_commands_with_fixed_words() -> None:
    """Nothing in them stands for other words, and none is a path that the user could choose."""
    commands = ["upgrade", "configure"]
    assert _allowed() == [[str(COMMAND), "service", command, "-"] for command in commands]
    # Wildcards match blanks and slashes as well: they would allow other options and any file.
    assert not set(str(_allowed())) & set("*?{}\\^$!")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Notes what is done on a device that is this machine; `ssh` does not leave it."""
    log, programs = tmp_path / "log", tmp_path / "bin"
    for name, text in (("ssh", _SSH), ("sudo", _SUDO), ("edgekit", _EDGEKIT)):
        fake_command(programs, name, text.replace("LOG", str(log)))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return log


@pytest.fixture
def connection(log: Path) -> Connection:
    """To that device."""
    programs = log.parent / "bin"
    return Connection(programs / "ssh", edgekit=str(programs / "edgekit"))


@pytest.mark.parametrize("command", ["upgrade", "configure"])
def test_a_push_runs_what_sudoers_allows_and_hands_the_bytes_over(
    model: Model, log: Path, connection: Connection, command: str
) -> None:
    file = model("a")
    outcome = connection.push("pi", Payload(command, file.read_bytes(), sha(file), None))
    assert outcome.outcome == "done", outcome
    assert outcome.version == "0.0.9"
    assert f"edgekit 0.0.9 there, {__version__} here" in outcome.message
    # Meanwhile nothing of them had a name.
    asked, received = log.read_text().splitlines()
    assert shlex.split(asked)[1:] == ["service", command, "-"]
    assert received == sha(file)
    assert [str(COMMAND), *shlex.split(asked)[1:]] in _allowed()
    # What arrived damaged never gets there.
    log.unlink()
    outcome = connection.push("pi", Payload(command, b"half of it", sha(file), None))
    assert (outcome.outcome, outcome.reason) == ("failed", "damaged")
    assert not log.exists()
    assert list((log.parent / "tmp").iterdir()) == []


def test_a_connection_that_breaks_leaves_nothing(log: Path, model: Model) -> None:
    script = remote._SCRIPT.replace("COMMAND", "upgrade").replace("SHA256", sha(model("a")))
    script = script.replace("EDGEKIT", str(log.parent / "bin/edgekit"))
    for ending in (signal.SIGKILL, signal.SIGHUP, signal.SIGPIPE, None):
        with subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            # More than a pipe holds: it is at work on it.
            process.stdin.write(b"x" * (1 << 18))
            process.stdin.flush()
            if ending is not None:
                os.killpg(process.pid, ending)
            process.communicate(timeout=60)
        assert not log.exists()
        assert list((log.parent / "tmp").iterdir()) == []


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_a_device_that_says_too_much_is_not_kept(
    log: Path, connection: Connection, stream: str
) -> None:
    flood = f"#!/bin/sh\n(yes | head -c 9000000) {stream}\n"
    fake_command(log.parent / "bin", "uname", flood)
    outcome = connection.push("pi", Payload("upgrade", b"x" * (1 << 20), "00ff", None))
    assert outcome.reason == "damaged"
    answer = remote._run([str(log.parent / "bin/uname")], b"", 60)
    assert answer is not None
    assert len(answer.output) + len(answer.errors) == remote._LONGEST


def test_a_device_that_never_ends_costs_its_time(log: Path) -> None:
    # What ssh starts, a proxy say, ends with it, and keeps nobody by what it holds open.
    fake_command(log.parent / "bin", "ssh", "#!/bin/sh\nsleep 1000 & echo $! > LOG\nyes\n".replace(
        "LOG", str(log)))  # fmt: skip
    outcome = Connection(log.parent / "bin/ssh", timeout=1).push(
        "pi", Payload("upgrade", b"x", "00ff", None)
    )
    assert (outcome.reason, outcome.message.partition(";")[0]) == ("slow", "no end within 1 s")
    assert 1 <= outcome.seconds < 60
    process = Path("/proc", log.read_text().strip())
    deadline = time.monotonic() + 60
    # Whoever inherits it may take a while to bury it.
    while process.exists() and process.joinpath("stat").read_text().rpartition(")")[2][1] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_stays_behind_does_not_keep_a_push(log: Path) -> None:
    """A master connection of ssh's holds its pipes open for as long as it waits for others."""
    fake_command(log.parent / "bin", "ssh", "#!/bin/sh\nsleep 300 &\necho $! > LOG\nexit 255\n"
                 .replace("LOG", str(log)))  # fmt: skip
    outcome = Connection(log.parent / "bin/ssh").push("pi", Payload("upgrade", b"x", "00ff", None))
    assert outcome.reason == "away"
    assert outcome.seconds < 60
    os.kill(int(log.read_text()), signal.SIGKILL)


def test_an_ssh_that_cannot_be_started(tmp_path: Path) -> None:
    text = tmp_path / "ssh"
    text.write_text("no program")
    outcome = Connection(text).push("pi", Payload("upgrade", b"", "00ff", None))
    assert (outcome.reason, outcome.message) == (
        "local", "ssh cannot be started: Permission denied",
    )  # fmt: skip


def _status(**health: Any) -> str:
    whole = {"state": "running", "model_sha256": "00ff", "problems": [], "later": "version"}
    return msgspec.json.encode({"unit": {}, "daemon": {"health": whole | health}}).decode()


def _answer(code: int, said: str, after: str = "") -> Answer:
    return Answer(code, f"{MARK}version {__version__}\n{MARK}after {after}\n".encode(),
                  f"edgekit: {said}\n".encode())  # fmt: skip


@pytest.mark.parametrize(
    ("after", "reason", "told"),
    [
        (_status(), None, "said"),
        (_status(state="degraded", problems=["camera: gone"]), None,
         "said; the service is degraded · camera: gone"),
        (_status()[:-1] + ', "outdated": {"configuration": "it is behind", "later": 1}}', None,
         "said; it is behind"),
        (_status(state="stalled"), "unwell", "said; the service is stalled"),
        (_status(model_sha256="fedc" * 16), "unwell",
         "said; but now the service runs model fedcfedcfedc"),
        ('{"unit": {}}', "unwell", "said; but now the service does not run"),
    ],
)  # fmt: skip
def test_what_counts_is_how_the_service_is_afterwards(
    after: str, reason: str | None, told: str
) -> None:
    outcome = judge("pi", _answer(0, "said", after), "00ff")
    assert (outcome.reason, outcome.message) == (reason, told)
    assert outcome.outcome == ("failed" if reason else "done")


@pytest.mark.parametrize("status", ["", "\ufffd", '{"daemon": "\ufffd"}', "[" * 100_000])
def test_a_device_that_says_anything_is_no_failure_here(status: str) -> None:
    outcome = judge("pi", _answer(0, "upgraded", status), "00ff")
    assert (outcome.outcome, outcome.message.partition(";")[0]) == ("done", "upgraded")
    assert "edgekit there is too old for `service status --json`" in outcome.message


@pytest.mark.parametrize(
    ("code", "said", "reason"),
    [
        (255, "ssh: Could not resolve hostname porch", "away"),
        (255, "ssh: connect to host porch port 22: Connection timed out", "away"),
        (255, "Connection to 10.0.0.1 port 22 timed out", "slow"),
        (255, "Timeout, server porch not responding.", "slow"),
        (255, "Host key verification failed.", "access"),
        (255, "pi@porch: Permission denied (publickey).", "access"),
        (1, "sudo: a password is required", "access"),
        (1, "cat: write error: No space left on device", "full"),
        (1, "cannot write /var/lib/edgekit/models/x: Disk quota exceeded", "full"),
        (1, "another change of the models is at work; wait for its end", "busy"),
        (1, "the service is paused, and tries no model", "busy"),
        (1, "no service is installed here; edgekit service install --model FILE", "service"),
        (1, "no TFLite runtime can be loaded (none); install ai-edge-litert", "runtime"),
        (1, "model 00ff was rolled back: it is not signed", "rolled-back"),
        (1, "the model on standard input is not signed", "signature"),
        (2, "line 3: there is no such key", "refused"),
        (137, "", "refused"),
        (ABSENT, "there is no /opt/edgekit/bin/edgekit", "absent"),
        (BROKEN, "sh: 1: edgekit: not found", "broken"),
        (DAMAGED, "it arrived damaged", "damaged"),
    ],
)
def test_the_kind_of_trouble_is_known_by_what_was_said(code: int, said: str, reason: str) -> None:
    outcome = judge("pi", _answer(code, said), "00ff")
    assert (outcome.outcome, outcome.reason) == ("failed", reason)
    assert said.removeprefix("ssh: ") in outcome.message


def test_every_kind_of_trouble_is_in_the_documentation() -> None:
    from edgekit_device.service.push.outcome import REASONS, SSH_REASONS

    page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    others = {"absent", "broken", "version", "damaged", "unwell", "local", "not tried"}
    for reason in {*SSH_REASONS, *REASONS, *others}:
        assert f"| `{reason}` |" in page, reason


def test_what_a_login_shell_prints_is_no_answer() -> None:
    noise = b'Welcome!\nafter {"daemon": null}\nversion 7\n'
    after = f"{MARK}after \n".encode()
    outcome = judge("pi", Answer(0, noise + after, b"model 00ff answers\n"), "00ff")
    assert (outcome.outcome, outcome.version, outcome.machine) == ("done", None, None)


def test_a_device_that_runs_something_else_and_is_content_is_not_done(
    model: Model, log: Path, connection: Connection
) -> None:
    """A forced command in authorized_keys, or a shell as /bin/true."""
    fake_command(log.parent / "bin", "ssh", "#!/bin/sh\necho Backups only.\n")
    outcome = connection.push("pi", Payload("upgrade", b"x", "00ff", "00ff"))
    assert (outcome.outcome, outcome.reason) == ("failed", "access")
    assert outcome.message.startswith("ssh ran something else there than what was asked (Backups")
    assert "forced command in sshd_config or authorized_keys" in outcome.message


def test_a_device_steers_no_terminal_and_tells_no_password() -> None:
    said = "\x1b[2J\u202ersync mqtt://me:secret@broker/\nedgekit: two\x07"
    outcome = judge("pi", Answer(1, b"", said.encode()), "00ff").shown()
    assert outcome.message == "two"
    outcome = judge("pi", Answer(1, b"", said.partition("\n")[0].encode()), "00ff").shown()
    assert "\x1b" not in outcome.message
    assert "secret" not in outcome.message


class TestSchedule:
    """Who is begun with, and when no more."""

    def run(
        self, bad: str, batch: int = 1, failures: int | None = None, stop_at: str = ""
    ) -> tuple[str, list[str]]:
        """Push to a, b, c, d; what became of each, and in which order they ended."""
        told: list[str] = []

        def push(host: str) -> Outcome:
            return Outcome(host=host, outcome="failed" if host in bad else "done", reason="away")

        outcomes = push_all(
            "abcd", push, lambda one: told.append(one.host), batch=batch, failures=failures,
            stopped=lambda: bool(stop_at) and stop_at in told,
        )  # fmt: skip
        assert [one.host for one in outcomes] == list("abcd")
        return " ".join(one.outcome for one in outcomes), told

    def test_all_are_tried(self) -> None:
        assert self.run("bc") == ("done failed failed done", ["a", "b", "c", "d"])

    def test_so_many_failures_are_enough(self) -> None:
        assert self.run("ac", failures=1)[0] == "failed not tried not tried not tried"
        assert self.run("ac", failures=2)[0] == "failed done failed not tried"
        assert self.run("ac", failures=3)[0] == "failed done failed done"

    def test_somebody_stops_it(self) -> None:
        assert self.run("", stop_at="b") == ("done done not tried not tried", ["a", "b"])

    def test_so_many_are_at_work_at_once_and_come_to_their_end(self) -> None:
        # It needs three at once to go on.
        barrier = threading.Barrier(3)
        at_work = 0
        lock = threading.Lock()

        def push(host: str) -> Outcome:
            nonlocal at_work
            with lock:
                at_work += 1
                assert at_work <= 3
            barrier.wait(60)
            with lock:
                at_work -= 1
            return Outcome(host=host, outcome="failed", reason="away")

        outcomes = push_all(
            "abcdef", push, lambda _: None, batch=3, failures=1, stopped=lambda: False
        )
        assert [one.outcome for one in outcomes] == ["failed"] * 3 + ["not tried"] * 3


def _push(*words: str | Path) -> Result:
    return CliRunner().invoke(push, [*map(str, words)])


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "names no host; write one on each line"),
        ("# none\n\n   # of them\n", "names no host"),
        ("pi@porch\n\npi@gate  # the gate\nPi@PORCH\n", "line 4: 'Pi@PORCH' is there already, in "
         "line 1; name each device once"),
        ("porch\nroot@porch\n", "line 2: 'root@porch' is there already"),
        ("ssh://pi@porch:22\nssh://pi@porch:022\n", "line 2: .* is there already"),
        ("pi@::1\n0:0:0:0:0:0:0:1\n", "line 2: '0:0:0:0:0:0:0:1' is there already, in line 1"),
        ("fe80::1%eth0\nfe80::1%eth1\nFE80:0::01%eth0\n", "line 3: .* is there already, in line 1"),
        ("10.0.0.7\n::ffff:10.0.0.7\n", "line 2: .* is there already"),
        ("porch.lan\nporch.lan.\n", "line 2: .* is there already"),
        ("[::1]\n", "not a host; an IPv6 address is written pi@fe80::1%eth0, without brackets"),
        ("pi@[::1]\n", "not a host; an IPv6 address is written"),
        ("ssh://pi@[fe80::1%eth0]:22\n", "and its port with --port .*: ssh:// takes none"),
        ("ssh://pi@::1\n", "not a host; an IPv6 address is written"),
        ("pi@1::2::3\n", "not a host; an IPv6 address is written"),
        ("pi@cam[01:50].lan\n", "not a host; ranges and patterns are not expanded"),
        ("pi@cam{1..3}\n", "not a host; ranges and patterns are not expanded"),
        ("cam*\n", "not a host; ranges and patterns are not expanded"),
        ("porch,gate\n", "line 1: .* is not a host; write one on each line"),
        ("all:\n  hosts:\n", "line 1: 'all:' is not a host; it looks like an Ansible inventory"),
        ("pi@porch#kitchen\n", "not a host; a remark begins with a blank and a #"),
        ("pi@porch\n[cameras]\n", r"line 2: '\[cameras\]' is not a host; it looks like an Ansible"),
        ("porch ansible_host=10.0.0.1\n", "line 1: .* is not a host; write one on each line"),
        ("porch, gate\n", "line 1: .* is not a host; write one on each line"),
        ("pi@porch:2222\n", "line 1: .*; a port is written ssh://pi@porch:2222"),
        ("ssh://porch:70000\n", "line 1: .* has no such port; there are 1 to 65535"),
        ("-oProxyCommand=reboot\n", "line 1: '-oProxyCommand=reboot' is not a host"),
        ("-l@porch\n", "line 1: '-l@porch' is not a host"),
        ("ssh://-oProxyCommand=reboot@porch\n", "line 1: .* is not a host"),
        ("pi@-oProxyCommand=reboot\n", "line 1: .* is not a host"),
        ("ssh://-oProxyCommand=reboot\n", "line 1: .* is not a host"),
        ("http://porch/\n", "line 1: 'http://porch/' is not a host"),
        ("pi@\n", "line 1: 'pi@' is not a host"),
        ("porch\x1b[2J\n", "line 1: .* is not a host"),
        # A ProxyCommand of ~/.ssh/config may hand the name to a shell.
        ("$(reboot)\n", "line 1: .* is not a host"),
        ("pi@porch;reboot\n", "line 1: .* is not a host"),
        ("`reboot`@porch\n", "line 1: .* is not a host"),
        ("ssh://porch|reboot:22\n", "line 1: .* is not a host"),
        ("porch\0\n", "is binary"),
    ],
)  # fmt: skip
def test_hosts_that_cannot_be_right_are_refused_before_anything_is_sent(
    model: Model, log: Path, tmp_path: Path, lines: str, told: str
) -> None:
    file = tmp_path / "hosts"
    file.write_text(lines)
    done = _push("--hosts", file, model("a"))
    assert done.exception is not None
    assert getattr(done.exception, "exit_code", None) == 2
    assert re.search(told, str(done.exception)), done.exception
    assert "\x1b" not in str(done.exception)
    assert not log.exists()


def test_a_file_that_is_no_text(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_bytes(b"pi@porch\n\xff\n")
    assert "is not UTF-8 text (line 2" in str(_push("--hosts", file, model("a")).exception)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("MODEL",), "no host is named; name one, pi@porch say, or pass --hosts FILE"),
        ((), "Missing argument 'MODEL'"),
        (("pi@porch", "pi@gate"), "there is no file 'pi@gate'; the last word names the model"),
        (("pi@porch", "gate", "pi@porch", "MODEL"), "'pi@porch' is there already, on the command"),
        (("--hosts", "HOSTS", "pi@porch", "MODEL"), "'pi@porch' is there already, on the command"),
        (("--", "-oProxyCommand=x", "MODEL"), "is not a host"),
        (("pi@porch", "--config", "CONFIG", "MODEL"), "is a file, and no host; with --config a"),
        (("--config", "CONFIG"), "no host is named"),
        (("pi@porch", "--batch", "0", "MODEL"), "--batch"),
        (("pi@porch", "--timeout", "nan", "MODEL"), "'nan' is not a number."),
        (("pi@porch", "--stop-after-failures", "0", "MODEL"), "--stop-after-failures"),
    ],
)
def test_wrong_usage(
    model: Model, log: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    (tmp_path / "hosts").write_text("pi@porch\n")
    (tmp_path / "edgekit.toml").write_text("source = 'test:'\n")
    files = {"MODEL": model("a"), "HOSTS": tmp_path / "hosts", "CONFIG": tmp_path / "edgekit.toml"}
    done = _push(*(files.get(word, word) for word in words))
    said = " ".join(f"{done.output} {done.exception}".replace("│", " ").split())
    assert told in said
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
    assert not log.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sauce = 1\n", "line 1: sauce: there is no such key; did you mean source?"),
        ("top-k = 2\n", "has no source"),
        ("source = 'test:'\nlabels = '/home/pi/x'\n", "sandbox hides homes"),
        ("source = 'test:'\nname = 'porch'\n", "2 devices would all have the name porch"),
    ],
)
def test_a_configuration_that_cannot_be_right_goes_nowhere(
    log: Path, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(text)
    done = _push("--config", file, "pi@porch", "pi@gate")
    assert told in str(done.exception)
    assert not log.exists()


@pytest.mark.parametrize("host", ["porch", "pi@porch", "pi@porch.local", "ssh://porch:2222",
                                  "fe80::1%br-lan", "pi@fe80::1", "me@corp.com@porch", "cam_7",
                                  "ssh://porch/", "bücher.example", "10.0.0.1"])  # fmt: skip
def test_what_ssh_takes_is_a_host(
    model: Model, connection: Connection, log: Path, host: str
) -> None:
    done = _push("--edgekit", str(connection.edgekit), host, model("a"))
    assert done.exit_code == 0, (done.output, done.exception)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs an OpenSSH client")
def test_what_is_no_host_here_is_none_to_the_real_ssh() -> None:
    """It would only fail later, and for each device by itself."""
    for host in ("ssh://pi@[::1]:22", "ssh://pi@::1", "ssh://[fe80::1%eth0]", "porch,gate"):
        done = subprocess.run(["ssh", "-G", "--", host], capture_output=True, check=False)
        assert done.returncode, host
    done = subprocess.run(["ssh", "-G", "pi@[::1]"], capture_output=True, check=True)
    assert b"hostname [::1]\n" in done.stdout, "it would look for that name"
    done = subprocess.run(["ssh", "-G", "pi@fe80::1%br-lan"], capture_output=True, check=True)
    assert b"hostname fe80::1%br-lan\n" in done.stdout


def test_ten_thousand_devices_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    lines = [f"pi@cam-{number:05}.lan  # row {number % 70}\r\n" for number in range(10_000)]
    file.write_text("".join(lines), encoding="utf-8-sig")
    hosts = named_hosts((), file)
    assert (len(hosts), hosts[0], hosts[-1]) == (10_000, "pi@cam-00000.lan", "pi@cam-09999.lan")
    file.write_text("".join([*lines, "root@CAM-00007.lan.\r\n"]))
    with pytest.raises(ConfigurationError, match=r"line 10001: .* is there already, in line 8;"):
        named_hosts((), file)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("rtsp://pi:hunter2@cam/live", "; leave the user alone in the address, and put the "),
        ("rtsp://cam/live?pwd=hunter2", "`source` holds what may be a password: whoever may read"),
        ("rtsp://pi@cam/live", None),
        ("v4l2:/dev/video0", None),
    ],
)
def test_a_password_that_is_brought_is_remarked_on_and_not_shown(
    log: Path, connection: Connection, tmp_path: Path, source: str, told: str | None
) -> None:
    file = tmp_path / "edgekit.toml"
    file.write_text(f'source = "{source}"\n')
    done = _push("--edgekit", str(connection.edgekit), "--config", file, "pi@porch")
    assert done.exit_code == 0, (done.output, done.exception)
    assert (told is not None) == done.output.startswith("`source` holds ")
    assert told is None or told in done.output
    assert "hunter2" not in done.output


def test_each_host_gets_it_and_progress_counts(
    model: Model, connection: Connection, log: Path, tmp_path: Path
) -> None:
    file = tmp_path / "hosts"
    # As an editor of another system writes it.
    file.write_bytes("\ufeffpi@gate\r\npi@shed # behind\r\n".encode())
    words = ("--batch", "1", "--edgekit", str(connection.edgekit), "--hosts", file, "pi@porch")
    done = _push(*words, model("a"))
    assert done.exit_code == 0, (done.output, done.exception)
    first, *lines, last = done.output.splitlines()
    assert first.endswith("to 3 device(s)")
    assert [line.split()[:3] for line in lines] == [
        [f"{number}/3", host, "done"]
        for number, host in enumerate(("pi@porch", "pi@gate", "pi@shed"), 1)
    ]
    assert last == f"3 of 3 run model {sha(model('a'))[:12]}"


def test_a_model_that_changes_meanwhile(
    model: Model, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[Path], bytes] = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: real(path) + b"more")
    done = _push("pi@porch", model("a"))
    assert "changed while it was read; try again" in str(done.exception)


def test_without_ssh(model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = model("a")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = _push("pi@porch", file)
    assert str(done.exception) == "there is no ssh here; install an OpenSSH client"


def test_a_bad_model_goes_nowhere(tmp_path: Path, log: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_text("no model")
    assert "is not a usable model" in str(_push("pi@porch", bad).exception)
    assert not log.exists()


def _blocks(*pages: str) -> list[str]:
    """The commands of the documentation that push."""
    texts = [(ROOT / "docs" / page).read_text(encoding="utf-8") for page in pages]
    blocks = [found for text in texts for found in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    return [block for block in blocks if re.search("^edgekit push", block, re.MULTILINE)]


_BLOCKS = _blocks("service.md", "fleet.md")


@pytest.mark.parametrize("block", _BLOCKS)
def test_the_commands_of_the_documentation_do_what_they_are_there_for(
    model: Model, log: Path, tmp_path: Path, block: str
) -> None:
    again = "jq" in block
    if again and shutil.which("jq") is None:
        pytest.skip("needs jq")
    fleet = (ROOT / "docs/fleet.md").read_text(encoding="utf-8")
    (hosts,) = re.findall(r"```text\n(# cameras.txt.*?)```", fleet, re.DOTALL)
    (tmp_path / "cameras.txt").write_text(hosts)
    (tmp_path / "edgekit.toml").write_text("source = 'test:'\n")
    shutil.copy(model("a"), tmp_path / "resnet18-int8.tflite")
    programs = log.parent / "bin"
    (programs / "edgekit").rename(programs / "there")
    fake_command(
        programs,
        "edgekit",
        f"""\
#!/bin/sh
[ "$1" = push ] || exec there "$@"
PYTHONPATH={ROOT} exec {sys.executable} -m edgekit "$@"
""",
    )
    # One is away, once.
    away = tmp_path / "away"
    fake_command(
        programs,
        "ssh",
        f"""\
#!/bin/sh
for word; do
    if [ "$word" = pi@shed ] && [ -e {away} ]; then rm {away}; echo ssh: away >&2; exit 255; fi
    last=$word
done
exec sh -c "$last"
""",
    )
    if again:
        away.touch()
    done = subprocess.run(
        ["sh", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    if again:
        assert (tmp_path / "again.txt").read_text() == "pi@shed\n"
    pushes = len(re.findall("^edgekit push", block, re.MULTILINE))
    assert done.stdout.count("device(s)") + done.stderr.count("device(s)") == pushes


def test_there_are_commands_in_the_documentation() -> None:
    assert len(_BLOCKS) >= 6
