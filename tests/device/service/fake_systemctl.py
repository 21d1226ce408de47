"""Stands in for systemctl, with a service whose model and configuration decide how it fares.

The state is a JSON file that `FAKE_SYSTEMD` names. As with the real thing, time passes between two
calls: that is when the daemon notices a switched link, and when systemd starts it again. The daemon
leaves a status in the runtime directory, which systemd removes when it ends.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

FILE = Path(os.environ["FAKE_SYSTEMD"])


def target(state):
    return Path(state["link"]).resolve().stem


def behaviour(state):
    return state["behaviour"].get(target(state), "good")


def configuration(state):
    """Hash of the configuration that is there."""
    path = Path(state["config"])
    return hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()


def follow(state):
    """The daemon reads the configuration that is there, and follows it."""
    state["follows"] = configuration(state)
    path = Path(state["config"])
    if path.exists():
        status = path.stat()
        state["read"] = {"path": str(path), "inode": status.st_ino, "size": status.st_size,
                         "modified_ns": status.st_mtime_ns}  # fmt: skip


def configured(state):
    """How the service fares with the configuration that is there."""
    return state["behaviour"].get(configuration(state), "good")


def reload(state):
    """What the daemon does with the configuration that is there."""
    how = configured(state)
    state["late"] = 3 if how == "late" else 0
    if how == "crashes":
        crash(state)
    elif state["late"]:
        pass
    elif how != "unread":
        state["reloads"] += 1
        kept = {part: text for part, text in state["problems"].items() if part == "board"}
        wrong = {
            "refused": {"configuration": "no good; going on with the one before"},
            "away": {"mqtt": "connection refused"},
        }
        if how != "refused":
            follow(state)
        said = {"stalls": "stalled", "pauses": "paused"}.get(how, "running")
        state.update(problems=kept | wrong.get(how, {}), state=said)


def crash(state):
    state.update(active="activating", sub="auto-restart", pid=0, result="signal", exit=11)


def start(state):
    """What the daemon does with the model it finds at its start; whether it gets ready."""
    how = behaviour(state) if configured(state) not in ("crashes", "refused") else "refused"
    state.update(problems={}, refused_model=None, state="running", loaded=target(state), reloads=0)
    state.update(version=state["installed"][0], commit=state["installed"][1], code="")
    if how == "good":
        follow(state)
        if configured(state) == "away":
            state["problems"] = {"mqtt": "connection refused"}
        state["next_pid"] += 1
        state.update(active="active", sub="running", pid=state["next_pid"], result="success")
        return True
    state.update(active="activating", sub="auto-restart", pid=0)
    state.update(result="exit-code", exit=1) if how == "refused" else crash(state)
    return False


def meanwhile(state):
    """What happens between two calls."""
    if state["late"]:
        state["late"] -= 1
        if not state["late"]:
            state["reloads"] += 1
            follow(state)
    if state["sub"] == "stop-watchdog":
        state.update(active="activating", sub="auto-restart", pid=0)
    elif state["sub"] == "auto-restart":
        state["restarts"] += 1
        start(state)
    elif state["pid"] and target(state) != state["loaded"]:
        how = behaviour(state)
        if how == "refused":
            state["refused_model"] = "no good; going on with the one before"
        elif how == "crashes":
            crash(state)
        elif how == "aborts":
            # Killed by its watchdog: not gone yet, and without one for now.
            state.update(loaded=target(state), active="deactivating", sub="stop-watchdog", fed=0)
            state["result"] = "watchdog"
        elif how != "ignored":
            # A daemon that is paused stays so, whatever the model.
            said = {"stalls": "stalled", "pauses": "paused"}.get(how, "running")
            said = "paused" if state["state"] == "paused" else said
            state.update(loaded=target(state), state=said)
    elif state["pid"]:
        # One that hangs goes on saying what it said last.
        if behaviour(state) != "hangs":
            state["fed"] = int(state["now"] * 1e6)
        state["refused_model"] = None


def leave_status(state):
    """What the daemon writes, and what becomes of it."""
    folder = Path(state["runtime"])
    if not state["pid"] or state["silent"]:
        shutil.rmtree(folder, ignore_errors=True)
        return
    problems = dict(state["problems"])
    if state["refused_model"]:
        problems["model"] = state["refused_model"]
    health = {
        "ts": "2026-01-05T10:00:00.000Z", "name": "pi", "state": state["state"],
        "problems": [f"{part}: {text}" for part, text in problems.items()],
        "version": state["version"], "commit": state["commit"], "uptime_s": 1.0,
        "source": "test:", "model": "model.tflite",
        "model_sha256": state["loaded"], "runtime": "fake", "accelerator": "cpu", "frames": 5,
        "dropped": 0, "events": 1, "fps": 5.0, "memory_bytes": 1, "restarts": {}, "sinks": {},
        "model_signer": "unsigned",
    }  # fmt: skip
    if state["drift"]:
        health["drift"] = state["drift"]
    status = {"pid": state["pid"], "health": health, "problems": problems,
              "reloads": state["reloads"], "configuration": state["read"],
              "code": state["code"]}  # fmt: skip
    if state["refused_model"]:
        status["refused_model"] = state["refused_model"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps(status))


def show(state):
    wants = Path(state["unit"]).parent / "multi-user.target.wants" / "edgekit.service"
    facts = {
        "LoadState": "loaded" if Path(state["unit"]).exists() else "not-found",
        "ActiveState": state["active"], "SubState": state["sub"],
        "UnitFileState": "enabled" if wants.is_symlink() else "disabled",
        "MainPID": state["pid"], "NRestarts": state["restarts"], "Result": state["result"],
        "ExecMainStatus": state["exit"], "ActiveEnterTimestamp": "Mon 2026-01-05 10:00:00 UTC",
        "WatchdogTimestampMonotonic": state["fed"],
    }  # fmt: skip
    print("\n".join(f"{key}={value}" for key, value in facts.items()))


def main(verb, *rest):
    if verb == os.environ.get("FAKE_SYSTEMD_REFUSES"):
        print("Access denied", file=sys.stderr)
        return 1
    state = json.loads(FILE.read_text())
    wants = Path(state["unit"]).parent / "multi-user.target.wants" / "edgekit.service"
    well = True
    if verb == "show":
        meanwhile(state)
        show(state)
    else:
        state["calls"].append(" ".join([verb, *rest]))
    ours = not any("edgekit-control" in word for word in rest)
    if verb in ("start", "restart") and ours:
        well = start(state)
    if verb == "reload":
        reload(state)
    if (verb == "stop" and ours) or "--now" in rest:
        state.update(active="inactive", sub="dead", pid=0, result="success")
    if verb == "enable":
        wants.parent.mkdir(parents=True, exist_ok=True)
        wants.symlink_to(state["unit"])
    if verb == "disable":
        wants.unlink(missing_ok=True)
    if verb == "reset-failed":
        state["restarts"] = 0
    FILE.write_text(json.dumps(state))
    leave_status(state)
    return 0 if well else 1


sys.exit(main(*sys.argv[1:]))
