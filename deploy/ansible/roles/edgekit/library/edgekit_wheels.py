#!/usr/bin/python
"""The wheels of edgekit in a folder of the controller."""

import hashlib
import zipfile
from email.parser import Parser
from pathlib import Path
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: edgekit_wheels
short_description: Find the wheels of edgekit-core and edgekit-device in a folder
description:
  - Changes nothing. There has to be exactly one of each, and they have to be of one version.
options:
  folder:
    description: The folder.
    type: path
    required: true
author: edgekit
"""

EXAMPLES = r"""
- name: Find the wheels
  delegate_to: localhost
  edgekit_wheels:
    folder: wheels
"""

RETURN = r"""
version:
  description: Their version.
  returned: success
  type: str
python:
  description: The versions of Python that they take.
  returned: success
  type: str
wheels:
  description: Path, end of an address for pip, and SHA-256, by the name of the distribution.
  returned: success
  type: dict
others:
  description: Paths of all other wheels there.
  returned: success
  type: list
"""

OURS = ("edgekit-core", "edgekit-device")


def main():
    """Find them."""
    module = AnsibleModule(
        argument_spec={"folder": {"type": "path", "required": True}}, supports_check_mode=True
    )
    folder = Path(module.params["folder"])
    files = sorted(folder.glob("*.whl"))
    wheels, python, versions = {}, "", set()
    for name in OURS:
        stem = name.replace("-", "_")
        found = [path for path in files if path.name.startswith(f"{stem}-")]
        if len(found) != 1:
            module.fail_json(
                msg=f"{folder} holds {len(found) or 'no'} wheels of {name}, and has to hold one; "
                "make them with: pip wheel --no-deps --wheel-dir wheels . ./device"
            )
        try:
            with zipfile.ZipFile(str(found[0])) as wheel:
                (member,) = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
                metadata = Parser().parsestr(wheel.read(member).decode(), headersonly=True)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            module.fail_json(msg=f"{found[0]} is no wheel: {error}")
        sha256 = hashlib.sha256(found[0].read_bytes()).hexdigest()
        wheels[name] = {
            "path": str(found[0]),
            "url": f"{quote(found[0].name)}#sha256={sha256}",
            "sha256": sha256,
        }
        versions.add(metadata["Version"])
        python = metadata.get("Requires-Python", "")
    if len(versions) > 1:
        module.fail_json(msg=f"the wheels in {folder} are of several versions: "
                         f"{', '.join(sorted(versions))}")  # fmt: skip
    ours = {wheel["path"] for wheel in wheels.values()}
    others = [str(path) for path in files if str(path) not in ours]
    module.exit_json(changed=False, version=versions.pop(), python=python, wheels=wheels,
                     others=others)  # fmt: skip


if __name__ == "__main__":
    main()
