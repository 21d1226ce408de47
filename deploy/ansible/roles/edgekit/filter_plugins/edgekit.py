"""What the role decides: which devices are refused, and which are well."""

import json
from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

Json = dict[str, Any]

# Bytes that stay free for everything else, as `edgekit service models add` wants it.
RESERVE = 100_000_000
# What the virtual environment takes (380 MB), with what pip downloads to make it.
PACKAGES = 600_000_000
# Seconds by which a clock may be off; the way to the device takes some of them.
CLOCK = 300
OURS = ("edgekit-core", "edgekit-device")
# Why no other architecture works, where somebody may think so.
_TOO_OLD = {"armv6l": "; the runtime is made for ARMv7, not for a Raspberry Pi 1 or Zero"}
# Python for which there is a runtime of 32 bits.
_PYTHON_32 = "==3.11.*"


def unreached(result: Json) -> list[str]:
    """Why a device could not be looked at; nothing for one that was.

    Args:
        result: of the task that looked.
    """
    said = " ".join(str(result.get("msg", "")).split())
    if result.get("unreachable"):
        return [f"away: {said}"]
    if result.get("failed"):
        return [f"cannot be looked at: {said}"]
    return []


def install_refusals(device: Json, wanted: Json) -> list[str]:
    """Why edgekit cannot be installed on a device; nothing where it can.

    Args:
        device: the fact `edgekit_device`.
        wanted: `architectures`, `python` (a specifier), `version` (empty for any), `wheels` (by
            distribution, with `sha256`; none from an index), `has_model`, `model_bytes`, `config`
            (whether there is one to install), `replace_config`, `allow_downgrade`,
            `allowed_signers` (contents, empty for none), `unsigned_for` (of `edgekit_model`),
            `system_site_packages`.
    """
    reasons = list(_system(device, wanted))
    if device["bits"] == 32 and not wanted["system_site_packages"]:
        reasons.append(
            "for 32 bits, NumPy and OpenCV come from apt; set edgekit_system_site_packages=true"
        )
    if device["model_refused"]:
        reasons.append(
            f"its model would not run any more: {device['model_refused']}; let the signer in for "
            "now, roll out a model that another one signed, and take the signer away then"
        )
    there = {name: found["version"] for name, found in device["distributions"].items()}
    if wanted["version"] and not wanted["allow_downgrade"]:
        reasons += [
            f"{name} {version} is there, which is newer than {wanted['version']}; set "
            "edgekit_allow_downgrade=true to go back to it"
            for name, version in there.items()
            if _version(version) > _version(wanted["version"])
        ]
    if not device["models"]["current"]:
        if not wanted["has_model"]:
            reasons.append("it has no model yet; name one in edgekit_model")
        reasons += _unsigned(wanted["allowed_signers"], wanted)
    room = {"/opt": 0, "/var/lib": RESERVE}
    if packages_differ(device, wanted):
        room["/opt"] += PACKAGES
    if not device["models"]["current"]:
        room["/var/lib"] += 2 * wanted["model_bytes"]
    reasons += _short_of(device, room)
    configuration = device["configuration"]
    if wanted["config"] and configuration["present"] and configuration["edited"]:
        if not wanted["replace_config"]:
            reasons.append(
                "its /etc/edgekit/edgekit.toml was edited there; bring that into edgekit_config, "
                "and set edgekit_replace_config=true to replace it"
            )
    elif wanted["config"] and _would_loosen(configuration, wanted):
        reasons.append(
            "it runs signed models alone, and would run any; name the file of those who may sign "
            "in edgekit_allowed_signers"
        )
    return reasons


def rollout_refusals(device: Json, wanted: Json) -> list[str]:
    """Why a model cannot be rolled out to a device; nothing where it can.

    Args:
        device: the fact `edgekit_device`.
        wanted: `architectures`, `python` (a specifier), `version` (empty for any), `sha256`,
            `model_bytes`, `unsigned_for`, `ignored` (checks of `edgekit doctor`).
    """
    reasons = list(_system(device, wanted))
    found = device["distributions"].get("edgekit-device", {}).get("version")
    if found is None:
        return [*reasons, "edgekit is not installed; run install.yml"]
    if wanted["version"] and _version(found) != _version(wanted["version"]):
        reasons.append(f"it has edgekit {found}, not {wanted['version']}; run install.yml")
    if device["configuration"]["problem"]:
        reasons.append(device["configuration"]["problem"])
    reasons += _unsigned(device["configuration"]["allowed_signers"], wanted)
    if wanted["sha256"] not in device["models"]["stored"]:
        reasons += _short_of(device, {"/var/lib": RESERVE + 2 * wanted["model_bytes"]})
    # A model can only be judged by a device that is well without it.
    unwell = complaints(device["status"], device["models"]["current"])
    if unwell:
        said = device["status_problem"] or "; ".join(unwell)
        reasons.append(f"it is not well before anything is changed: {said}")
    return reasons + findings(device, wanted["ignored"])


