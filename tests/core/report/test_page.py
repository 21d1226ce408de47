"""What every page has in common."""

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest

from edgekit.report.page import framed, render

BASE = '{% extends "base.html.j2" %}{% import "macros.html.j2" as show %}'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that may be given a template `page.html.j2`."""
    (tmp_path / "pages_of_a_test").mkdir()
    (tmp_path / "pages_of_a_test" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pages_of_a_test", raising=False)
    return str(tmp_path / "pages_of_a_test" / "page.html.j2")


def _page(template: str, body: str, **values: object) -> str:
    Path(template).write_text(
        f"{BASE}{{% block sections %}}{body}{{% endblock %}}", encoding="utf-8"
    )
    return render("pages_of_a_test", "page.html.j2", values, {"shout": str.upper})


def test_a_page_runs_no_script_and_loads_nothing(package: str) -> None:
    page = _page(package, "")
    assert page.lstrip().startswith("<!doctype html>")
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert "--accent:" in page and "prefers-color-scheme: dark" in page and "@media print" in page
    for loaded in ("://", "@import", "url(", "<script", "<link", "{#", "{%"):
        assert loaded not in page


def test_text_is_escaped(package: str) -> None:
    assert "<b>&lt;i&gt; &amp;</b>" in _page(package, "<b>{{ name }}</b>", name="<i> &")


def test_what_utf8_cannot_write_does_not_stop_it(package: str) -> None:
    assert "caf?.jpg" in _page(package, "{{ name }}", name="caf\udce9.jpg")


def test_a_notebook_shows_a_page_apart_from_its_own(package: str) -> None:
    shown = framed(_page(package, '"&amp;"'))
    assert shown.startswith('<iframe sandbox srcdoc="')
    assert "&quot;&amp;amp;&quot;" in shown
    assert shown.count("<") == 2


def test_a_name_that_is_missing_is_an_error(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        _page(package, "{{ name }}")


def test_figures_are_written_as_everywhere(package: str) -> None:
    body = "{{ 0.9996 | percent }} {{ 62 | clock }} {{ 36002 | thousands }} {{ 'a' | shout }}"
    assert "99.9% 1:02 36,002 A" in _page(package, body)


@pytest.mark.parametrize(
    ("content", "kind"), [(b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg")]
)
def test_a_picture_lies_inside_the_page(package: str, content: bytes, kind: str) -> None:
    page = _page(package, "{{ show.picture(content, '\"a\"', tiny=true) }}", content=content)
    assert f'<img src="data:image/{kind};base64,' in page
    assert 'alt="&#34;a&#34;" class="tiny">' in page


def test_only_who_writes_a_report_loads_jinja2() -> None:
    code = (
        "import sys, edgekit.commands.compare, edgekit.commands.evaluate, edgekit.report.page\n"
        "assert 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
