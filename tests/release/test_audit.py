"""What is made of known vulnerabilities, and of a database that does not answer."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from release import audit
from release.building import PROJECTS
from tests.conftest import ROOT

TOOLS = ROOT / "build" / "release" / "bin" / "python"
WANTED = ["click==8.5.1", "numpy==1.26.4"]
FOUND = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["8.6"]}


def _report(**vulnerabilities: Any) -> dict[str, Any]:
    """As pip-audit writes it; a text is why a package was skipped."""
    return {"dependencies": [
        {"name": name, "skip_reason": found} if isinstance(found, str)
        else {"name": name, "version": "1", "vulns": found}
        for name, found in vulnerabilities.items()
    ]}  # fmt: skip


def test_what_is_found_is_named_with_the_release_that_mends_it() -> None:
    outcome = audit.judge(WANTED, _report(click=[FOUND], numpy=[]), {})
    assert outcome.findings == ("click==8.5.1: PYSEC-1, fixed in 8.6",)
    assert (outcome.asked, outcome.unasked) == (2, ())


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_exception_explains_a_finding_of_its_package(name: str) -> None:
    report = _report(click=[FOUND], numpy=[])
    outcome = audit.judge(WANTED, report, {("click", name): "never opened"})
    assert (outcome.findings, outcome.used) == ((), {("click", name)})
    assert audit.judge(WANTED, report, {("numpy", name): "never opened"}).findings


def test_a_package_that_nobody_answered_for_is_not_clean() -> None:
    assert audit.judge(WANTED, _report(click="not found", numpy=[]), {}).unasked == (WANTED[0],)
    assert audit.judge(WANTED, _report(), {}).unasked == tuple(WANTED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[exception]]\nid = 'A'\npackage = 'x'\n", "not understood: 'reason'"),
        ("[[exception]]\nid = 'A'\npackage = 'x'\nreason = ' '\n", "gives no reason"),
        ("exception = 3\n", "not understood"),
        ("[[", "not understood"),
    ],
)
def test_an_exception_without_a_reason_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "exceptions.toml"
    file.write_text(text)
    with pytest.raises(SystemExit, match=message):
        audit.exceptions(file)


def test_our_own_exceptions_are_understood() -> None:
    audit.exceptions(audit.EXCEPTIONS)


def test_a_folder_without_bills_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no bill of materials; run `make dist`"):
        audit.packages(tmp_path / "edgekit-core.cdx.json")


class _Database(BaseHTTPRequestHandler):
    """OSV's protocol, knowing of one vulnerability."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = [{
            "id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z",
            "affected": [{"package": {"name": "click", "ecosystem": "PyPI"},
                          "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "8.6"}]}]}],
        }]  # fmt: skip
        answer = {"vulns": found} if asked["package"]["name"] == "click" else {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not TOOLS.exists():
        pytest.skip("pip-audit is not here; make dist installs it")
    monkeypatch.setattr(audit.sys, "executable", str(TOOLS))
    with HTTPServer(("127.0.0.1", 0), _Database) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def _bills(folder: Path) -> None:
    components = [{"name": text.partition("==")[0], "version": text.partition("==")[2]}
                  for text in [*WANTED, "edgekit-core==0.1.0"]]  # fmt: skip
    for name in PROJECTS:
        (folder / f"{name}.cdx.json").write_text(json.dumps({"components": components}))


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["audit", *arguments])
    try:
        audit.main()
    except SystemExit as end:
        assert end.code == 1
        return 1
    return 0


def test_pip_audit_itself_finds_one(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _bills(tmp_path)
    assert _run(monkeypatch, str(tmp_path), "--osv-url", database) == 1
    said = capsys.readouterr().out
    assert "vulnerable: click==8.5.1: PYSEC-1, fixed in 8.6" in said
    assert "edgekit-device: audited 2 of 2 packages: 1 findings" in said
    stale = tmp_path / "exceptions.toml"
    entry = "[[exception]]\npackage = 'click'\nreason = 'x'\nid = 'PYSEC-1'\n"
    stale.write_text(entry)
    monkeypatch.setattr(audit, "EXCEPTIONS", stale)
    assert _run(monkeypatch, str(tmp_path), "--osv-url", database) == 0
    stale.write_text(entry + entry.replace("PYSEC-1", "PYSEC-2"))
    assert _run(monkeypatch, str(tmp_path), "--osv-url", database) == 1
    assert "PYSEC-2 of click is not found any more; remove it" in capsys.readouterr().out


def test_a_database_that_is_away_is_told(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    _bills(tmp_path)
    away = "http://127.0.0.1:1/v1/query"
    assert _run(monkeypatch, str(tmp_path), "--osv-url", away) == 0
    said = capsys.readouterr().out
    assert "audited 0 of 2 packages" in said
    assert "NOT AUDITED: the database of vulnerabilities cannot be reached" in said
    assert _run(monkeypatch, str(tmp_path), "--osv-url", away, "--required") == 1
