"""How systemd learns how we are: sd_notify (man 3 sd_notify), datagrams to a socket."""

import os
import socket

from edgekit.text import one_line


class ServiceManager:
    """The service manager that started this process, if one did.

    Attributes:
        watchdog: seconds within which it wants a sign of life (WatchdogSec=); None for no
            watchdog.
    """

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL that begins an abstract address.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self.watchdog = int(microseconds) / 1e6 if ours and microseconds.isdecimal() else None

    def send(self, **fields: str | int) -> None:
        """Send fields such as READY=1, STATUS=…, WATCHDOG=1; does nothing where there is none.

        A manager that cannot be reached is not our trouble: nothing is raised.
        """
        if not self._address:
            return
        # A line break inside a value would begin another field; systemd ignores a datagram of more
        # than 4096 bytes.
        lines = (f"{name}={one_line(value)}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(0.5)
                channel.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            pass
