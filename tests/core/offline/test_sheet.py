"""A contact sheet, as a program has it."""

import numpy as np

from edgekit.offline.comparison import Disagreement
from edgekit.offline.sheet import contact_sheet


def test_a_notebook_shows_it_and_a_terminal_a_line() -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    found = Disagreement(("cat", 0.9), ("dog", 0.8), "door.clip", 1.5, picture)
    sheet = contact_sheet([found], "A and B", "one disagreement")
    assert sheet._repr_png_() == sheet and sheet.startswith(b"\x89PNG")
    assert repr(sheet) == f"<contact sheet: PNG, {len(sheet):,} bytes>"
