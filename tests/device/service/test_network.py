"""What the service may reach: what its configuration names, and nothing else."""

import os

import pytest
from edgekit_device.config.settings import HttpSettings, MqttSettings, Settings, WebhookSettings
from edgekit_device.service import hooks
from edgekit_device.service.network import Network, network_of

from tests.device.service.conftest import QUICK, Device


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def _mqtt(host: str) -> Settings:
    return Settings(source="picamera2:", mqtt=MqttSettings(host=host))


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (Settings(source="v4l2:/dev/video0"), ()),
        (_mqtt("localhost"), ()),
        (_mqtt("127.0.0.1"), ()),
        (_mqtt("0.0.0.0"), ()),
        (_mqtt("::1"), ()),
        (_mqtt("192.168.1.10"), ("192.168.1.10",)),
        (_mqtt("fe80::1%wlan0"), ("fe80::1",)),
        (Settings(source="rtsp://user:pass@10.0.0.7:554/live"), ("10.0.0.7",)),
        (Settings(source="HTTP://[fd00::7]/live"), ("fd00::7",)),
        (Settings(source="/srv/clip.avi"), ()),
        (Settings(webhook=WebhookSettings(url="https://10.0.0.8/hook")), ("10.0.0.8",)),
        (Settings(http=HttpSettings(listen="127.0.0.1:8080")), ()),
    ],
)
def test_addresses_that_are_named_are_allowed(settings: Settings, allowed: tuple[str, ...]) -> None:
    assert network_of(settings) == Network(("localhost", *allowed))


def test_one_address_named_twice_is_one() -> None:
    settings = Settings(
        source="rtsp://10.0.0.7/live",
        mqtt=MqttSettings(host="10.0.0.9"),
        webhook=WebhookSettings(url="http://10.0.0.7/hook"),
    )
    network = network_of(settings)
    assert network.allowed == ("localhost", "10.0.0.9", "10.0.0.7")
    assert str(network) == "this machine, 10.0.0.9, 10.0.0.7"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (_mqtt("broker.local"), "mqtt.host is a name, not an address"),
        (_mqtt("127.1"), "mqtt.host is a name, not an address"),
        (Settings(source="rtsp://door/live"), "source is a name, not an address"),
        (Settings(source="rtsp://[::7/live"), "source is a name, not an address"),
        (
            Settings(webhook=WebhookSettings(url="https://example.org/secret")),
            "webhook.url is a name, not an address",
        ),
        (Settings(http=HttpSettings(listen="0.0.0.0:8080")), "http.listen is 0.0.0.0:8080"),
        (Settings(http=HttpSettings(listen="[::]:8080")), "http.listen is [::]:8080"),
    ],
)
def test_what_may_be_anywhere_opens_the_network(settings: Settings, reason: str) -> None:
    network = network_of(settings)
    assert network == Network(("any",), reason)
    assert str(network) == f"any address, because {reason}"


@pytest.mark.parametrize("name", ["https_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_may_be_anywhere(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy:3128")
    assert network_of(_mqtt("10.0.0.9")) == Network(("any",), "a proxy is set")


@pytest.mark.parametrize("hook", [hooks.before_start, hooks.before_reload])
def test_it_is_opened_before_a_start_and_before_a_reload(hook: object, running: Device) -> None:
    running.layout.config.write_text(f"{QUICK}mqtt = {{host = '10.0.0.9'}}\n")
    hook(running.layout, running.said.append)  # type: ignore[operator]
    assert running.calls[0] == (
        "set-property --runtime edgekit.service IPAddressAllow= IPAddressAllow=localhost "
        "IPAddressAllow=10.0.0.9"
    )
    assert running.said == ["network: this machine, 10.0.0.9"]


def test_a_wrong_configuration_leaves_it_as_it_was(running: Device) -> None:
    running.layout.config.write_text("thread = 1\n")
    hooks.before_reload(running.layout, running.said.append)
    assert not any("set-property" in call for call in running.calls)
    (told,) = running.said
    assert told.startswith("network: ")
    assert told.endswith("; as it was")


def test_systemd_that_refuses_is_told_and_delays_nothing(
    running: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SYSTEMD_REFUSES", "set-property")
    hooks.before_start(running.layout, running.said.append)
    assert running.said == ["network: systemd does not open the network: Access denied; as it was"]
