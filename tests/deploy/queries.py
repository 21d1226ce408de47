"""What a query in PromQL reads."""

from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser


def parts(query: str) -> list[Any]:
    """All parts of a query, its own whole among them; ValueError where it is none."""
    return list(_walk(promql_parser.parse(query)))


def _walk(part: Any) -> Iterator[Any]:
    yield part
    for name in ("expr", "lhs", "rhs", "vector_selector", "args", "param"):
        inner = getattr(part, name, None)
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None:
                yield from _walk(one)


def names(query: str) -> set[str]:
    """The metrics that it reads."""
    return {part.name for part in parts(query) if isinstance(part, promql_parser.VectorSelector)}


def misuses(query: str, known: Mapping[str, set[str]]) -> list[str]:
    """What it reads that is not there.

    Args:
        query: the query.
        known: labels by metric.
    """
    found, labels = [], {label for name in names(query) for label in known.get(name, ())}
    for part in parts(query):
        if isinstance(part, promql_parser.VectorSelector):
            if part.name not in known:
                found.append(f"no metric {part.name}")
                continue
            asked = {matcher.name for matcher in part.matchers.matchers}
            found += [f"no label {label} of {part.name}" for label in asked - known[part.name]]
        else:
            found += [f"no label {label}" for label in _grouped(part) - labels]
    return found


def _grouped(part: Any) -> set[str]:
    """Labels by which a part groups or joins."""
    modifier = getattr(part, "modifier", None)
    if modifier is None:
        return set()
    matching = getattr(modifier, "matching", None)
    joined = getattr(modifier, "group_labels", None)
    found = set(getattr(modifier, "labels", ()))
    found |= set(matching.labels if matching else ())
    return found | set(joined.labels if hasattr(joined, "labels") else joined or ())
