"""Where a label gets its name, and files of class names: one a line, line number = class index."""

from pathlib import Path

from edgekit.errors import LabelsError


def class_names(
    model: Path, classes: int, carried: list[str] | None, file: Path | None
) -> list[str]:
    """The name of every class of a model, by index.

    Args:
        model: the model file, for messages.
        classes: that it has.
        carried: the names inside the model file, if any.
        file: names that the user gives instead, as `--labels`.

    Returns:
        Those of `file`; else those carried; else `class 0`, `class 1` and so on.

    Raises:
        LabelsError: `file` cannot be used, or there are more or fewer names than classes.
    """
    if file is not None:
        return read_labels(file, classes)
    if carried is None:
        return [f"class {index}" for index in range(classes)]
    if len(carried) != classes:
        raise LabelsError(
            f"{model} carries {len(carried)} labels for {classes} classes; pass the right ones "
            "with --labels"
        )
    return carried


def parse_labels(text: str) -> list[str]:
    """Split the text of a labels file; blank lines at the end do not count."""
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_labels(path: Path, expected: int | None = None) -> list[str]:
    """Read class names from `path`.

    Args:
        path: a text file with one name a line.
        expected: the number of classes the model has, where known.

    Raises:
        LabelsError: the file is missing, not text, empty, has blank names, or its
            number of lines is not `expected`.
    """
    try:
        names = parse_labels(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelsError(f"cannot read labels from {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelsError(f"{path} is not a UTF-8 text file with one class name a line") from error
    if not names:
        raise LabelsError(f"{path} holds no class names; write one a line")
    if "" in names:
        raise LabelsError(f"{path}, line {names.index('') + 1} is blank; write one name a line")
    if expected is not None and len(names) != expected:
        raise LabelsError(
            f"{path} has {len(names)} class names, but the model has {expected} classes"
        )
    return names
