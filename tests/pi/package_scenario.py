"""What happens to the Debian package on the emulated board: installed, cut short, purged.

Each step begins where the one before it has ended.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.pi.scenario import (
    CONFIG,
    DATA,
    EDGEKIT,
    ORIGINAL,
    PAYLOAD,
    TIMEOUT,
    UNIT,
    VENV,
    Step,
    answers_frames,
    config,
    health,
    labels,
    run,
    settings,
    shown,
    snapshot,
    take,
    until,
)

FIRST, SECOND = PAYLOAD / "first.deb", PAYLOAD / "second.deb"
# No release has it.
LATER = "0.99.0"
NAME = "edgekit-device"
_UNITS = Path("/etc/systemd/system")
_STATE = Path("/var/lib/edgekit")
_SECRET = Path("/etc/credstore/edgekit.mqtt-password")
_PIPS = Path("/opt/edgekit.old")
# Of a directory that is put in the place of the environment's: too small to have all of it twice.
_DISK = 230

STEPS: dict[str, Step] = {}
_before: dict[str, int] = {}
_kept: dict[Path, bytes] = {}


def step(name: str) -> Callable[[Step], Step]:
    """A step, in the order of the file; it returns what is worth telling."""

    def register(function: Step) -> Step:
        STEPS[name] = function
        return function

    return register


def install(package: Path, *options: str) -> str:
    """As docs/packages.md has it; without a network, for what it depends on is there."""
    return run("apt-get", "install", "--quiet", "--yes", *options, str(package))


def told(printed: str) -> str:
    """What the package itself said."""
    lines = [line for line in printed.splitlines() if line.startswith(NAME + ": ")]
    return "; ".join(line.removeprefix(NAME + ": ") for line in lines)


def status() -> str:
    """What dpkg says of the package."""
    return run("dpkg-query", "--show", "--showformat=${Status} ${Version}", NAME)


def check_files() -> None:
    """Check that the package's files are those that it brought; this board goes without docs."""
    lines = run("dpkg", "--verify", NAME).splitlines()
    assert not [line for line in lines if "/usr/share/" not in line], lines


def runs(version: str) -> bool:
    """Whether the service answers frames with this release."""
    return answers_frames() and health().get("version") == version


def keep() -> None:
    """Note what has to be the same afterwards."""
    models = [path for path in (_STATE / "models").iterdir() if path.suffix == ".tflite"]
    for path in (CONFIG, _SECRET, _UNITS / f"{UNIT}.d/override.conf", *models):
        _kept[path] = path.read_bytes()


def check_kept() -> None:
    """Check that it is."""
    for path, content in _kept.items():
        assert path.read_bytes() == content, path
    assert _SECRET.stat().st_mode & 0o777 == 0o600
    assert list((DATA / "history").rglob("*")), "the history is gone"


@step("a package does not overwrite what pip installed, and says how to move it away")
def _refuse() -> str:
    printed = run("dpkg", "--install", str(FIRST), code=1)
    (command,) = re.findall("sudo (mv .*)$", printed, re.M)
    assert (VENV / "bin/python").exists()
    run(*command.split())
    assert _PIPS.is_dir()
    _before.update(snapshot())
    return told(printed)


@step("apt installs it; the command is there and says the commit")
def _install() -> str:
    started = time.monotonic()
    install(FIRST)
    seconds = time.monotonic() - started
    check_files()
    assert "apt install --reinstall" in run(str(VENV / "bin/pip"), "install", "x", code=1)
    assert not (_UNITS / UNIT).exists()
    said = run("edgekit", "--version")
    assert "from commit" in said, said
    return f"{seconds:.0f} s; {said}"


@step("`edgekit service install` starts the service, which answers the clip")
def _service() -> str:
    command = [EDGEKIT, "run", "--print-config", "--source", settings()["source"], "--realtime",
               "--decision-heartbeat", "1", "--history-folder", f"{DATA}/history"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=True)
    ORIGINAL.write_bytes(done.stdout)
    _SECRET.parent.mkdir(mode=0o700, exist_ok=True)
    _SECRET.touch(0o600)
    _SECRET.write_text("a secret\n", encoding="ascii")
    run("edgekit", "service", "install", "--model", str(PAYLOAD / "model.tflite"),
        "--config", str(ORIGINAL))  # fmt: skip
    assert answers_frames(), shown()
    known = set((PAYLOAD / "classes.txt").read_text().split())
    until("a label", lambda: set(labels()) & (known - {"nothing"}))
    assert set(labels()) <= known, labels()
    return f"{health()['version']}: {', '.join(dict.fromkeys(labels()))}"


