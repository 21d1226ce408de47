"""How a push went with a device, and which kind of trouble it was, by what was said."""

import re
from typing import Literal, NamedTuple

import msgspec

from edgekit import __version__
from edgekit.files import decode_json
from edgekit.redaction import redact
from edgekit.text import last_line, one_line

# What the script on the device ends with before `edgekit` has the last word.
ABSENT, BROKEN, DAMAGED = 80, 81, 82
# ssh itself failed, rather than what it ran; and a program that click does not understand.
_SSH_FAILED, _USAGE = 255, 2
# In front of what the script says of the device; a login shell may say anything else.
MARK = "edgekit-push:"
_LONGEST_FACT = 1 << 18
# By what ssh says somewhere; the first that is there.
_REMEDIES = {
    b"IDENTIFICATION HAS CHANGED": "is it another machine, or a new card? `ssh-keygen -R` with its "
    "name forgets the key that it had",
    b"Host key verification failed": "nobody has been there from here: connect once by hand with "
    "ssh, and compare the key that it shows",
    b"Permission denied": "ssh-copy-id brings your key there; one with a passphrase has to be in "
    "ssh-agent",
}
_FORCED = (
    "ssh ran something else there than what was asked ({said}): look for a forced command in "
    "sshd_config or authorized_keys, and at the user's shell"
)

# Kinds of trouble: by the first that fits what was said last. ssh's, then those of the device.
SSH_REASONS = {
    "slow": r"timed out during|^Connection to .* timed out|[Tt]imeout, server|not responding",
    "access": r"Permission denied|[Hh]ost key|HOST IDENTIFICATION|authentication failures",
    "away": "",
}
REASONS = {
    "full": r"No space left|[Qq]uota exceeded|no room for",
    "access": r"^sudo: ",
    "rolled-back": r"was rolled back|was taken back",
    "signature": r"\bsign(ed|ers?|atures?|s)?\b|ssh-keygen",
    "runtime": r"no TFLite runtime|cannot be tried either",
    "busy": r"another change of the models|is paused",
    "service": r"no service is installed|does not say how it is|does not run|does not start",
    "refused": "",
}  # fmt: skip


class _Health(msgspec.Struct, frozen=True):
    state: str
    model_sha256: str
    problems: list[str]
    version: str = ""


class _Daemon(msgspec.Struct, frozen=True):
    health: _Health


class _Outdated(msgspec.Struct, frozen=True):
    code: str = ""
    configuration: str = ""


