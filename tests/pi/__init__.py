"""An emulated Raspberry Pi: the package installed, and its service run by a real systemd."""
