"""What happens on the emulated board, as root, with the payload in /payload.

Every step raises when something is not as it should be. What became of each goes into
/payload/result.json at once, so that a board that hangs or dies has said how far it came.
"""

import fcntl
import hashlib
import http.server
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

PAYLOAD = Path("/payload")
VENV = Path("/opt/edgekit")
EDGEKIT = str(VENV / "bin/edgekit")
UNIT = "edgekit.service"
CONFIG = Path("/etc/edgekit/edgekit.toml")
STATUS = Path("/run/edgekit/status.json")
REQUEST = STATUS.with_name("request.json")
ANSWER = Path("/run/edgekit-control/answer.json")
DATA = Path("/var/lib/edgekit-data")
# As it was installed: the service may only remove it again when it is just that.
ORIGINAL = PAYLOAD / "edgekit.toml"
MATERIAL = Path("/srv/edgekit")
# Where leases are known: an overlay has none.
FROZEN = Path("/run/frozen-pictures/0003.png")
_JOURNAL = ("systemd-journald.socket", "systemd-journald-dev-log.socket",
            "systemd-journald.service")  # fmt: skip
_SIOCSIFADDR = 0x8916
# Emulated, and on a busy machine.
TIMEOUT = 120.0
# Once in hundreds of starts qemu-user hangs in a process that systemd has forked, before it becomes
# another program. Such a start is to end before this does.
_START_TIMEOUT = 75
_HUNG = re.compile(r"Killing process \d+ \(systemd\) with signal SIGKILL")
# What changes by itself while a machine runs.
_VOLATILE = re.compile(
    r"__pycache__|/etc/(mtab|machine-id|\.updated|ld\.so\.cache|resolv\.conf|hostname)"
    r"|/var/lib/(systemd|private|dbus|apt|dpkg)|/etc/(group|gshadow)-"
)

Step = Callable[[], str]
_STEPS: list[tuple[str, Step, str | None]] = []
# Commands of the present step that were run twice.
_repeated: list[str] = []


def step(name: str, kind: str | None = None) -> Callable[[Step], Step]:
    """A step, in the order of the file; it returns what is worth telling.

    Args:
        name: what it shows.
        kind: the kind of board that alone can take it.
    """

    def register(function: Step) -> Step:
        _STEPS.append((name, function, kind))
        return function

    return register


def steps(kind: str) -> dict[str, Step]:
    """The steps of a kind of board."""
    return {name: function for name, function, only in _STEPS if only in (None, kind)}


def run(*command: str, code: int = 0) -> str:
    """Run a command that is to end with this exit code; returns what it printed.

    Once more, where it failed because the emulator hung.
    """
    started = time.time()
    done = _run(*command)
    if done.returncode != code and _has_hung(started):
        _repeated.append(" ".join(command))
        _run("systemctl", "reset-failed", UNIT)
        done = _run(*command)
    if done.returncode != code:
        raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=600, check=False,
    )  # fmt: skip


def _has_hung(since: float) -> bool:
    """Whether systemd has killed a fork of itself that never became the service's program."""
    told = _run("journalctl", f"--since=@{since:.0f}", "--unit", UNIT, "--no-pager")
    return _HUNG.search(told.stdout) is not None


def until(what: str, condition: Callable[[], object], timeout: float = TIMEOUT) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; {shown()}")
        time.sleep(0.5)


