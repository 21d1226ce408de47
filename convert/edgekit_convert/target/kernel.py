"""Figures about memory: the Linux kernel's tables, and amounts as people read them."""

from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30


def read_table(file: Path) -> dict[str, int]:
    """Numbers from a table of the kernel's, in bytes: `VmRSS:  12 kB` or `inactive_file 12288`.

    Raises:
        FileNotFoundError: this system has no such table.
    """
    table = {}
    for line in file.read_text().splitlines():
        key, *words = line.replace(":", " ").split()
        if words and words[0].isdigit():
            table[key] = int(words[0]) * (1024 if words[-1] == "kB" else 1)
    return table


def mib(size: int) -> str:
    """A size in bytes, for example `1,024 MiB`."""
    return f"{size / MIB:,.0f} MiB"
