"""What a distribution brings with it: a bill of materials (CycloneDX), and the licences in it."""

import json
import platform
import re
import sys
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.building import ROOT, Commit, run

# What is resolved of each: all that a user of it may ask for.
EXTRAS = {"edgekit-core": "media", "edgekit-convert": "torch", "edgekit-device": "page"}
# Where a package does not give its licence as an SPDX expression, but with a classifier.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Who passes these on has to do more than to keep a notice.
_COPYLEFT = re.compile(r"\b(A?L?GPL|MPL|EPL|CDDL|EUPL)")


def resolve(wheel: Path, extra: str) -> list[dict[str, Any]]:
    """What pip would install for a wheel, on this machine and Python: itself first.

    Args:
        wheel: with those of ours that it needs beside it.
        extra: also for that.

    Returns:
        Items of pip's installation report: `metadata` and `download_info`.

    Raises:
        SystemExit: pip finds no solution, or no registry.
    """
    name = wheel.name.split("-")[0].replace("_", "-")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        run(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
            "--report", report, "--constraint", ROOT / "constraints.txt", "--find-links",
            wheel.parent, f"{name}[{extra}] @ {wheel.as_uri()}")  # fmt: skip
        items: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["install"]
    return sorted(items, key=lambda item: canonicalize_name(item["metadata"]["name"]) != name)


def licence(metadata: dict[str, Any]) -> str:
    """The licence of a package, as an SPDX expression where it can be told; `unknown` else."""
    if expression := metadata.get("license_expression"):
        return str(expression)
    kinds = [entry.rpartition(" :: ")[2] for entry in metadata.get("classifier", [])
             if entry.startswith("License ::")]  # fmt: skip
    known = [_CLASSIFIERS[kind] for kind in kinds if kind in _CLASSIFIERS]
    if known:
        return " AND ".join(sorted(set(known)))
    told = str(metadata.get("license") or "").strip()
    return told if told and "\n" not in told else (kinds or ["unknown"])[0]


def copyleft(items: list[dict[str, Any]]) -> dict[str, str]:
    """Licence by name of the packages whose licence asks more than that a notice is kept."""
    found = {item["metadata"]["name"]: licence(item["metadata"]) for item in items}
    return {name: text for name, text in found.items() if _COPYLEFT.search(text)}


def unknown(items: list[dict[str, Any]]) -> list[str]:
    """Packages that do not say their licence."""
    return [item["metadata"]["name"] for item in items if licence(item["metadata"]) == "unknown"]


def bill(items: list[dict[str, Any]], commit: Commit) -> str:
    """A bill of materials as CycloneDX JSON, valid by its schema.

    Args:
        items: the distribution, then what it needs.
        commit: that it was built from.

    Raises:
        SystemExit: it is not valid; with the validator's reason.
    """
    components = {canonicalize_name(item["metadata"]["name"]): _component(item) for item in items}
    subject, *others = components.values()
    subject.properties.add(Property(name="edgekit:commit", value=commit.name))
    text = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    subject.properties.add(Property(name="edgekit:resolved-for", value=text))
    bom = Bom(components=others)
    bom.metadata.component = subject
    bom.metadata.timestamp = datetime.fromtimestamp(commit.epoch, UTC)
    # The same for the same content, so that a second build gives the same file.
    content = json.dumps([str(component.purl) for component in components.values()])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, commit.name + content)
    for item in items:
        name = canonicalize_name(item["metadata"]["name"])
        needs = [canonicalize_name(Requirement(text).name)
                 for text in item["metadata"].get("requires_dist", [])]  # fmt: skip
        bom.register_dependency(components[name], [components[n] for n in needs if n in components])
    written: str = JsonV1Dot6(bom).output_as_string(indent=2)
    if (error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)) is not None:
        raise SystemExit(f"the bill of materials is not valid: {error}")
    return written + "\n"


def _component(item: dict[str, Any]) -> Component:
    facts = item["metadata"]
    name, number = canonicalize_name(facts["name"]), facts["version"]
    hashes = item["download_info"].get("archive_info", {}).get("hashes", {})
    told = licence(facts)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=number,
        bom_ref=BomRef(f"{name}=={number}"),
        purl=PackageURL("pypi", None, name, number),
        description=facts.get("summary"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashes["sha256"])],
        licenses=[_spdx(told)],
    )


def _spdx(text: str) -> Any:
    found = LicenseFactory().make_from_string(text)
    return found if found is not None else License(name=text)