def findings(device: Json, ignored: Sequence[str]) -> list[str]:
    """What `edgekit doctor` says does not work; warnings and notes are advice, and left out.

    Args:
        device: the fact `edgekit_device`, at which the doctor has looked.
        ignored: checks whose problems do not count.
    """
    if device["doctor_problem"]:
        return [f"edgekit doctor does not say how it is: {device['doctor_problem']}"]
    return [
        f"edgekit doctor: {found['check']}: {found['text']}"
        + (f" (mend it with: {found['remedy']})" if found.get("remedy") else "")
        for found in device["diagnoses"]
        if found["level"] == "problem" and found["check"] not in ignored
    ]


def complaints(
    status: Json | None, sha256: str, before: Json | None = None, first: Json | None = None
) -> list[str]:
    """What is wrong with a service; nothing where it is well.

    Args:
        status: what `edgekit service status --json` says now.
        sha256: of the model that it has to run.
        before: the same before the change: what was wrong then is not counted again.
        first: the same at the beginning of a watch, through which it has to have answered.
    """
    if not status:
        return ["the service does not say how it is"]
    unit, daemon = status["unit"], status.get("daemon")
    if unit["active"] != "active" or not daemon:
        ended = f" ({unit['result']}, exit code {unit['exit']})" if unit.get("exit") else ""
        return [f"the service is {unit['active']}, and does not answer{ended}"]
    health = daemon["health"]
    if health["state"] == "paused":
        return ["it is paused; resume it first, on its page or over MQTT"]
    wrong = []
    if health["state"] not in ("running", "degraded"):
        wrong.append(f"it is {health['state']}, and answers no frames")
    if health["model_sha256"] != sha256:
        wrong.append(
            f"it runs model {health['model_sha256'][:12] or 'none'}, not {sha256[:12] or 'none'}"
        )
    old = (before or {}).get("daemon") or {}
    if before is not None:
        known = old.get("problems", {})
        wrong += [
            f"{part}: {text}" for part, text in daemon["problems"].items() if part not in known
        ]
        drift = health.get("drift")
        if drift and not old.get("health", {}).get("drift"):
            wrong.append("drift: " + ", ".join(sign["text"] for sign in drift["signs"]))
    if first is not None:
        begin = first["daemon"]["health"]
        if unit["pid"] != first["unit"]["pid"]:
            wrong.append("it was started again meanwhile")
        elif health["ts"] == begin["ts"]:
            # A daemon that hangs leaves what it said last.
            wrong.append(
                "it said nothing new while it was watched; let edgekit_watch_seconds be more than "
                "its health.interval"
            )
        elif health["frames"] <= begin["frames"]:
            wrong.append("it answered no frame while it was watched")
    return wrong


def watched(looks: Json, sha256: str, before: Json) -> list[str]:
    """What was wrong with a service that was watched; nothing where it was well throughout.

    Args:
        looks: result of the task that asked again and again how it is.
        sha256: of the model that it has to run.
        before: how it was before the change.
    """
    results = looks.get("results") or [looks]
    last = results[-1]
    if last.get("unreachable"):
        return ["it went away while it was watched"]
    first, now = parsed(results[0].get("stdout", "")), parsed(last.get("stdout", ""))
    wrong = complaints(now, sha256, before)
    return wrong or complaints(now, sha256, before, first)


def vanished(variables: Any) -> bool:
    """Whether a device went away during a step, so that the following ones must not be done.

    Args:
        variables: its own; those named `edgekit_did_…` are results of steps.
    """
    steps = [name for name in variables if name.startswith("edgekit_did_")]
    return any((variables[name] or {}).get("unreachable") for name in steps)


def of_others(looks: Json | None, *ours: str) -> str:
    """The model that somebody else has let a watched service run meanwhile; empty for none.

    Args:
        looks: result of the task that asked again and again how it is; None before the first.
        ours: the hashes of the models before and after our change.
    """
    results = (looks or {}).get("results") or [{}]
    daemon = (parsed(results[-1].get("stdout", "")) or {}).get("daemon") or {}
    running = str(daemon.get("health", {}).get("model_sha256", ""))
    return "" if running in ours else running