def shown() -> dict[str, str]:
    """What systemd says of the service."""
    names = "ActiveState,SubState,MainPID,NRestarts,Result,ExecMainStatus"
    lines = run("systemctl", "show", UNIT, f"--property={names}").splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def health() -> dict[str, Any]:
    """What the service's present process says of itself; empty when it says nothing."""
    try:
        status = json.loads(STATUS.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return status["health"] if str(status["pid"]) == shown()["MainPID"] else {}


def is_in(*states: str) -> bool:
    """Whether it says that it is in one of these states."""
    return health().get("state") in states


def answers_frames() -> bool:
    """Whether it says that it does."""
    return shown()["ActiveState"] == "active" and is_in("running", "degraded")


def journal() -> str:
    """What the service and systemd about it have written since the boot."""
    return run("journalctl", "--boot", "--unit", UNIT, "--output=cat", "--no-pager")


def labels() -> list[str]:
    """The labels of the present process's events, in their order."""
    match = f"_PID={shown()['MainPID']}"
    lines = run("journalctl", "--boot", "--output=cat", "--no-pager", match).splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [label["label"] for event in events for label in event["labels"][:1]]


def config(file: Path = CONFIG, **changes: str) -> None:
    """Edit a configuration as a user would: keys of the top get other values."""
    text = file.read_text(encoding="utf-8")
    for name, value in changes.items():
        key = name.replace("_", "-")
        text, found = re.subn(rf"^#?{key} =.*", f"{key} = {value}", text, count=1, flags=re.M)
        assert found, key
    file.write_text(text, encoding="utf-8")


def snapshot() -> dict[str, int]:
    """Every file, and every folder of its own, that an installation might leave, with its size."""
    found = {}
    for folder in ("/etc", "/var/lib", "/usr/lib/systemd", "/usr/lib/udev", str(VENV)):
        for path in Path(folder).rglob("*"):
            # An empty folder that belongs to the system, such as /etc/sysusers.d, is no trace.
            if not _VOLATILE.search(str(path)) and (path.is_file() or "edgekit" in path.name):
                found[str(path)] = -1 if path.is_dir() else path.lstat().st_size
    return found


def prepare_board() -> None:
    """Put the recordings in place, and give the board a camera and the emulator what it can do."""
    MATERIAL.mkdir(parents=True)
    for name in ("clip.avi", "pictures"):
        run("cp", "-r", str(PAYLOAD / name), str(MATERIAL))
    if settings()["kind"] == "machine":
        run("modprobe", "vivid", "n_devs=1", "node_types=0x1", "input_types=0x00")
        until("a camera", Path("/dev/video0").exists)
    else:
        # systemd clones into new name spaces for credentials and accounts, which qemu-user does not
        # emulate.
        drop_in = Path(f"/run/systemd/system/{UNIT}.d/emulator.conf")
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text(
            "[Service]\nLoadCredential=\nPrivateUsers=no\n"
            f"TimeoutStartSec={_START_TIMEOUT}\n", encoding="ascii"
        )  # fmt: skip


def settings() -> dict[str, str]:
    """What this board is: `kind`, `container` or `machine`, and `source`."""
    return json.loads((PAYLOAD / "settings.json").read_text())  # type: ignore[no-any-return]


_before: dict[str, int] = {}


@step("pip installs the wheels, with a runtime for this Python")
def _install_wheels() -> str:
    run(str(VENV / "bin/pip"), "install", "--quiet", "--no-index",
        "--find-links", str(PAYLOAD / "wheels"), "edgekit-device[page]")  # fmt: skip
    run(str(VENV / "bin/pip"), "check")
    _before.update(snapshot())
    installed = (path.stem for path in VENV.glob("lib/python3*/site-packages/*.dist-info"))
    wanted = ("numpy", "opencv", "tflite", "ai_edge")
    chosen = ", ".join(sorted(name for name in installed if name.startswith(wanted)))
    return f"Python {sys.version.split()[0]}: {chosen}"


@step("the same frames are answered as elsewhere")
def _answer() -> str:
    run(str(VENV / "bin/python"), str(PAYLOAD / "answers.py"), str(PAYLOAD / "model.tflite"),
        str(PAYLOAD / "frames.npz"), str(PAYLOAD / "answers.npz"))  # fmt: skip
    return "compared below"


@step("doctor finds a runtime that works, and no service")
def _doctor() -> str:
    printed = subprocess.run([EDGEKIT, "doctor", "--json"], stdout=subprocess.PIPE, timeout=300,
                             check=False).stdout  # fmt: skip
    findings = json.loads(printed)["diagnoses"]
    levels = {finding["check"]: finding["level"] for finding in findings}
    assert levels["runtime"] == levels["opencv"] == levels["numpy"] == "ok", findings
    assert levels["service"] == "note", findings
    return "; ".join(f"{f['check']}: {f['level']}" for f in findings if f["level"] != "ok")


@step("a dry run changes nothing", kind="container")
def _dry_run() -> str:
    model = str(PAYLOAD / "model.tflite")
    said = run(EDGEKIT, "service", "install", "--model", model, "--dry-run")
    assert snapshot() == _before
    return f"{len(said.splitlines())} lines"


@step("one command installs the service and waits for its first answer")
def _install() -> str:
    # A small, slow picture: the kernel's camera takes half an emulated processor otherwise.
    command = [EDGEKIT, "run", "--print-config", "--source", settings()["source"], "--realtime",
               "--decision-heartbeat", "1", "--camera-width", "320", "--camera-height", "180",
               "--camera-fps", "5"]  # fmt: skip
    # Libraries of Debian's OpenCV complain of the emulator on standard error.
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=True)
    ORIGINAL.write_bytes(done.stdout)
    started = time.monotonic()
    run(EDGEKIT, "service", "install", "--model", str(PAYLOAD / "model.tflite"),
        "--config", str(ORIGINAL))  # fmt: skip
    assert answers_frames(), shown()
    state = shown()
    owner = re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{state['MainPID']}/status").read_text(), re.M)
    assert owner is not None
    assert int(owner[1]) >= 61184, f"runs as user {owner[1]}, not as one made for it"
    # The service's own umask would hide it.
    run("runuser", "-u", "nobody", "--", "cat", str(STATUS))
    # It may hold passwords; the service reads it all the same.
    run("runuser", "-u", "nobody", "--", "cat", str(CONFIG), code=1)
    # What it has seen is its own.
    status = DATA.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (int(owner[1]), 0o700), status
    run("runuser", "-u", "nobody", "--", "ls", f"{DATA}/", code=2)
    said = health()
    return (
        f"{time.monotonic() - started:.0f} s, user {owner[1]}: {said['state']}, {said['runtime']}"
    )


