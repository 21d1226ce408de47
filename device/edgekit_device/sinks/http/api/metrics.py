"""`/metrics`: for Prometheus."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from edgekit_device.folders import MODELS_FOLDER
from edgekit_device.health import runtime_folder
from edgekit_device.installed import CONFIG_ROLLED_BACK, count_rollbacks
from edgekit_device.sinks.base import Host
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import TEXT, Answer, Operation

if TYPE_CHECKING:
    from edgekit_device.sinks.http.metrics import Disk

# Seconds that a disk may take to say how much room it has. A network drive can hang for ever.
DISK_TIMEOUT = 2.0
# Seconds to wait for another who asks.
_TURN_TIMEOUT = 0.2


def metrics_of(
    host: Host, folders: Mapping[str, Path | None]
) -> Callable[[Feed], Iterable[Operation]]:
    """The operation.

    Args:
        host: the daemon.
        folders: where things are kept, by what they are; None for what is not kept.
    """
    # Whoever asks a disk that hangs has it for ever, so that no second thread hangs there.
    asking = threading.Lock()

    def ask() -> "Disk | None":
        if not asking.acquire(timeout=_TURN_TIMEOUT):
            return None
        try:
            return _look(folders)
        finally:
            asking.release()

    async def look() -> "Disk":
        from edgekit_device.sinks.http.metrics import Disk

        disk = None
        with anyio.move_on_after(DISK_TIMEOUT):
            disk = await run_sync(ask, abandon_on_cancel=True)
        return disk or Disk()

    def operations(feed: Feed) -> Iterable[Operation]:
        async def metrics(request: Request) -> Response:
            # Only those who ask for metrics pay for the library.
            from edgekit_device.sinks.http.metrics import exposition

            accept = request.headers.get("accept", "")
            text, media_type = exposition(feed.health(), host.answers(), await look(), accept)
            return Response(text, headers={"Content-Type": media_type})

        yield Operation(
            "GET", "/metrics", metrics, "Metrics for Prometheus.",
            {200: Answer("As text, or as OpenMetrics where that is asked for.", media=TEXT)},
        )  # fmt: skip

    return operations


def _look(folders: Mapping[str, Path | None]) -> "Disk":
    """What the disk says; what it does not say is left out."""
    from edgekit_device.sinks.http.metrics import Disk, Space

    found = {}
    for kept, folder in folders.items():
        if folder is None:
            continue
        try:
            status = os.statvfs(folder)
        except OSError:
            continue
        found[kept] = Space(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)
    if not runtime_folder():
        return Disk(found)
    return Disk(
        found,
        count_rollbacks(MODELS_FOLDER),
        count_rollbacks(MODELS_FOLDER, CONFIG_ROLLED_BACK),
    )
