"""Tell systemd how we are: the sd_notify protocol (man 3 sd_notify), datagrams to a socket."""

import os
import socket


class Notifier:
    """Sends states to the service manager; does nothing where there is none.

    Attributes:
        watchdog: seconds within which the manager wants a sign of life (WatchdogSec=); None for
            no watchdog.
    """

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL that begins an abstract address.
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        self.watchdog = int(microseconds) / 1e6 if ours and microseconds.isdecimal() else None

    def send(self, **fields: str | int) -> None:
        """Send fields such as READY=1, STATUS=…, WATCHDOG=1.

        A manager that cannot be reached is not our trouble: nothing is raised.
        """
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(0.5)
                channel.sendto(message.encode(), self._address)
        except OSError:
            pass
