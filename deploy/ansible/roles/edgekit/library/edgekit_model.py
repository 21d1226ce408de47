#!/usr/bin/python
"""A model file on the controller: whether it is one, which one, and who vouches for it."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: edgekit_model
short_description: Check a model file on the controller
description:
  - Changes nothing. Needs C(edgekit) there, of edgekit-core.
options:
  path:
    description: The model file.
    type: path
    required: true
  sha256:
    description: What its hash has to begin with; anything if empty.
    type: str
    default: ""
  allowed_signers:
    description: Contents of files of allowed signers, for each of which the signature is checked.
    type: list
    elements: str
    default: []
  command:
    description: The C(edgekit) that checks.
    type: str
    default: edgekit
author: edgekit
"""

EXAMPLES = r"""
- name: Look at the model
  delegate_to: localhost
  edgekit_model:
    path: better-int8.tflite
"""

RETURN = r"""
sha256:
  description: Its hash.
  returned: success
  type: str
bytes:
  description: Its size.
  returned: success
  type: int
unsigned_for:
  description: By the contents of allowed signers, why these do not vouch for it.
  returned: success
  type: dict
"""

TIMEOUT = 120
# Digits of a hash that name a model.
SHORTEST = 12


def run(module, *words):
    """Run edgekit on this machine; its exit code and the line that it said last."""
    command = [module.params["command"], *words]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except FileNotFoundError:
        module.fail_json(
            msg=f"there is no {command[0]} on this machine to check the model with: pip install "
            "edgekit-core's wheel here, or name its edgekit in edgekit_command"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"{command[0]} does not work on this machine: {error}")
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    line = said[-1] if said else f"exit code {done.returncode}"
    return done.returncode, line[len("edgekit: ") :] if line.startswith("edgekit: ") else line


def main():
    """Check it."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "sha256": {"type": "str", "default": ""},
            "allowed_signers": {"type": "list", "elements": "str", "default": []},
            "command": {"type": "str", "default": "edgekit"},
        },
        supports_check_mode=True,
    )
    if not module.params["path"]:
        module.fail_json(msg="name the model file in edgekit_model")
    path, wanted = Path(module.params["path"]), module.params["sha256"].lower()
    if wanted and len(wanted) < SHORTEST:
        module.fail_json(msg=f"edgekit_model_sha256 has to be {SHORTEST} digits or more, of 64")
    try:
        content = path.read_bytes()
    except OSError as error:
        module.fail_json(msg=f"cannot read the model {path} on this machine: {error.strerror}")
    sha256 = hashlib.sha256(content).hexdigest()
    if not sha256.startswith(wanted):
        module.fail_json(
            msg=f"{path} is another model than edgekit_model_sha256 says: {sha256}, not {wanted}"
        )
    code, said = run(module, "inspect", "--json", str(path))
    if code:
        module.fail_json(msg=f"{path} is no model for a device: {said}")
    unsigned = {}
    for signers in module.params["allowed_signers"]:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(signers)
            file.flush()
            code, said = run(module, "verify", str(path), "--allowed-signers", file.name)
        if code:
            unsigned[signers] = said.replace(file.name, "its allowed signers")
    module.exit_json(changed=False, sha256=sha256, bytes=len(content), unsigned_for=unsigned)


if __name__ == "__main__":
    main()
