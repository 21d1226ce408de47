"""Reports as pages: one HTML file each, which runs no script and loads nothing."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from edgekit.text import clock, encodable, percent

# Width of a card in CSS pixels, nearly: a narrower picture is enlarged as it is, not smeared.
TINY = 150


class Figure(NamedTuple):
    """One of the few figures at the top of a page: its name, its value, and a note below."""

    name: str
    value: str
    note: str


def theme() -> str:
    """Colours and type of every page, as CSS variables; for pages that are no reports."""
    return files(__package__).joinpath("theme.css").read_text("utf-8")


def render(
    package: str,
    template: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """A page from a template.

    The template extends `base.html.j2` and may import `macros.html.j2`; both lie here. What it
    inserts is escaped, and a name that it does not get is an error rather than a blank.

    Args:
        package: the package in whose folder the template lies.
        template: its file name.
        values: what it inserts, by name.
        filters: its own, beside `percent`, `clock`, `thousands` and `data_uri`.

    Raises:
        jinja2.TemplateError: the template is wrong.
    """
    # Not at the top: only who writes a report needs it, and commands on the device do not.
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader(__package__, "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "clock": clock,
        "thousands": _thousands,
        "data_uri": _data_uri,
        **(filters or {}),
    }
    return encodable(environment.get_template(template).render(values))


def framed(page: str, height: int = 640) -> str:
    """A page as a notebook shows it in a cell: apart from the notebook's own style and scripts.

    Args:
        page: from `render`.
        height: in CSS pixels.
    """
    return (
        f'<iframe sandbox srcdoc="{escape(page)}" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )


def _thousands(number: int) -> str:
    return f"{number:,}"


def _data_uri(picture: bytes) -> str:
    """A PNG or JPEG file as an address that holds it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(picture).decode()}"
