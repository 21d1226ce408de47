"""Take the service away from a machine, or out of an image."""

import shutil
from functools import partial

from edgekit_device.installed import ANSWER_FILE
from edgekit_device.service import systemctl
from edgekit_device.service.changes import Changes
from edgekit_device.service.install import groups, is_as_written, notify_udev
from edgekit_device.service.layout import (
    CONTROL_PATH,
    CONTROL_SERVICE,
    GROUP,
    UNIT,
    UNITS,
    Layout,
)
from edgekit_device.service.requests import CHANGES_FILE
from edgekit_device.service.store import Store


def uninstall(layout: Layout, changes: Changes, *, purge: bool = False) -> None:
    """Remove all that `install` put there; an edited configuration, and what the daemon has kept on
    the disk, stay unless `purge`.

    Raises:
        ServiceError: something cannot be removed.
    """
    if layout.unit.exists():
        if layout.offline:
            changes.run("systemctl", f"--root={layout.root}", "disable", UNIT)
        else:
            changes.run("systemctl", "disable", "--now", UNIT)
            changes.do("forget its failures", lambda: systemctl.call("reset-failed", UNIT))
    if layout.unit_file(CONTROL_PATH).exists() and not layout.offline:
        changes.run("systemctl", "stop", CONTROL_PATH, CONTROL_SERVICE)
    removed = [changes.remove(layout.sysusers)]
    for name in UNITS:
        removed += [changes.remove(layout.drop_in(name)), changes.remove(layout.unit_file(name))]
        changes.remove_folder(layout.drop_in(name).parent)
    if any(removed) and not layout.offline:
        changes.run("systemctl", "daemon-reload")
    if changes.remove(layout.rules):
        notify_udev(layout, changes)
    edited = layout.config.is_file() and not is_as_written(layout)
    if edited and not purge:
        changes.notify(f"keep {layout.config}, which was edited; --purge removes it")
    else:
        for path in (layout.config, layout.previous_config, layout.allowed_signers):
            changes.remove(path)
    changes.remove(layout.config.with_name("edgekit.toml.new"))
    if not edited or purge:
        changes.remove_folder(layout.config.parent)
    store = Store(layout.state)
    if store.current or store.previous or store.names:
        changes.do(f"remove the models below {layout.state}", store.clear)
    ours = (layout.written_config, layout.pending_config, layout.rolled_back_configs)
    for path in (*ours, layout.lock, layout.starts):
        changes.remove(path)
    changes.remove_folder(layout.state)
    for path in (layout.answers / ANSWER_FILE, layout.answers / CHANGES_FILE):
        changes.remove(path)
    changes.remove_folder(layout.answers)
    _remove_data(layout, changes, purge=purge)
    if GROUP in groups(layout) and not layout.config.exists():
        root = [f"--prefix={layout.root}"] if layout.offline else []
        changes.run("groupdel", *root, GROUP)


def _remove_data(layout: Layout, changes: Changes, *, purge: bool) -> None:
    """What the daemon has kept on the disk: gone if there is nothing in it, or with `purge`."""
    # The one is what systemd makes of the other, for an account that comes and goes.
    places = (layout.private_data, layout.data)
    folders = [path for path in places if path.is_dir() and not path.is_symlink()]
    kept = any(not path.is_dir() for folder in folders for path in folder.rglob("*"))
    if kept and not purge:
        changes.notify(f"keep {layout.data}, with what the service has seen; --purge removes it")
        return
    for folder in folders:
        # It follows no link that the daemon's account may have left there.
        changes.do(f"remove {folder} and all in it", partial(shutil.rmtree, folder))
    if layout.data.is_symlink():
        changes.remove(layout.data)