class _Service(msgspec.Struct, frozen=True):
    """What is read of a device's `service status --json`; it may be of another version."""

    daemon: _Daemon | None = None
    outdated: _Outdated = _Outdated()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How it went with a device.

    Attributes:
        host: the device, as it was named.
        outcome: whether it runs now what was brought.
        reason: the kind of trouble, in a word; None where all is well.
        message: what it said last.
        seconds: that it took.
        model_before, model_after: hashes of the models that ran; None where nobody knows.
        version: of edgekit there; None where nobody knows.
        machine: its architecture, as `uname -m` has it; None where nobody knows.
    """

    host: str
    outcome: Literal["done", "failed", "not tried"]
    reason: str | None = None
    message: str = ""
    seconds: float = 0.0
    model_before: str | None = None
    model_after: str | None = None
    version: str | None = None
    machine: str | None = None

    def shown(self) -> "Outcome":
        """The same, with words that neither steer a terminal nor tell secrets."""
        return msgspec.structs.replace(
            self, host=redact(self.host), message=one_line(redact(self.message))
        )


class Answer(NamedTuple):
    """What came back from a device.

    Attributes:
        code: exit code of ssh.
        output, errors: what was written to stdout and stderr.
    """

    code: int
    output: bytes
    errors: bytes


def judge(host: str, answer: Answer, model: str | None, seconds: float = 0.0) -> Outcome:
    """How it went, by what came back.

    Args:
        host: the device.
        answer: of it.
        model: hash of the model that it should run now; None for whichever it ran.
        seconds: that it took.
    """
    facts = _facts(answer.output)
    before, after = _status(facts.get("before")), _status(facts.get("after"))
    version = one_line(facts["version"], 40) if facts.get("version") else None
    reason: str | None
    if answer.code == 0 and "after" not in facts:
        # The script ends with that, whatever happens: it did not run.
        reason, message = "access", _FORCED.format(said=_said(answer))
    elif answer.code == 0:
        reason, message = _afterwards(answer, after, model, version)
    else:
        reason, message = _trouble(answer, facts, version)
    return Outcome(
        host=host,
        outcome="failed" if reason else "done",
        reason=reason,
        message=message,
        seconds=round(seconds, 1),
        model_before=_model(before),
        model_after=_model(after),
        version=version,
        machine=one_line(facts["machine"], 40) if facts.get("machine") else None,
    )


def _afterwards(
    answer: Answer, after: _Service | None, model: str | None, version: str | None
) -> tuple[str | None, str]:
    """The trouble, if there is one, and the words for a device that says that all went well."""
    said = _said(answer)
    if version and version != __version__:
        said += f"; edgekit {version} there, {__version__} here"
    if after is None:
        # The upgrade itself ended well, which it does only when frames are answered.
        told = "edgekit there is too old for `service status --json`; update edgekit-device"
        return None, f"{said}; {told}"
    said = "; ".join(filter(None, (said, after.outdated.code, after.outdated.configuration)))
    if after.daemon is None:
        return "unwell", f"{said}; but now the service does not run"
    health = after.daemon.health
    if model is not None and health.model_sha256 != model:
        return "unwell", f"{said}; but now the service runs model {health.model_sha256[:12]}"
    if health.state == "running":
        return None, said
    said = " · ".join([f"{said}; the service is {health.state}", *health.problems])
    return (None if health.state == "degraded" else "unwell"), said


def _trouble(answer: Answer, facts: dict[str, str], version: str | None) -> tuple[str, str]:
    """The kind of trouble, and the words for it."""
    said = _said(answer)
    if answer.code == _SSH_FAILED:
        told = said.removeprefix("ssh: ") + _remedy(answer.errors)
        return _kind(SSH_REASONS, said), f"ssh: {told}"
    if answer.code == ABSENT:
        return "absent", f"{said}; install edgekit-device there, or name it with --edgekit"
    if answer.code == BROKEN:
        machine = facts.get("machine", "an unknown machine")
        return "broken", (
            f"edgekit there does not run, on {machine}: {said}; install edgekit-device anew, for "
            "that machine and its Python"
        )
    if answer.code == DAMAGED:
        return "damaged", f"{said}; try again"
    if answer.code == _USAGE and said.startswith(("Error: ", "Usage: ")):
        return "version", (
            f"edgekit {version or 'there'} is too old for this ({said.removeprefix('Error: ')}); "
            "update edgekit-device there"
        )
    reason = _kind(REASONS, said)
    if said.startswith("sudo: "):  # Programs begin what they complain of with their name.
        said += "; let the user run edgekit without a password (NOPASSWD)"
    return reason, said


def _remedy(errors: bytes) -> str:
    """What to do about what ssh says, which it says to somebody whom it could ask."""
    return next((f"; {remedy}" for words, remedy in _REMEDIES.items() if words in errors), "")


def _kind(reasons: dict[str, str], said: str) -> str:
    return next(kind for kind, words in reasons.items() if re.search(words, said))


def _said(answer: Answer) -> str:
    lines = [line for line in answer.output.splitlines() if not line.startswith(MARK.encode())]
    return last_line(answer.errors.strip() or b"\n".join(lines)).removeprefix("edgekit: ")


def _facts(output: bytes) -> dict[str, str]:
    """What the script says of the device."""
    facts = {}
    for line in output[:_LONGEST_FACT].decode("utf-8", "replace").splitlines():
        if line.startswith(MARK):
            key, _, value = line.removeprefix(MARK).partition(" ")
            facts[key] = value.strip()
    if found := re.search(r"version ([^\s,]+)", facts.get("version", "")):
        facts["version"] = found[1]
    return facts


def _status(text: str | None) -> _Service | None:
    """What a service says of itself; None where it cannot."""
    try:
        return decode_json((text or "").encode(), _Service)
    except ValueError:
        return None


def _model(service: _Service | None) -> str | None:
    if service is None or service.daemon is None:
        return None
    sha256 = service.daemon.health.model_sha256
    return sha256 if re.fullmatch("[0-9a-f]{64}", sha256) else None
