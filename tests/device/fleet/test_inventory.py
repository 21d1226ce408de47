"""What Ansible gets; it evaluates values, so that none may come from whoever publishes."""

from typing import Any

import pytest
import yaml
from edgekit_device.fleet.inventory import (
    can_be_host,
    inventory,
    is_found,
    shared_places,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.device.fleet.samples import HASH, device_of


def _groups(*devices: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(inventory(devices))["all"]["children"]
    return found


def test_a_device_is_found_by_its_address_else_by_its_host_s_name() -> None:
    devices = device_of("a"), device_of("b", address=""), device_of("c", address="", host="")
    hosts = _groups(*devices)["edgekit"]["hosts"]
    assert hosts["a"]["ansible_host"] == "192.168.1.7" and hosts["a"]["fleet_host"] == "pi"
    assert hosts["b"]["ansible_host"] == "pi"
    assert "ansible_host" not in hosts["c"]
    assert [is_found(device) for device in devices] == [True, True, False]


def test_no_fact_is_taken_for_a_variable_of_the_role() -> None:
    facts = _groups(device_of("a"))["edgekit"]["hosts"]["a"]
    assert facts.keys() >= {"fleet_model_sha256", "fleet_version"}
    assert not [name for name in facts if name.startswith("edgekit_")]


def test_groups_are_by_state_and_model() -> None:
    groups = _groups(device_of("a"), device_of("b", state="offline", model_sha256=""))
    assert list(groups["edgekit_running"]["hosts"]) == ["a"]
    assert list(groups["edgekit_offline"]["hosts"]) == ["b"]
    assert list(groups[f"edgekit_model_{HASH[:12]}"]["hosts"]) == ["a"]


@pytest.mark.parametrize("name", ["no", "007", "1e3", "null", "a-", "0x10", "_"])
def test_a_name_stays_a_name(name: str) -> None:
    assert list(_groups(device_of(name))["edgekit"]["hosts"]) == [name]


@pytest.mark.parametrize(
    "evil",
    ["{{ lookup('pipe', 'id') }}", "-oProxyCommand=id", "a\nb: c", "pi; id", "a b", "pi.-x",
     "fe80::1%{{x}}", "::1%eth0", "1.2.3.4 ansible_connection=local", "\u202e"],
)  # fmt: skip
def test_nothing_that_ansible_would_run_goes_in(evil: str) -> None:
    device = device_of(
        address=evil, host=evil, version=evil, model=evil, model_sha256=evil, state=evil,
        label=evil, board=evil, page=evil, problems=[evil],
    )  # fmt: skip
    assert _groups(device) == {"edgekit": {"hosts": {"pi": {}}}}
    assert not is_found(device)


@pytest.mark.parametrize(
    "name", ["localhost", "all", "ungrouped", "edgekit", "edgekit_running", "-oProxyCommand", "-"]
)
def test_a_name_that_means_something_else_to_ansible_is_no_host(name: str) -> None:
    """A device called localhost would get what playbooks delegate to the workstation."""
    assert not can_be_host(device_of(name))
    assert list(_groups(device_of(name), device_of("a"))["edgekit"]["hosts"]) == ["a"]


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "224.0.0.1", "fe80::1",
     "169.254.1.1", "localhost", "LocalHost", "a.localhost", "localhost.localdomain", "127.1", "0",
     "ip6-localhost", "0x7f000001", "2130706433", "a.1"],
)  # fmt: skip
def test_a_place_that_is_the_machine_of_whoever_reads_it_is_none(text: str) -> None:
    device = device_of(address=text, host=text)
    assert not is_found(device) and _groups(device)["edgekit"]["hosts"]["pi"].keys() == {
        "fleet_model_sha256", "fleet_version",
    }  # fmt: skip


@pytest.mark.parametrize("host", ["pi.localdomain", "4u", "0xcafe.lan", "pi-4"])
def test_a_host_that_looks_like_one_of_these_is_one(host: str) -> None:
    assert is_found(device_of(address="", host=host))


def test_devices_in_one_place_are_found_out() -> None:
    devices = [
        device_of("b"), device_of("a"), device_of("c", address="", host="hall"),
        device_of("d", address="", host="Hall"), device_of("e", address="", host=""),
        device_of("f", address="", host=""), device_of("g", address="192.168.1.9"),
    ]  # fmt: skip
    assert shared_places(devices) == {"192.168.1.7": ["a", "b"], "hall": ["c", "d"]}


@given(st.text(), st.text())
def test_any_text_is_left_out_or_harmless(host: str, address: str) -> None:
    text = inventory([device_of(host=host, address=address)])
    assert "{{" not in text and "{%" not in text
    yaml.safe_load(text)
