"""How much lies in a folder that belongs to the service's account."""

import os
from pathlib import Path


def kept_bytes(folder: Path) -> int | None:
    """Bytes of the files below a folder, links not followed; 0 where there is none, None where that
    may not be known.
    """
    refused = False

    def note(error: OSError) -> None:
        nonlocal refused
        refused |= not isinstance(error, FileNotFoundError)

    total = 0
    for place, _folders, files in os.walk(folder, onerror=note):
        for name in files:
            try:
                total += (Path(place) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return None if refused else total
