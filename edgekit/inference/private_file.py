"""A private copy of a model as a nameless file, so that the kernel may take it out of memory.

An interpreter keeps the flatbuffer for as long as it lives, and hardly looks at the weights again
once its kernels have packed them. In a file they are pages that the kernel drops when memory is
short, and reads again if it must: 11 MB for a ResNet-18. The user's own file will not do: whoever
writes into it would change a model that was verified, or end the process with SIGBUS.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

# Disk, where /tmp is memory on many systems.
_FOLDER = "/var/tmp"
_MADV_DONTNEED = 4


@contextlib.contextmanager
def private_file(content: bytes) -> Iterator[str | None]:
    """Path from which a private copy of `content` can be opened inside the `with` block.

    The copy has no name and ends with its last user. Gives None where the system has no such files
    or no room for one.
    """
    try:
        descriptor = os.open(_FOLDER, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except (OSError, AttributeError):
        yield None
        return
    try:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            yield None
        else:
            yield f"/proc/self/fd/{descriptor}"
            _release_pages(os.fstat(descriptor).st_ino)
    finally:
        os.close(descriptor)


def _release_pages(inode: int) -> None:
    """Take the mapped pages of a file out of this process; reading them brings them back."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            fields = line.split()
            if fields[4] == str(inode) and fields[-2].startswith(_FOLDER):
                start, end = (int(address, 16) for address in fields[0].split("-"))
                ctypes.CDLL(None).madvise(
                    ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED
                )