def taken_back(result: Json, sha256: str) -> str:
    """Whether a device went back to the model before.

    Args:
        result: of the task that let it go back.
        sha256: of that model.
    """
    if "rc" not in result:
        return (
            f"it is away, and may keep the new model; the one before is {sha256[:12]}: run this "
            "again when it is back, which watches it to the end, or rollback.yml"
        )
    if result.get("rc") == 0:
        return f"model {sha256[:12]} runs again"
    lines = (result.get("stderr") or result.get("stdout") or "no reason").strip().splitlines()
    said = lines[-1].removeprefix("edgekit: ")
    return f"it did not go back to model {sha256[:12]}: {said}"


def packages_differ(device: Json, wanted: Json) -> bool:
    """Whether a device has other packages than these, or half of them.

    Args:
        device: the fact `edgekit_device`.
        wanted: `version`, and `wheels` by distribution, none for packages of an index.
    """
    if device["unfinished"]:
        return True
    distributions = device["distributions"]
    for name in OURS:
        found = distributions.get(name)
        if not found:
            return True
        if wanted["version"] and _version(found["version"]) != _version(wanted["version"]):
            return True
        wheel = wanted["wheels"].get(name)
        # The same version may have been built twice.
        if wheel and found["sha256"] != wheel["sha256"]:
            return True
    return False


def parsed(text: str) -> Json | None:
    """What `edgekit service status --json` printed; None where it did not."""
    try:
        status = json.loads(text)
    except ValueError:
        return None
    return status if isinstance(status, dict) and "unit" in status else None


def _system(device: Json, wanted: Json) -> list[str]:
    """Why edgekit would not run there at all."""
    reasons = []
    architecture = device["architecture"]
    if architecture not in wanted["architectures"]:
        reasons.append(
            f"its architecture is {architecture}, not {_or(wanted['architectures'])}"
            f"{_TOO_OLD.get(architecture, '')}"
        )
    elif architecture in ("aarch64", "x86_64") and device["bits"] != 64:
        reasons.append(
            f"its system has {device['bits']} bits on a kernel of 64; install that of 64"
        )
    try:
        if not SpecifierSet(wanted["python"]).contains(device["python"], prereleases=True):
            reasons.append(f"its Python is {device['python']}, and has to be {wanted['python']}")
    except InvalidSpecifier as error:
        raise AnsibleFilterError(f"{wanted['python']!r} is no range of versions") from error
    if device["bits"] == 32 and not SpecifierSet(_PYTHON_32).contains(device["python"]):
        reasons.append(
            f"its Python is {device['python']}; for 32 bits there is a runtime for 3.11 alone, "
            "that of Raspberry Pi OS bookworm"
        )
    if device["at_work"]:
        reasons.append(
            "a change of its service is at work, perhaps of a run that lost its connection; wait "
            "for its end, and repeat this"
        )
    if not device["systemd"]:
        reasons.append("systemd does not run there")
    off = device["clock_off_seconds"]
    if abs(off) > CLOCK:
        side = "ahead of" if off > 0 else "behind"
        reasons.append(
            f"its clock is {_span(abs(off))} {side} this machine's, so that certificates and "
            "signatures count as not valid: let it find the time (timedatectl), or set this "
            "machine's"
        )
    reasons += [
        f"{folder} {why} there: nothing that is written stays; with raspi-config's overlay, "
        "switch that off, and start the device again"
        for folder, why in sorted(device["unwritable"].items())
    ]
    return reasons


def _span(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 60:.0f} minutes"


def _unsigned(signers: str, wanted: Json) -> list[str]:
    said = wanted["unsigned_for"].get(signers) if signers else None
    return [f"it runs signed models alone: {said}"] if said else []


def _short_of(device: Json, room: dict[str, int]) -> list[str]:
    return [
        f"its disk is full: {device['free_bytes'][place] / 1e6:.0f} MB are free below {place}, and "
        f"{needed / 1e6:.0f} MB are needed"
        for place, needed in room.items()
        if device["free_bytes"][place] < needed
    ]


def _would_loosen(configuration: Json, wanted: Json) -> bool:
    return bool(configuration["allowed_signers"]) and not wanted["allowed_signers"]


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion as error:
        raise AnsibleFilterError(f"{text!r} is no version") from error


def _or(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Any]:
        """Them, by name."""
        return {
            "edgekit_complaints": complaints,
            "edgekit_findings": findings,
            "edgekit_install_refusals": install_refusals,
            "edgekit_of_others": of_others,
            "edgekit_packages_differ": packages_differ,
            "edgekit_rollout_refusals": rollout_refusals,
            "edgekit_status": parsed,
            "edgekit_taken_back": taken_back,
            "edgekit_unreached": unreached,
            "edgekit_vanished": vanished,
            "edgekit_watched": watched,
        }
