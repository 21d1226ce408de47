"""What the daemon leaves for the commands beside it."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from edgekit.files import FileStamp
from edgekit_device.health import Health, Status, installed_code, shown, write_status


class StatusFile:
    """Writes how the daemon is where `edgekit service status` reads it.

    Args:
        folder: where; None for nowhere.
        notify: called with a line for people about what happens.
        read: what the configuration's file looked like when it was read last; None for none.

    Attributes:
        problem: why it cannot be written, in words.
        is_old: whether the configuration was read again since it was written.
    """

    def __init__(
        self,
        folder: Path | None,
        notify: Callable[[str], None],
        read: Callable[[], FileStamp | None] = lambda: None,
    ) -> None:
        self.problem: str | None = None
        self.is_old = False
        self._reloads = 0
        self._folder = folder
        self._notify = notify
        self._read = read
        self._followed = read()
        # Now: pip may bring other files while this code runs.
        self._code = installed_code()

    def count_reload(self) -> None:
        """The configuration is read again, or cannot be."""
        self._reloads += 1
        self.is_old = True

    def follow(self) -> None:
        """What was read last is followed from now on."""
        self._followed = self._read()

    def leave(self, health: Health, problems: Mapping[str, str], refused: str | None) -> None:
        """Write it anew.

        Args:
            health: how the daemon is.
            problems: of it, by part.
            refused: why it does not use the model file that is there; None when it does.
        """
        self.is_old = False
        if self._folder is None:
            return
        status = Status(
            pid=os.getpid(),
            health=health,
            problems=dict(problems),
            refused_model=refused and shown(refused),
            reloads=self._reloads,
            configuration=self._followed,
            code=self._code,
        )
        try:
            write_status(self._folder, status)
        except OSError as error:
            text = f"cannot write it to {self._folder}: {error.strerror or error}"
            if self.problem != text:
                self._notify(f"status: {text}")
            self.problem = text
        else:
            self.problem = None
