"""Stands in for systemctl, with a service whose model decides how it fares.

The state is a JSON file that `FAKE_SYSTEMD` names. As with the real thing, time passes between two
calls: that is when the daemon notices a switched link, and when systemd starts it again.
"""

import json
import os
import sys
import time
from pathlib import Path

FILE = Path(os.environ["FAKE_SYSTEMD"])


def target(state):
    return Path(state["link"]).resolve().stem


def behaviour(state):
    return state["behaviour"].get(target(state), "good")


def crash(state):
    state.update(active="activating", sub="auto-restart", pid=0, result="signal", exit=11)


def start(state):
    """What the daemon does with the model it finds at its start; whether it gets ready."""
    how = behaviour(state)
    state.update(problems=[], state="running", loaded=target(state))
    if how == "good":
        state["next_pid"] += 1
        state.update(active="active", sub="running", pid=state["next_pid"], result="success")
        return True
    state.update(active="activating", sub="auto-restart", pid=0)
    state.update(result="exit-code", exit=1) if how == "refused" else crash(state)
    return False


def meanwhile(state):
    """What happens between two calls."""
    if state["sub"] == "stop-watchdog":
        state.update(active="activating", sub="auto-restart", pid=0)
    elif state["sub"] == "auto-restart":
        state["restarts"] += 1
        start(state)
    elif state["pid"] and target(state) != state["loaded"]:
        how = behaviour(state)
        if how == "refused":
            state["problems"] = ["model: no good; going on with the one before"]
        elif how == "crashes":
            crash(state)
        elif how == "aborts":
            # Killed by its watchdog: not gone yet, and without one for now.
            state.update(loaded=target(state), active="deactivating", sub="stop-watchdog", fed=0)
            state["result"] = "watchdog"
        elif how != "ignored":
            state.update(loaded=target(state), state="stalled" if how == "stalls" else "running")
    elif state["pid"]:
        # One that hangs goes on saying what it said last.
        if behaviour(state) != "hangs":
            state["fed"] = int(time.monotonic() * 1e6)
        state["problems"] = [text for text in state["problems"] if not text.startswith("model: ")]


def show(state):
    told = [state["state"], f"model {state['loaded'][:12]}", "5 fps", *state["problems"]]
    wants = Path(state["unit"]).parent / "multi-user.target.wants" / "edgekit.service"
    facts = {
        "LoadState": "loaded" if Path(state["unit"]).exists() else "not-found",
        "ActiveState": state["active"], "SubState": state["sub"],
        "UnitFileState": "enabled" if wants.is_symlink() else "disabled",
        "StatusText": " · ".join(told) if state["pid"] else "",
        "MainPID": state["pid"], "NRestarts": state["restarts"], "Result": state["result"],
        "ExecMainStatus": state["exit"], "ActiveEnterTimestamp": "Mon 2026-01-05 10:00:00 UTC",
        "WatchdogTimestampMonotonic": state["fed"],
    }  # fmt: skip
    print("\n".join(f"{key}={value}" for key, value in facts.items()))


def main(verb, *rest):
    state = json.loads(FILE.read_text())
    wants = Path(state["unit"]).parent / "multi-user.target.wants" / "edgekit.service"
    well = True
    if verb == "show":
        meanwhile(state)
        show(state)
    else:
        state["calls"].append(" ".join([verb, *rest]))
    if verb in ("start", "restart"):
        well = start(state)
    if verb == "stop" or "--now" in rest:
        state.update(active="inactive", sub="dead", pid=0, result="success")
    if verb == "enable":
        wants.parent.mkdir(parents=True, exist_ok=True)
        wants.symlink_to(state["unit"])
    if verb == "disable":
        wants.unlink(missing_ok=True)
    if verb == "reset-failed":
        state["restarts"] = 0
    FILE.write_text(json.dumps(state))
    return 0 if well else 1


sys.exit(main(*sys.argv[1:]))
