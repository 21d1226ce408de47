"""Ansible, as `make build/ansible/.ready` installs it in an environment of its own."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ansible"
BIN = ROOT / "build" / "ansible" / "bin"
needs_ansible = pytest.mark.skipif(
    not (BIN.parent / ".ready").exists(), reason="no Ansible here: make build/ansible/.ready"
)
# Seconds; a run on two devices takes one or two minutes on a busy machine.
_TIMEOUT = 1200
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


def environment(home: Path) -> dict[str, str]:
    """What Ansible's programs run with: nothing of this machine's own configuration."""
    return os.environ | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1",
        "ANSIBLE_HOME": str(home), "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"),
    }  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended.

    Attributes:
        code: its exit code.
        said: what it printed.
    """

    code: int
    said: str

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by device."""
        return {host: int(changed) for host, _, changed, _, _ in _RECAP.findall(self.said)}

    @property
    def failed(self) -> set[str]:
        """Devices that count as failed, or away."""
        rows = _RECAP.findall(self.said)
        return {host for host, _, _, away, failed in rows if int(away) or int(failed)}

    @property
    def words(self) -> str:
        """What it printed, with lines joined where Ansible folded them."""
        return " ".join(self.said.replace("''", "'").split())


@dataclass
class Controller:
    """Runs playbooks on an inventory.

    Attributes:
        folder: for its files; of the test's own.
        inventory: as Ansible takes it, with group `edgekit`.
        variables: for every run.
    """

    folder: Path
    inventory: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)

    def play(
        self, playbook: str, *words: str, watch: Callable[[str], None] | None = None, **more: Any
    ) -> Outcome:
        """Run a playbook to its end.

        Args:
            playbook: its name.
            words: options.
            watch: is given each line as it comes.
            more: variables.
        """
        for name, content in (("inventory", self.inventory), ("vars", self.variables | more)):
            (self.folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
        command = [str(BIN / "ansible-playbook"), "-i", str(self.folder / "inventory.json"),
                   "-e", f"@{self.folder / 'vars.json'}", *words,
                   str(FOLDER / f"{playbook}.yml")]  # fmt: skip
        with subprocess.Popen(
            command, env=environment(self.folder), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=self.folder,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if watch is not None:
                    watch(line)
            code = process.wait(_TIMEOUT)
        return Outcome(code, "".join(lines))