@step("upgraded while it runs: the new code answers, and what is root's and the user's stays")
def _upgrade() -> str:
    config(stall_after="12.0")
    override = _UNITS / f"{UNIT}.d/override.conf"
    override.parent.mkdir(exist_ok=True)
    override.write_text("[Service]\nNice=5\n", encoding="ascii")
    # Against the advice in its first lines.
    with (_UNITS / UNIT).open("a", encoding="ascii") as unit:
        unit.write("# by hand\n")
    until("a history", lambda: list((DATA / "history").rglob("*")))
    keep()
    before = shown()["MainPID"]
    started = time.monotonic()
    printed = install(SECOND)
    seconds = time.monotonic() - started
    until("answers of the later release", lambda: runs(LATER))
    assert shown()["MainPID"] != before
    check_kept()
    assert "# by hand" not in (_UNITS / UNIT).read_text(encoding="ascii")
    assert "# by hand" in (_UNITS / f"{UNIT}.dpkg-old").read_text(encoding="ascii")
    assert "Nice=5" in run("systemctl", "show", UNIT, "--property=Nice")
    check_files()
    known = set((PAYLOAD / "classes.txt").read_text().split())
    until("labels", lambda: set(labels()) & known)
    return f"{seconds:.0f} s; {told(printed)}"


@step("an older version over a newer one, with the service stopped and disabled: it stays so")
def _downgrade() -> str:
    run("systemctl", "disable", "--now", UNIT)
    refused = run("apt-get", "install", "--quiet", "--yes", str(FIRST), code=100)
    assert "downgrade" in refused, refused
    install(FIRST, "--allow-downgrades")
    assert shown()["ActiveState"] == "inactive"
    assert "disabled" in run("systemctl", "is-enabled", UNIT, code=1)
    run("systemctl", "enable", "--now", UNIT)
    until("answers of the earlier release", lambda: health().get("version") not in (None, LATER))
    check_kept()
    return health()["version"]


