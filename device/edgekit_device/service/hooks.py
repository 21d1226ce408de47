"""What the unit runs around each start of the daemon, and before a reload, as root.

It must never be in the way: the unit ignores its failures.
"""

import contextlib
import time
from collections.abc import Callable

from edgekit.errors import EdgekitError
from edgekit.files import read_bounded
from edgekit_device.config.file import load
from edgekit_device.retry import SERVICE_RESTART
from edgekit_device.service import systemctl
from edgekit_device.service.durable import locked
from edgekit_device.service.layout import Layout
from edgekit_device.service.network import open_network
from edgekit_device.service.probation import Probation, watch
from edgekit_device.service.state import observe
from edgekit_device.service.store import Store

# Restarts are forgotten after so many seconds.
MEMORY = 3600.0
_LIMIT = 1 << 20


def before_start(layout: Layout, notify: Callable[[str], None]) -> None:
    """Open the network, settle an upgrade that was cut short, and wait after repeated failures."""
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


def before_reload(layout: Layout, notify: Callable[[str], None]) -> None:
    """Let the service reach what its configuration names now."""
    try:
        open_network(layout, notify)
    except EdgekitError as error:
        # The daemon itself says what is wrong with a configuration.
        notify(f"network: {error}; as it was")


def _note_restart(layout: Layout) -> int:
    """Note a restart; how many others there were within the hour."""
    if not systemctl.show().restarts:
        # Somebody started it, or the machine did.
        layout.starts.unlink(missing_ok=True)
        return 0
    now = time.monotonic()
    times: list[float] = []
    # What is not there or cannot be understood is forgotten.
    with contextlib.suppress(OSError, ValueError):
        times = [float(line) for line in read_bounded(layout.starts, _LIMIT).splitlines()]
    recent = [at for at in times if 0 <= now - at < MEMORY]
    layout.starts.write_text("".join(f"{at}\n" for at in (*recent, now)))
    return len(recent)


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
