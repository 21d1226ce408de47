"""`make audit`: known vulnerabilities of what the three distributions bring with them.

`python -m release.audit FOLDER`, with what `make dist` wrote, in an environment with
release/tools.txt. What is found fails it, unless release/audit-exceptions.toml says why it may
stand. pip-audit calls a package clean whose database cannot be asked, with exit code 0: here that
is told and counted, and fails with `--required`.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.building import PROJECTS, ROOT

EXCEPTIONS = ROOT / "release" / "audit-exceptions.toml"


@dataclass(frozen=True)
class Outcome:
    """What an audit found.

    Attributes:
        asked: number of packages that it was to ask for.
        unasked: those of them for which the database gave no answer.
        findings: one line for each vulnerability that no exception explains.
        used: package and identifier of each exception that explains one.
    """

    asked: int
    unasked: tuple[str, ...]
    findings: tuple[str, ...]
    used: frozenset[tuple[str, str]]


def packages(bill: Path) -> list[str]:
    """`name==version` of all that a bill of materials names, without our own.

    Raises:
        SystemExit: it is not there, or no bill of materials.
    """
    try:
        components = json.loads(bill.read_text(encoding="utf-8"))["components"]
        found = {item["name"]: item["version"] for item in components}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{bill}: no bill of materials; run `make dist` ({error})") from error
    # A local version (+cpu) is a build of the release that the database knows.
    return sorted(f"{name}=={number.partition('+')[0]}" for name, number in found.items()
                  if name not in PROJECTS)  # fmt: skip


def exceptions(file: Path) -> dict[tuple[str, str], str]:
    """Reason by package and identifier.

    Raises:
        SystemExit: an exception does not say its package, its identifier or its reason.
    """
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("exception", [])
        found = {(str(e["package"]), str(e["id"])): str(e["reason"]).strip() for e in entries}
    except (KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"{file.name}: not understood: {error}") from error
    if not all(found.values()):
        raise SystemExit(f"{file.name}: an exception gives no reason")
    return found


def judge(
    wanted: list[str], report: dict[str, Any], allowed: dict[tuple[str, str], str]
) -> Outcome:
    """What a report of pip-audit (JSON) says of the packages that were wanted."""
    answers = {entry["name"].lower().replace("_", "-"): entry for entry in report["dependencies"]}
    findings: list[str] = []
    unasked: list[str] = []
    used: set[tuple[str, str]] = set()
    for text in wanted:
        name = text.partition("==")[0]
        entry = answers.get(name)
        if entry is None or "vulns" not in entry:
            unasked.append(text)
            continue
        for vulnerability in entry["vulns"]:
            names = {vulnerability["id"], *vulnerability.get("aliases", [])}
            explained = [key for key in allowed if key[0] == name and key[1] in names]
            used.update(explained)
            if not explained:
                fixed = ", ".join(vulnerability.get("fix_versions", [])) or "no release"
                findings.append(f"{text}: {vulnerability['id']}, fixed in {fixed}")
    return Outcome(len(wanted), tuple(unasked), tuple(findings), frozenset(used))


def ask(wanted: list[str], osv_url: str | None) -> dict[str, Any]:
    """pip-audit's report; one without answers where it cannot connect.

    Args:
        wanted: `name==version` each.
        osv_url: a database that speaks OSV's protocol; by default that of pip-audit.

    Raises:
        SystemExit: it failed; with the last line of what it said.
    """
    service = ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{text}\n" for text in wanted), encoding="ascii")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements),
                   "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off",
                   *service]  # fmt: skip
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)  # fmt: skip
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        if not re.search("connect|timed? ?out", last, re.IGNORECASE):
            raise SystemExit(f"pip-audit failed ({done.returncode}): {last}") from None
        return {"dependencies": []}
    return report


def main() -> None:
    """Ask, tell, and end with exit code 1 where something is to be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what `make dist` wrote")
    parser.add_argument("--required", action="store_true", help="fail where the database is silent")
    parser.add_argument("--osv-url", metavar="URL", help="a database that speaks OSV's protocol")
    options = parser.parse_args()
    allowed = exceptions(EXCEPTIONS)
    # One by one: two of them may bring the same package in two versions.
    outcomes = []
    for name in PROJECTS:
        wanted = packages(options.folder / f"{name}.cdx.json")
        outcome = judge(wanted, ask(wanted, options.osv_url), allowed)
        outcomes.append(outcome)
        for line in outcome.findings:
            print(f"vulnerable: {line}")
        answered = outcome.asked - len(outcome.unasked)
        print(f"{name}: audited {answered} of {outcome.asked} packages: "
              f"{len(outcome.findings)} findings")  # fmt: skip
        if not answered:
            print("NOT AUDITED: the database of vulnerabilities cannot be reached from here")
        elif outcome.unasked:
            print(f"NOT AUDITED, since the database does not answer: {', '.join(outcome.unasked)}")
    used = set().union(*(outcome.used for outcome in outcomes))
    # Nothing can be said of an exception whose package nobody answered for.
    silent = {text.partition("==")[0] for outcome in outcomes for text in outcome.unasked}
    stale = [key for key in allowed if key not in used and key[0] not in silent]
    for name, number in stale:
        print(f"{EXCEPTIONS.name}: {number} of {name} is not found any more; remove it")
    unasked = any(outcome.unasked for outcome in outcomes)
    if stale or any(outcome.findings for outcome in outcomes) or (options.required and unasked):
        sys.exit(1)


if __name__ == "__main__":
    main()
