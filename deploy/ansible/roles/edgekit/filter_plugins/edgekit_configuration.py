"""What variables hold: a configuration, which becomes TOML, credentials and stages."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from ansible.errors import AnsibleFilterError

Json = dict[str, Any]

CREDENTIALS = ("source-password", "mqtt-password", "http-token", "webhook-token")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def listed(value: Any) -> list[Any]:
    """A list, as it is or as `-e name=one,two` gives it."""
    return value.split(",") if isinstance(value, str) else list(value)


def unknown_names(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Variables that the role does not know, which Ansible would pass over; nothing for none.

    Args:
        names: of the variables that there are.
        known: of those of the role.
    """
    known = sorted(known)
    problems = []
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, 1, 0.8)
        problems.append(
            f"{name}: there is no such variable"
            + (f"; is {near[0]} meant?" if near else "; names of your own begin otherwise")
        )
    return problems


def stage_problems(
    stages: list[Any], may_fail: Any, seconds: Any = 1, interval: Any = 1
) -> list[str]:
    """Why a roll-out cannot go by these stages; nothing where it can.

    Args:
        stages: how many devices each has, in numbers or percent.
        may_fail: how many of a stage may fail, in percent.
        seconds, interval: for which each device is watched, and between two looks.
    """
    # Of 0 or of nothing, Ansible would make one stage of all devices.
    good = [re.fullmatch(r"([1-9][0-9]*)|(0*([1-9][0-9]?|100)%)", str(stage)) for stage in stages]
    problems = []
    if not good or not all(good):
        problems.append(
            "edgekit_stages are numbers from 1, or percent from 1% to 100%: [1, 10%, 100%]"
        )
    if not 0 <= int(may_fail) <= 100:
        problems.append("edgekit_max_fail_percentage is a number from 0 to 100")
    if not 1 <= int(interval) <= int(seconds):
        problems.append(
            "edgekit_watch_interval is 1 second or more, and no more than edgekit_watch_seconds"
        )
    return problems


def credential_problems(credentials: Json) -> list[str]:
    """What is wrong with credentials, without a word of what they hold; nothing where all are good.

    Args:
        credentials: by the name that the service knows them by.
    """
    problems = []
    for name, secret in credentials.items():
        if name not in CREDENTIALS:
            problems.append(
                f"edgekit_credentials.{name}: there is none; it is one of {', '.join(CREDENTIALS)}"
            )
        elif not isinstance(secret, str) or not secret or len(secret.splitlines()) > 1:
            problems.append(f"edgekit_credentials.{name} has to be one line of text, in quotes")
        elif name == "http-token" and not _is_token(secret):
            problems.append(
                "edgekit_credentials.http-token has to be 20 ASCII characters or more, without "
                "blanks around them; make one with: openssl rand -hex 16"
            )
    return problems


def toml(settings: Json) -> str:
    """A configuration as TOML.

    Raises:
        AnsibleFilterError: TOML has no such value, or it is a password, which all would see.
    """
    if "allowed-signers" in settings:
        raise AnsibleFilterError(
            "edgekit_config.allowed-signers is set by edgekit_allowed_signers, the file on the "
            "controller; name that there"
        )
    lines = _table("", settings)
    return "".join(f"{line}\n" for line in lines)


def _table(name: str, table: Json) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = [f"\n[{name}]"] if name and (plain or not table) else []
    for key, value in plain.items():
        lines.append(f"{_key(key)} = {_value(f'{name}.{key}'.lstrip('.'), value)}")
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _table(f"{name}.{_key(key)}".lstrip("."), value)
    return lines


def _key(name: object) -> str:
    text = str(name)
    return text if _BARE.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    # JSON's escapes are TOML's, which wants one for DEL, too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(key: str, value: Any) -> str:
    if isinstance(value, str):
        if _PASSWORD.search(value):
            raise AnsibleFilterError(
                f"edgekit_config.{key} holds a password; leave it out of the address, and put it "
                "into edgekit_credentials"
            )
        return _string(value)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(key, item) for item in value)}]"
    raise AnsibleFilterError(f"edgekit_config.{key} is {value!r}, which no configuration can hold")


def _is_token(secret: str) -> bool:
    return (
        len(secret) >= 20 and secret.isascii() and secret.isprintable() and secret == secret.strip()
    )


class FilterModule:
    """The filters of the role."""

    def filters(self) -> dict[str, Any]:
        """Them, by name."""
        return {
            "edgekit_credential_problems": credential_problems,
            "edgekit_list": listed,
            "edgekit_stage_problems": stage_problems,
            "edgekit_toml": toml,
            "edgekit_unknown_names": unknown_names,
        }
