"""Where frames come from: `open_source`.

A live source is a `Camera` in a `LiveSource`; a recording is a `RecordedSource`.
"""

from edgekit_device.sources.base import EndOfSource, Source
from edgekit_device.sources.live import LiveSource
from edgekit_device.sources.opening import (
    is_live,
    open_recording,
    open_source,
    reads_history,
    source_settings,
    with_source_of,
)

__all__ = [
    "EndOfSource", "LiveSource", "Source", "is_live", "open_recording", "open_source",
    "reads_history", "source_settings", "with_source_of",
]  # fmt: skip
