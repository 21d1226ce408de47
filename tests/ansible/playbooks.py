"""Ansible, as it is installed in build/ansible by `make build/ansible/.ready`."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ansible"
BIN = ROOT / "build" / "ansible" / "bin"
needs_ansible = pytest.mark.skipif(
    not (BIN.parent / ".ready").exists(), reason="no Ansible here: make build/ansible/.ready"
)
# Seconds; a run on two devices takes one or two minutes on a busy machine.
_TIMEOUT = 900
