"""What is to be known about pictures as they were read."""

from collections import Counter


class Notes:
    """What was left out, guessed or not used; each thing is told once, with a count."""

    def __init__(self, *lines: str) -> None:
        self._lines = [line for line in lines if line]
        self._pictures = Counter[str]()

    def tell(self, line: str) -> None:
        """Add a line, unless it is there."""
        if line not in self._lines:
            self._lines.append(line)

    def count(self, what: str) -> None:
        """Count a picture of a kind: `with 16 bits a channel: the upper 8 are used`."""
        self._pictures[what] += 1

    @property
    def lines(self) -> list[str]:
        """All of it."""
        counted = (
            f"{count} {'picture' if count == 1 else 'pictures'} {what}"
            for what, count in self._pictures.items()
        )
        return [*self._lines, *counted]