def cut_short(package: Path, when: Callable[[], object]) -> None:
    """Kill dpkg, and all that it runs, at some moment of an installation."""
    dpkg = subprocess.Popen(["dpkg", "--install", str(package)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 3 * TIMEOUT
    while not when():
        assert dpkg.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline, "that moment did not come"
        time.sleep(0.1)
    os.killpg(dpkg.pid, signal.SIGKILL)
    dpkg.wait()


def is_at_work(word: str) -> bool:
    """Whether a process has this word in its command."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in file.read_bytes().split(b"\0"):
                return True
    return False


@step("an upgrade cut short while it unpacks: the service goes on, and installing again mends")
def _cut_unpacking() -> str:
    pid = shown()["MainPID"]
    cut_short(SECOND, lambda: list(VENV.rglob("*.dpkg-new")))
    said = status()
    assert "half-installed" in said, said
    assert shown()["MainPID"] == pid
    assert answers_frames(), shown()
    # Unlike one that was unpacked, dpkg cannot finish this from what it has.
    refused = run("dpkg", "--configure", "-a")
    assert "half-installed" in status(), refused
    # And where the service, or the board, starts again meanwhile?
    run("systemctl", "restart", UNIT)
    until("answers of what is there", answers_frames)
    between = health()["version"]
    install(SECOND)
    until("answers of the later release", lambda: runs(LATER))
    check_kept()
    assert not list(VENV.rglob("*.dpkg-new"))
    check_files()
    return f"{said}; between, {between} answered"


@step("an upgrade cut short while it is configured: `dpkg --configure -a` mends")
def _cut_configuring() -> str:
    install(FIRST, "--allow-downgrades")
    until("answers of the earlier release", lambda: health().get("version") not in (None, LATER))
    cut_short(SECOND, lambda: is_at_work("compileall"))
    said = status()
    assert said.startswith("install ok half-configured"), said
    assert health()["version"] != LATER
    printed = run("dpkg", "--configure", "-a")
    until("answers of the later release", lambda: runs(LATER))
    assert status().startswith("install ok installed"), status()
    check_kept()
    return f"{said}; {told(printed)}"


@step("a full disk: dpkg refuses, and the service and its code are as before")
def _full_disk() -> str:
    spare = Path("/run/environment")
    run("cp", "--archive", str(VENV), str(spare))
    run("mount", "-t", "tmpfs", "-o", f"size={_DISK}M,mode=755", "tmpfs", str(VENV))
    run("cp", "--archive", f"{spare}/.", str(VENV))
    run("systemctl", "restart", UNIT)
    until("answers from there", lambda: runs(LATER))
    pid = shown()["MainPID"]
    printed = run("dpkg", "--install", str(FIRST), code=1)
    assert "No space left on device" in printed, printed
    assert status().startswith("install ok installed"), status()
    assert (shown()["MainPID"], health()["version"]) == (pid, LATER)
    check_files()
    assert list(VENV.rglob("__pycache__")), "the service would compile its code at each start"
    run("systemctl", "restart", UNIT)
    until("answers after that", lambda: runs(LATER))
    run("systemctl", "stop", UNIT)
    run("umount", "--lazy", str(VENV))
    run("rm", "-r", str(spare))
    run("systemctl", "start", UNIT)
    (line,) = re.findall(".*No space left.*", printed)
    return line.strip()


@step("a configuration that the new release refuses: told, and the running service goes on")
def _wrong_configuration() -> str:
    until("answers", answers_frames)
    pid, right = shown()["MainPID"], CONFIG.read_bytes()
    CONFIG.write_bytes(b"no-such-key = 1\n" + right)
    printed = install(SECOND, "--reinstall")
    assert "no-such-key" in printed, printed
    assert "the service was left as it was" in told(printed), printed
    time.sleep(5)
    assert shown()["MainPID"] == pid
    assert answers_frames(), shown()
    CONFIG.write_bytes(right)
    return told(printed)


@step("removed: the service stops, and its state stays; installed again, it answers as before")
def _remove() -> str:
    run("apt-get", "remove", "--yes", NAME)
    assert shown()["ActiveState"] == "inactive", shown()
    assert "disabled" in run("systemctl", "is-enabled", UNIT, code=1)
    assert not VENV.exists(), list(VENV.rglob("*"))[:5]
    check_kept()
    install(SECOND)
    until("answers", lambda: runs(LATER))
    assert run("systemctl", "is-enabled", UNIT) == "enabled"
    check_kept()
    return status()


@step("purged: files, folders, unit and group are gone; your secrets stay, and that is told")
def _purge() -> str:
    printed = run("apt-get", "purge", "--yes", NAME)
    assert str(_SECRET) in told(printed), printed
    _SECRET.unlink()
    _SECRET.parent.rmdir()
    after = snapshot()
    left = sorted(after.keys() - _before.keys())
    changed = [path for path in after.keys() & _before.keys() if after[path] != _before[path]]
    assert not left, left
    assert not changed, changed
    assert not _before.keys() - after.keys()
    assert not VENV.exists()
    assert not Path("/usr/bin/edgekit").is_symlink()
    run("getent", "group", "edgekit-config", code=2)
    run("getent", "passwd", "edgekit", code=2)
    assert "could not be found" in run("systemctl", "status", UNIT, code=4)
    assert not list(Path("/run").glob("edgekit*")), list(Path("/run").glob("edgekit*"))
    failed = run("systemctl", "list-units", "--failed", "--no-legend", "--plain", "edgekit*")
    assert not failed, failed
    return told(printed)


@step("installed after a purge, it answers")
def _again() -> str:
    install(FIRST)
    run("edgekit", "service", "install", "--model", str(PAYLOAD / "model.tflite"),
        "--config", str(ORIGINAL))  # fmt: skip
    assert answers_frames(), shown()
    return str(health()["version"])


def main() -> None:
    """Take all of them."""
    take(STEPS)
