"""What the role says of devices, of a stage, and of a failure."""

import re
from typing import Any

Json = dict[str, Any]

# A line of dpkg, apt or pip that says what is wrong.
_ERROR = re.compile(r"E: |ERROR: |dpkg: .*error")


def report(hostvars: Any, hosts: list[str]) -> Json:
    """What is known of each device, by host; `problem` says why nothing is known of one.

    Args:
        hostvars: of Ansible; `edgekit_unknown` is why a device could not be looked at, and
            `edgekit_unwell` what is wrong with it.
        hosts: which.
    """
    told = {}
    for host in hosts:
        why = hostvars[host]["edgekit_unknown"]
        told[host] = (
            {"problem": why[0]}
            if why
            else _of_device(hostvars[host]["edgekit_device"], hostvars[host]["edgekit_unwell"])
        )
    return told


def _of_device(device: Json, unwell: list[str]) -> Json:
    daemon = (device["status"] or {}).get("daemon") or {}
    return {
        "problem": "",
        "unwell": unwell,
        "model": device["models"]["current"],
        "previous": device["models"]["previous"],
        "version": device["distributions"].get("edgekit-device", {}).get("version", ""),
        "health": daemon.get("health", {}),
        "diagnoses": [d for d in device["diagnoses"] if d["level"] in ("warning", "problem")],
        "doctor_problem": device["doctor_problem"],
        "system": {
            key: device[key]
            for key in ("board", "architecture", "bits", "python", "system", "kernel", "up_seconds")
        },
        "free_bytes": device["free_bytes"],
        "signed_alone": bool(device["configuration"]["allowed_signers"]),
        "stored": device["models"]["stored"],
        "packages": device["distributions"],
        "configuration": {
            key: device["configuration"][key] for key in ("present", "edited", "problem")
        },
        "unfinished": _unfinished(device),
    }


def _unfinished(device: Json) -> list[str]:
    """What runs have left undone on a device."""
    found = {
        "at_work": "a change of its service is at work",
        "cut_short": "a run was cut short on it; run it again",
        "unfinished": "its packages are half installed; run install.yml",
        "outdated": (
            "its service runs since before its packages or secrets were changed; run install.yml"
        ),
    }
    return [text for key, text in found.items() if device[key]]


def table(devices: Json) -> list[str]:
    """A line for each device of a report."""
    return summary({host: _headline(device) for host, device in devices.items()})


def _headline(device: Json) -> str:
    if device["problem"]:
        return device["problem"]
    health = device["health"]
    words = [health.get("state", "no answer"), f"model {device['model'][:12] or 'none'}"]
    words += [f"edgekit {device['version'] or 'none'}"]
    words += [health["runtime"]] if health.get("runtime") else []
    words += device["unwell"] if health.get("state") != "paused" else []
    words += health.get("problems", [])
    words += [f"{d['check']}: {d['text']}" for d in device["diagnoses"] if d["level"] == "problem"]
    words += device["unfinished"]
    if health.get("drift"):
        words.append("drift: " + ", ".join(sign["text"] for sign in health["drift"]["signs"]))
    return " · ".join(words)


def refused(hostvars: Any, hosts: list[str], name: str) -> dict[str, str]:
    """Why devices are refused, or failed, by host; those that are not are left out.

    Args:
        hostvars: of Ansible.
        hosts: which of them.
        name: of the variable with the reasons, a list.
    """
    reasons = {host: hostvars[host].get(name) or [] for host in hosts}
    return {host: "; ".join(map(str, said)) for host, said in reasons.items() if said}


def stage_report(hostvars: Any, batch: list[str], hosts: list[str]) -> list[str]:
    """Lines about a stage: what became of each device, and which are still to come.

    Args:
        hostvars: of Ansible; `edgekit_outcome` is what was done, `edgekit_failure` why it was not.
        batch: the devices of the stage.
        hosts: those of the play.
    """
    failed = refused(hostvars, batch, "edgekit_failure")
    said = {host: hostvars[host].get("edgekit_outcome") or "FAILED: away" for host in batch}
    said |= {host: f"FAILED: {why}" for host, why in failed.items()}
    left = [host for host in hosts if host not in batch and not _is_over(hostvars[host])]
    done = sum(not text.startswith("FAILED: ") for text in said.values())
    lines = [f"{done} of {len(batch)} devices of this stage are done"]
    lines += summary(said)
    return lines + ([f"{len(left)} still to come: {', '.join(sorted(left))}"] if left else [])


def _is_over(variables: Json) -> bool:
    return "edgekit_outcome" in variables or "edgekit_failure" in variables


def said_by(result: Json, task: str) -> str:
    """Why a task failed, in a line.

    Args:
        result: of the task.
        task: its name.
    """
    said = result.get("stderr") or result.get("msg") or result.get("stdout") or "it failed"
    if isinstance(said, list):
        return "; ".join(map(str, said))
    lines = str(said).strip().splitlines()
    # dpkg, apt and pip go on after the error with advice for somebody who sits there.
    errors = [line for line in lines if _ERROR.match(line)]
    line = (errors or lines or ["it failed"])[-1].removeprefix("edgekit: ")
    return line if result.get("stderr") is None else f"{task}: {line}"


def apt_problems(installed: Json, mended: Json, fetched: Json) -> list[str]:
    """Why apt did not bring what is missing, in its words; nothing where it did.

    Args:
        installed: result of the installation.
        mended: of the mending of what was half unpacked before.
        fetched: of the fetching of lists; that may fail where what is there will do.
    """
    if installed.get("unreachable") or not installed.get("failed"):
        return []
    problems = [f"apt: {_errors(installed)}"]
    for said, result in (
        ("what was half unpacked before could not be mended", mended),
        ("its lists could not be fetched (network, clock, /etc/apt/sources.list)", fetched),
    ):
        if result.get("rc"):
            ended = "nobody answered in ten minutes" if result["rc"] == 124 else _errors(result)
            problems.append(f"{said}: {ended}")
    return problems


def _errors(result: Json) -> str:
    lines = str(result.get("stderr") or result.get("msg") or "no reason").strip().splitlines()
    errors = [line.removeprefix("E: ") for line in lines if _ERROR.match(line)]
    # The last of several says that there were some.
    return " ".join(" · ".join((errors[:-1] or errors or lines)[:3]).split())


def summary(hosts: Json) -> list[str]:
    """A line for each device, in the order of their names.

    Args:
        hosts: what to say, by host.
    """
    width = max(map(len, hosts), default=0)
    return [f"{host:<{width}}  {_line(text)}" for host, text in sorted(hosts.items())]


def _line(text: object) -> str:
    """One line, in which nothing steers a terminal: a device said it."""
    words = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "?" for c in words)[:1000]


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Any]:
        """Them, by name."""
        return {
            "edgekit_apt_problems": apt_problems,
            "edgekit_refused": refused,
            "edgekit_report": report,
            "edgekit_said_by": said_by,
            "edgekit_stage_report": stage_report,
            "edgekit_summary": summary,
            "edgekit_table": table,
        }
