"""The bill of materials beside each distribution."""

import json
from typing import Any

import pytest

from release import sbom
from release.building import Commit

COMMIT = Commit("0123456789abcdef" * 2 + "01234567", 1_767_225_600)


def _item(name: str, number: str = "1.0", **metadata: object) -> dict[str, Any]:
    """As pip reports it."""
    return {
        "metadata": {"name": name, "version": number, **metadata},
        "download_info": {"archive_info": {"hashes": {"sha256": "ab" * 32}}, "url": "file:///x"},
    }


ITEMS = [
    _item("edgekit-device", license_expression="Apache-2.0",
          requires_dist=["Paho_MQTT>=2.1", "absent; extra == 'page'"]),
    _item("paho-mqtt", "2.2.0", license_expression="EPL-2.0 OR BSD-3-Clause"),
    _item("strange", license="Ask the author"),
]  # fmt: skip


def test_it_names_each_package_with_hash_licence_and_who_needs_it() -> None:
    told = json.loads(sbom.bill(ITEMS, COMMIT))
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    subject = told["metadata"]["component"]
    assert (subject["name"], subject["licenses"]) == (
        "edgekit-device", [{"license": {"id": "Apache-2.0"}}],
    )  # fmt: skip
    assert {"name": "edgekit:commit", "value": COMMIT.name} in subject["properties"]
    paho, strange = told["components"]
    assert paho["purl"] == "pkg:pypi/paho-mqtt@2.2.0"
    assert paho["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert paho["licenses"] == [{"expression": "EPL-2.0 OR BSD-3-Clause"}]
    assert strange["licenses"] == [{"license": {"name": "Ask the author"}}]
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in told["dependencies"]}
    assert needs["edgekit-device==1.0"] == ["paho-mqtt==2.2.0"]


def test_it_is_the_same_each_time_and_names_no_place_of_a_file() -> None:
    assert sbom.bill(ITEMS, COMMIT) == sbom.bill(ITEMS, COMMIT)
    assert "file:" not in sbom.bill(ITEMS, COMMIT)


def test_a_bill_that_is_not_valid_is_not_written() -> None:
    bad = _item("x")
    bad["download_info"]["archive_info"]["hashes"]["sha256"] = "no hash"
    with pytest.raises(SystemExit, match="the bill of materials is not valid"):
        sbom.bill([bad], COMMIT)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"license_expression": "MIT", "license": "other"}, "MIT"),
        ({"classifier": ["License :: OSI Approved :: BSD License"], "license": "BSD\n\nCopyright"},
         "BSD-3-Clause"),
        ({"classifier": ["License :: OSI Approved :: MIT License",
                         "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"]},
         "MIT AND MPL-2.0"),
        ({"license": " Apache 2.0 "}, "Apache 2.0"),
        ({"license": "a text\nof many lines"}, "unknown"),
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_the_licence_is_what_the_package_says(metadata: dict[str, Any], licence: str) -> None:
    assert sbom.licence(metadata) == licence


def test_copyleft_and_no_licence_at_all_are_told() -> None:
    items = [*ITEMS, _item("q", license_expression="LGPL-2.1-or-later"), _item("silent")]
    assert sbom.copyleft(items) == {
        "paho-mqtt": "EPL-2.0 OR BSD-3-Clause", "q": "LGPL-2.1-or-later",
    }  # fmt: skip
    assert sbom.unknown(items) == ["silent"]
