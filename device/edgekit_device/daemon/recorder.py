"""Clips that somebody asks the daemon for, one at a time, into a folder of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import EdgekitError
from edgekit_device.control import Outcome, RecordingNow
from edgekit_device.daemon.outputs import in_words
from edgekit_device.health import Health
from edgekit_device.sinks.base import Sink
from edgekit_device.sinks.clip.folder import ClipFolder
from edgekit_device.sinks.clip.request import ClipRequest

if TYPE_CHECKING:
    from edgekit_device.sinks.clip.recording import Recording

# Seconds for the frames to come on which a clip ends by itself; a camera may be lost meanwhile.
_SLACK = 10.0


class Recorder:
    """Writes a clip where it is asked to; from any thread.

    Args:
        folder: where clips lie; None for nowhere.
        health: how the daemon is now.
        notify: called with a line for people about what happens.

    Attributes:
        sinks: what has to get each frame that is answered.
        last: what became of the last one, in words; empty before.
    """

    def __init__(
        self,
        folder: ClipFolder | None,
        health: Callable[[], Health],
        notify: Callable[[str], None],
    ) -> None:
        self.sinks: Sequence[Sink] = ()
        self.last = ""
        self._folder = folder
        self._health = health
        self._notify = notify
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._because = ""  # somebody ended it early
        # The clip in progress: its name, its end, that on the monotonic clock, and its seconds.
        self._current: tuple[str, str, float, int] | None = None

    @property
    def now(self) -> RecordingNow | None:
        """The clip in progress; None while there is none."""
        if (current := self._current) is None:
            return None
        name, until, end, seconds = current
        left = min(1.0, max(0.0, (end - time.monotonic()) / seconds))
        return RecordingNow(name, until, round(1 - left, 3))

    def obstacle(self) -> str | None:
        """Why none can begin now, in words."""
        if self._folder is None:
            return (
                "this daemon has no folder to record to: the service has one, or use "
                "`edgekit record`"
            )
        now = self.now
        return None if now is None else f"{now.clip} is being recorded until {now.until}"

    def begin(self, seconds: int) -> Outcome:
        """Record for so many seconds from the next frame on."""
        # Few daemons are asked to.
        from edgekit.offline.clip_output import ClipFile
        from edgekit_device.sinks.clip.recording import MEMORY, Recording

        with self._lock:
            if (obstacle := self.obstacle()) is not None:
                return Outcome(False, obstacle)
            assert self._folder is not None
            try:
                room, removed = self._folder.make_room()
                path, ended = self._folder.new(), threading.Event()
                recording = Recording(
                    lambda: ClipFile(path),
                    ClipRequest(max_bytes=room, max_seconds=float(seconds)),
                    self._health,
                    lossless=False,
                    memory=MEMORY // 2,
                    on_end=ended.set,
                )
                recording.start()
            except EdgekitError as error:
                return Outcome(False, str(error))
            until = datetime.now(UTC) + timedelta(seconds=seconds)
            stamp = until.isoformat(timespec="seconds").replace("+00:00", "Z")
            self._current = path.name, stamp, time.monotonic() + seconds, seconds
            self._because = ""
            self.sinks = (recording,)
            self._thread = threading.Thread(
                target=self._finish, args=(recording, path, ended, seconds), name="recorder",
                daemon=True,
            )  # fmt: skip
            self._thread.start()
        gone = f"; {', '.join(removed)} made room for it" if removed else ""
        return Outcome(True, f"recording {seconds} s as {path.name}{gone}")

    def end(self, because: str, timeout: float = 0.0) -> None:
        """End the clip in progress; waits so many seconds for it to be whole."""
        self._because = because
        for recording in self.sinks:
            recording.close(0)
        if self._thread is not None:
            self._thread.join(timeout)

    def _finish(
        self, recording: "Recording", path: Path, ended: threading.Event, seconds: int
    ) -> None:
        ended.wait(seconds + _SLACK)
        try:
            recording.finish()
            text = _describe(recording, path, self._because)
        # Any: whatever a disk makes go wrong, another clip may be asked for.
        except Exception as error:
            text = f"{path.name} is not whole: {in_words(error)}"
        self.sinks, self.last = (), text
        self._current = None
        self._notify(f"recorded: {text}")


def _describe(recording: "Recording", path: Path, because: str) -> str:
    """What became of a clip, and what is not in it."""
    outcome = recording.outcome
    if not outcome.kept:
        return f"no frame came; there is no {path.name}"
    parts = [f"{path.name}, {outcome.kept} frames, {path.stat().st_size / 1e6:.1f} MB"]
    if outcome.dropped:
        parts.append(f"{outcome.dropped} are missing: they came faster than they could be written")
    if outcome.full:
        parts.append("it ended early, at its greatest size")
    elif outcome.reason or because:
        parts.append(f"it ended early: {outcome.reason or because}")
    return "; ".join(parts)
