"""Write the tables of docs/reliability.md from those of the tests; tests compare them."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: written by `make docs` -->", "<!-- end of faults -->"


def tables() -> str:
    """A table for each part that faults are tried on."""
    from tests.faults.table import AREAS

    parts = []
    for area in AREAS:
        rows = [
            f"### {area.title}",
            "",
            f"`tests/faults/{area.tests}`",
            "",
            "| what happens | what the daemon does | state | message | well again | lost |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for fault in area.faults:
            state = " or ".join(f"`{state}`" for state in fault.states if state != "ended")
            message = f"`{fault.message}`" if fault.message else "none"
            cells = (fault.what, fault.does, state or "it ends", message, fault.bound, fault.lost)
            rows.append(f"| {' | '.join(map(str, cells))} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def render(page: str) -> str:
    """The page with the tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    TARGET.write_text(render(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