@step("labels appear in the journal")
def _labels() -> str:
    known = set((PAYLOAD / "classes.txt").read_text().split())
    # The kernel's camera shows stripes, which are no toy.
    wanted = known if settings()["kind"] == "machine" else known - {"nothing"}
    until("a label", lambda: set(labels()) & wanted)
    assert set(labels()) <= known, labels()
    return ", ".join(dict.fromkeys(labels()))


@step("what the running service sees is recorded, and it goes on")
def _record() -> str:
    clip, before = Path("/root/seen.clip"), shown()["MainPID"]
    run(EDGEKIT, "record", "--service", "--output", str(clip), "--max-seconds", "2")
    # Not its exit code: the service's scores were smoothed over frames before the clip's first.
    command = [EDGEKIT, "replay", clip, "--model", PAYLOAD / "model.tflite", "--json"]
    printed = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=False).stdout
    replayed = json.loads(printed)
    assert replayed["frames"] > 0, replayed
    assert replayed["inputs_differ"] == 0, replayed
    assert shown()["MainPID"] == before
    assert answers_frames(), shown()
    return f"{replayed['frames']} frames, {clip.stat().st_size:,} bytes"


@step("the live page can be switched on while it runs", kind="container")
def _live_page() -> str:
    # As docs/raspberry-pi.md says it.
    run("sed", "-i", 's/^#listen =.*/listen = "127.0.0.1:8080"/', str(CONFIG))
    pid = shown()["MainPID"]
    run("systemctl", "reload", UNIT)

    def page() -> str:
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080/healthz", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    until("the page", page)
    assert shown()["MainPID"] == pid
    told = json.loads(page())
    assert told["state"] in ("running", "degraded"), told
    CONFIG.write_bytes(ORIGINAL.read_bytes())
    run("systemctl", "reload", UNIT)
    return f"{told['runtime']}, {told['frames']} frames"


