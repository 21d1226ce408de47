"""The folders of the service, as the daemon in it and the commands beside it name them."""

import os
from pathlib import Path

MODELS_FOLDER = Path("/var/lib/edgekit")
"""Root's own: models, and what is known of them; all may read it."""
DATA_FOLDER = Path("/var/lib/edgekit-data")
"""What StateDirectory= in systemd/edgekit.service makes: the daemon's own, nobody else's."""
ANSWERS_FOLDER = Path("/run/edgekit-control")
"""Where root's unit says what became of a request of the daemon's; all may read it."""


def data_folder() -> Path | None:
    """The folder on disk that systemd gives this process to keep things in; None without one.

    `history/` in it is for the history, `clips/` for recordings that somebody asked for, and
    `paused` is there while the daemon is paused.
    """
    folder = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(folder) if folder else None
