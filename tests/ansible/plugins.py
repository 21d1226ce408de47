"""What the role brings in Python, as tests load it: without Ansible, which need not be here."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

_ROLE = Path(__file__).parents[2] / "deploy" / "ansible" / "roles" / "edgekit"


class AnsibleFilterError(Exception):
    """As Ansible has it."""


class AnsibleModule:
    """As Ansible has it; what is tried without it makes none."""


def _load(path: str) -> ModuleType:
    """A file of the role, on stand-ins for what it takes from Ansible."""
    stand_ins = {name: ModuleType(name) for name in
                 ("ansible", "ansible.errors", "ansible.module_utils",
                  "ansible.module_utils.basic")}  # fmt: skip
    for name, kind in (("errors", AnsibleFilterError), ("module_utils.basic", AnsibleModule)):
        setattr(stand_ins[f"ansible.{name}"], kind.__name__, kind)
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules |= stand_ins
    try:
        spec = importlib.util.spec_from_file_location(Path(path).stem, _ROLE / path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        for name, module_before in before.items():
            if module_before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module_before


def _filters(name: str) -> Any:
    module = _load(f"filter_plugins/{name}.py")
    return SimpleNamespace(**module.FilterModule().filters(), RESERVE=getattr(module, "RESERVE", 0))


FILTERS = _filters("edgekit")
REPORTS = _filters("edgekit_reports")
CONFIGURATION = _filters("edgekit_configuration")
INVENTORY = _filters("edgekit_inventory")
FACTS: Any = _load("library/edgekit_facts.py")