@step("it reaches what its configuration names, and nobody else", kind="machine")
def _network() -> str:
    # An address that is not this machine's own in the eyes of systemd, though it is.
    other, port = "192.0.2.1", 8000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        address = struct.pack("=16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(other))
        fcntl.ioctl(any_socket, _SIOCSIFADDR, address)
    server = http.server.HTTPServer((other, port), _Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pid = shown()["MainPID"]
    config(url=f'"http://{other}:{port}/"')
    # Not through systemctl: nobody opens the network, and what is sent goes nowhere.
    os.kill(int(pid), signal.SIGHUP)
    until("a complaint", lambda: any("webhook: " in text for text in health()["problems"]))
    complaint = "; ".join(health()["problems"])
    assert not health()["sinks"]["webhook"]["sent"], health()
    run("systemctl", "reload", UNIT)
    until("an event at the webhook", lambda: health()["sinks"]["webhook"]["sent"])
    server.shutdown()
    server.server_close()
    assert f"network: this machine, {other}" in journal()
    CONFIG.write_bytes(ORIGINAL.read_bytes())
    run("systemctl", "reload", UNIT)
    until("no complaint", lambda: is_in("running"))
    assert shown()["MainPID"] == pid
    return complaint


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@step("it survives a journal that is restarted, killed, and away for a while")
def _journal() -> str:
    told = []
    for what, command in (
        ("restarted", ("restart", "systemd-journald")),
        # Of a 32-bit systemd under the emulator, the list of its other processes cannot be read.
        ("killed", ("kill", "--kill-who=main", "--signal=KILL", "systemd-journald")),
        ("away", ("stop", *_JOURNAL)),
    ):
        before = shown()["MainPID"]
        run("systemctl", *command)
        if what == "away":
            # Events come every second, and find nobody.
            time.sleep(5)
            run("systemctl", "start", *_JOURNAL)
        until(f"answers after a journal that was {what}", answers_frames)
        until(f"labels after a journal that was {what}", partial(_has_more_labels, len(labels())))
        again = "" if shown()["MainPID"] == before else " (started again)"
        told.append(f"{what}{again}")
    return ", ".join(told)


def _has_more_labels(before: int) -> bool:
    return len(labels()) > before


@step("status says that it runs; a second install changes nothing", kind="container")
def _again() -> str:
    pid = shown()["MainPID"]
    status = run(EDGEKIT, "service", "status")
    told = json.loads(run(EDGEKIT, "service", "status", "--json"))
    assert told["unit"]["pid"] == told["daemon"]["pid"] == int(pid), told
    run(EDGEKIT, "service", "logs", "-n", "5")
    again = run(EDGEKIT, "service", "install", "--model", str(PAYLOAD / "model.tflite"))
    assert shown()["MainPID"] == pid, again
    return status.splitlines()[0]


@step("a better model is taken without a restart")
def _upgrade() -> str:
    pid = shown()["MainPID"]
    said = run(EDGEKIT, "service", "upgrade", str(PAYLOAD / "colours.tflite"))
    assert shown()["MainPID"] == pid
    until("a colour", lambda: labels()[-1] in ("red", "green", "blue"))
    return said.splitlines()[-1]


@step("what the daemon asks for reaches root, which does it")
def _request() -> str:
    pid, path, before = shown()["MainPID"], "edgekit-control.path", health()["model_sha256"]
    assert not _is_active(path)
    # It is kept beside the one that runs, as the one before; now it has a name.
    model = PAYLOAD / "model.tflite"
    run(EDGEKIT, "service", "models", "add", str(model), "--name", "toys")
    # A shorter probation, and a token for who may ask.
    token = CONFIG.with_name("token")
    token.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    os.chown(token, 0, CONFIG.stat().st_gid)
    token.chmod(0o640)
    config(stall_after="6.0", inference_timeout="6.0", http="true", token_file=f'"{token}"',
           listen='"127.0.0.1:8080"')  # fmt: skip
    run("systemctl", "reload", UNIT)
    until("that requests are waited for", partial(_is_active, path))
    request = {"id": "0" * 32, "kind": "rollback", "sha256": None, "asked_by": "a phone"}
    temporary = REQUEST.with_name("new.json")
    temporary.write_text(json.dumps(request), encoding="ascii")
    temporary.replace(REQUEST)
    until("an answer", lambda: _answer_of_root().get("state") in ("done", "failed"))
    answer = _answer_of_root()
    assert answer["state"] == "done", answer
    assert health()["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest() != before
    assert shown()["MainPID"] == pid
    said = run("journalctl", "--boot", "--unit", "edgekit-control.service", "--output=cat")
    assert "a phone wants the model before" in said, said
    CONFIG.write_bytes(ORIGINAL.read_bytes())
    token.unlink()
    run("systemctl", "reload", UNIT)
    until("that no request is waited for", lambda: not _is_active(path))
    return answer["message"]


def _is_active(unit: str) -> bool:
    return subprocess.run(["systemctl", "--quiet", "is-active", unit], check=False).returncode == 0


def _answer_of_root() -> dict[str, str]:
    """What root says of the last request; empty where it has said nothing."""
    try:
        return json.loads(ANSWER.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    except OSError:
        return {}


@step("the model before comes back, and one is chosen by its name", kind="machine")
def _go_back() -> str:
    pid = shown()["MainPID"]
    run(EDGEKIT, "service", "rollback")
    until("a colour", lambda: labels()[-1] in ("red", "green", "blue"))
    run(EDGEKIT, "service", "use", "toys")
    assert shown()["MainPID"] == pid
    return run(EDGEKIT, "service", "models").splitlines()[0]


@step("a damaged model is refused", kind="container")
def _refuse() -> str:
    model = health()["model_sha256"]
    said = run(EDGEKIT, "service", "upgrade", str(PAYLOAD / "damaged.tflite"), code=1)
    assert health()["model_sha256"] == model
    return said.splitlines()[-1]


@step("another configuration is kept where the service does well with it, else taken back")
def _configure() -> str:
    pid, other = shown()["MainPID"], MATERIAL / "other.toml"
    other.write_bytes(ORIGINAL.read_bytes())
    config(other, stall_after="6.0", inference_timeout="6.0")
    run(EDGEKIT, "service", "configure", str(other))
    kept = CONFIG.read_bytes()
    assert kept == other.read_bytes()
    config(other, source='"v4l2:/dev/video77"')
    said = run(EDGEKIT, "service", "configure", str(other), code=1)
    assert "was taken back" in said, said
    assert CONFIG.read_bytes() == kept
    until("answers as before", lambda: is_in("running"))
    run(EDGEKIT, "service", "configure", str(ORIGINAL))
    assert shown()["MainPID"] == pid
    return said.splitlines()[-1]


@step("a segmentation fault starts it again, paused if it was")
def _segmentation_fault() -> str:
    before = shown()
    paused = DATA / "paused"
    paused.touch()
    os.kill(int(before["MainPID"]), 11)
    until("another process", lambda: shown()["MainPID"] not in ("0", before["MainPID"]))
    until("that it is paused", lambda: is_in("paused"))
    assert not labels()
    paused.unlink()
    run("systemctl", "restart", UNIT)
    until("answers after the fault", answers_frames)
    until("labels after the fault", labels)
    return f"user {DATA.stat().st_uid}"


@step("a source that freezes trips the watchdog, and it recovers")
def _freeze() -> str:
    # A picture that never comes, as from a network share that hangs: who opens a file waits for
    # another's lease on it, up to 45 s. The unit's own minute would only take longer.
    run("cp", "-r", str(MATERIAL / "pictures"), str(FROZEN.parent))
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the kernel asks for the lease back
    lease = os.open(FROZEN, os.O_RDONLY)
    fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    drop_in = Path(f"/run/systemd/system/{UNIT}.d/watchdog.conf")
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("[Service]\nWatchdogSec=10\n", encoding="ascii")
    config(source=f'"{FROZEN.parent}"')
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "restart", UNIT)
    started = time.monotonic()
    until("a stall that is told", lambda: is_in("stalled"))
    until("the watchdog", lambda: "Watchdog timeout" in journal())
    fired = time.monotonic() - started
    until("a restart", lambda: int(shown()["NRestarts"]) >= 1)
    os.close(lease)
    drop_in.unlink()
    CONFIG.write_bytes(ORIGINAL.read_bytes())
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", UNIT)
    until("answers after the freeze", answers_frames)
    return f"after {fired:.0f} s"


@step("a model that the service cannot use is rolled back")
def _roll_back() -> str:
    # For an accelerator that is not there: only the service itself can find that out.
    config(delegate='"edgetpu"', allow_cpu_fallback="true")
    run("systemctl", "restart", UNIT)
    until("answers from the CPU", lambda: is_in("degraded"))
    model = health()["model_sha256"]
    said = run(EDGEKIT, "service", "upgrade", str(PAYLOAD / "compiled.tflite"), code=1)
    assert "rolled back" in said, said
    until("answers as before", answers_frames)
    assert health()["model_sha256"] == model
    CONFIG.write_bytes(ORIGINAL.read_bytes())
    run("systemctl", "reload", UNIT)
    until("no complaint", lambda: is_in("running"))
    return said.splitlines()[-1]


@step("a camera that is pulled out and put back is used again", kind="machine")
def _unplug() -> str:
    driver = Path("/sys/bus/platform/drivers/vivid")
    (driver / "unbind").write_text("vivid.0", encoding="ascii")
    until("a complaint", lambda: any("camera:" in text for text in health().get("problems", [])))
    complaint = "; ".join(health()["problems"])
    (driver / "bind").write_text("vivid.0", encoding="ascii")
    until("answers again", lambda: is_in("running"))
    return complaint


@step("uninstall leaves nothing")
def _uninstall() -> str:
    run(EDGEKIT, "service", "uninstall")
    after = snapshot()
    left = {path for path in after if path not in _before}
    changed = {path for path in after.keys() & _before.keys() if after[path] != _before[path]}
    gone = _before.keys() - after.keys()
    assert not left | changed | gone, (left, changed, gone)
    assert not STATUS.parent.exists()
    assert not ANSWER.parent.exists()
    assert not DATA.is_symlink()
    assert "could not be found" in run("systemctl", "status", UNIT, code=4)
    return f"{len(after)} files as before"


def take(all_steps: dict[str, Step]) -> None:
    """Take every step until one fails."""
    prepare_board()
    results: list[dict[str, object]] = []
    for name, function in all_steps.items():
        started = time.monotonic()
        _repeated.clear()
        try:
            result = {"step": name, "passed": True, "told": _told(function())}
        except Exception as error:
            told = str(error) or type(error).__name__
            result = {"step": name, "passed": False, "told": f"{told}\n\n{_post_mortem()}"}
        results.append(result | {"seconds": round(time.monotonic() - started, 1)})
        partial = PAYLOAD / "result.partial"
        partial.write_text(json.dumps(results), encoding="utf-8")
        partial.replace(PAYLOAD / "result.json")
        os.sync()
        if not result["passed"]:
            break


def _told(told: str) -> str:
    """With what was run twice."""
    return "\n".join((told, *(f"twice, for the emulator hung: {one}" for one in _repeated)))


def _post_mortem() -> str:
    """The end of the journal, for what failed."""
    done = subprocess.run(["journalctl", "--boot", "--no-pager", "--lines=40"],
                          stdout=subprocess.PIPE, text=True, timeout=60, check=False)  # fmt: skip
    return done.stdout


def main() -> None:
    """Take those of this board."""
    take(steps(settings()["kind"]))
