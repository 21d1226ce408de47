"""What the unit runs around each start of the daemon, and before a reload, as root.

It must never be in the way: the unit ignores its failures.
"""

import time
from collections.abc import Callable

from edgekit.errors import EdgekitError
from edgekit_device.config.file import load
from edgekit_device.retry import SERVICE_RESTART
from edgekit_device.service import systemctl
from edgekit_device.service.configure import settle
from edgekit_device.service.durable import locked
from edgekit_device.service.layout import Layout
from edgekit_device.service.network import open_network
from edgekit_device.service.probation import Probation, watch
from edgekit_device.service.recent import Recent
from edgekit_device.service.requests import watch_requests
from edgekit_device.service.state import observe
from edgekit_device.service.store import Store


def before_start(layout: Layout, notify: Callable[[str], None]) -> None:
    """Settle what was cut short, open the network, have requests waited for; wait after repeated
    failures.
    """
    _settle_configuration(layout, notify)
    before_reload(layout, notify)
    with locked(layout.lock) as ours:
        # Otherwise an upgrade is at work: it judges its model itself, and wants no delay.
        if not ours:
            return
        changed = Store(layout.state).settle()
    if changed:
        notify(changed)
    earlier = _note_restart(layout)
    # systemd itself waits for RestartSec=, so the first restart needs no pause of ours.
    seconds = SERVICE_RESTART.delay(earlier)
    if seconds:
        notify(f"{earlier} other restarts within the hour: waiting for {seconds:g} s")
        time.sleep(seconds)


def _settle_configuration(layout: Layout, notify: Callable[[str], None]) -> None:
    try:
        with locked(layout.lock) as ours:
            if ours and (changed := settle(layout)):
                notify(changed)
    except EdgekitError as error:
        notify(f"configuration: {error}")


def before_reload(layout: Layout, notify: Callable[[str], None]) -> None:
    """Let the service reach, and be asked by its clients for, what its configuration has now."""
    try:
        open_network(layout, notify)
    except EdgekitError as error:
        # The daemon itself says what is wrong with a configuration.
        notify(f"network: {error}; as it was")
    try:
        watch_requests(layout, notify)
    except EdgekitError as error:
        notify(f"control: {error}")


def _note_restart(layout: Layout) -> int:
    """Note a restart; how many others there were within the hour."""
    restarts = Recent(layout.starts)
    if not systemctl.show().restarts:
        # Somebody started it, or the machine did.
        restarts.forget()
        return 0
    earlier = len(restarts.times)
    restarts.note()
    return earlier


def after_start(layout: Layout, notify: Callable[[str], None]) -> None:
    """Judge the model of an upgrade that was cut short, now that the daemon has answered."""
    with locked(layout.lock) as ours:
        store = Store(layout.state)
        pending = store.pending
        if not ours or pending is None:
            return
        probation = Probation.of(load(layout.config, {}))
        reason = watch(layout, pending.new, observe(layout), probation)
        if reason is None:
            store.confirm()
            notify(f"model {pending.new[:12]} proved itself after an upgrade that was cut short")
        else:
            store.roll_back()
            notify(f"model {pending.new[:12]} was rolled back: {reason}")
