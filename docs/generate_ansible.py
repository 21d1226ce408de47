"""Write the table of variables in docs/ansible.md: `python docs/generate_ansible.py`."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ansible.md"
ROLE = ROOT / "deploy" / "ansible" / "roles" / "edgekit"
_TABLE = re.compile(r"(?<=<!-- variables -->\n).*?(?=\n<!-- end of variables -->)", re.DOTALL)


def options() -> dict[str, Any]:
    """The variables of the role, by name; those of several entry points are one."""
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for entry in specs["argument_specs"].values():
        for name, option in entry["options"].items():
            found.setdefault(name, option)
    return found


def defaults() -> dict[str, Any]:
    """Their defaults."""
    loaded: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text("utf-8"))
    return loaded


def render() -> str:
    """The page, with the table as it has to be."""
    known, rows = defaults(), ["| variable | default | |", "| --- | --- | --- |"]
    for name, option in options().items():
        text = re.sub(r"C\((.*?)\)", r"`\1`", " ".join(option["description"].split()))
        value = known[name]
        shown = (
            "" if value in ("", {}) else f"`{json.dumps(value) if value != str(value) else value}`"
        )
        rows.append(f"| `{name}` | {shown} | {text} |")
    return _TABLE.sub(lambda _: "\n".join(rows), PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
