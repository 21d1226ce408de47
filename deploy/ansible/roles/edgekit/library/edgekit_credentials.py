#!/usr/bin/python
"""Write secrets to where systemd finds them, and nowhere else."""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: edgekit_credentials
short_description: Write the secrets of the service as systemd's credentials
description:
  - Each becomes a file that root alone reads, whole or not at all. Others that are there stay.
options:
  folder:
    description: Folder of the credentials; made if it is not there.
    type: path
    default: /etc/credstore
  credentials:
    description: Secrets, by the name that the service knows them by.
    type: dict
    required: true
author: edgekit
"""

EXAMPLES = r"""
- name: Write the credentials
  edgekit_credentials:
    credentials:
      mqtt-password: "{{ vaulted }}"
"""

RETURN = r"""
written:
  description: Names of those that were new, or had changed.
  returned: always
  type: list
  elements: str
"""


def differs(path, content):
    """Whether a file is not what it has to be: this content, for its owner alone."""
    try:
        # Not what a link leads to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return True
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        access = (status.st_mode & 0o7777, status.st_uid, status.st_gid)
        return access != (0o600, os.geteuid(), os.getegid()) or file.read() != content


def write(path, content):
    """Write a file for its owner alone: whole, or not at all."""
    # One name, so that what a loss of power leaves is replaced by the next run.
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def main():
    """Write those that differ."""
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "default": "/etc/credstore"},
            "credentials": {"type": "dict", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    files = {
        name: (folder / f"edgekit.{name}", f"{secret}\n".encode())
        for name, secret in module.params["credentials"].items()
    }
    written = [name for name, (path, content) in files.items() if differs(path, content)]
    if written and not module.check_mode:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            for name in written:
                write(*files[name])
        except OSError as error:
            module.fail_json(msg=f"cannot write the credentials: {error}")
    module.exit_json(changed=bool(written), written=written)


if __name__ == "__main__":
    main()
