"""MQTT, against a real broker that goes away and comes back, and against things that are none."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from edgekit_device import board
from edgekit_device.config.settings import HttpSettings, MqttSettings, PictureSize
from edgekit_device.control import Controller
from edgekit_device.pictures import EventPicture
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks.base import OVERFLOW
from edgekit_device.sinks.mqtt import Facts, Mqtt
from edgekit_device.sinks.mqtt import connection as mqtt_connection
from edgekit_device.sinks.mqtt import sink as mqtt
from edgekit_device.sinks.mqtt.pictures import TRIES
from edgekit_device.sinks.mqtt.place import INSTANCE, place
from paho.mqtt.client import Client

from edgekit import __version__
from edgekit.errors import BrokerLostError, ConfigurationError, SettingsError
from edgekit.inference.events import Event
from tests.device.fakes import NAMES
from tests.device.sinks.answers import answer
from tests.device.sinks.controls import FakeController
from tests.device.sinks.player import DRIFT, make_pixels
from tests.device.sinks.samples import make_event, make_health, until
from tests.integration.broker import Broker, Listener, running_broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker(tmp_path) as broker:
        yield broker


def _settings(broker: Broker, **changes: object) -> MqttSettings:
    return MqttSettings(host=broker.host, port=broker.port, **changes)  # type: ignore[arg-type]


@contextmanager
def _started(
    settings: MqttSettings,
    *,
    timeout: float = 20.0,
    name: str = "pi",
    delay: float = 0.02,
    pictures: PictureSize = "off",
    facts: Facts | None = None,
    http: HttpSettings | None = None,
    controller: Controller | None = None,
) -> Iterator[Mqtt]:
    policy = RetryPolicy(delay, delay)
    sink = Mqtt(
        settings, name, pictures, facts=facts, http=http, controller=controller, timeout=timeout,
        policy=policy,
    )  # fmt: skip
    sink.start()
    try:
        yield sink
    finally:
        sink.close(0)
        assert sink._thread is not None
        sink._thread.join(30)
        assert not sink._thread.is_alive()


def _problem(sink: Mqtt) -> str:
    """What is wrong with the broker; a queue that overflows meanwhile is told before that."""
    until(lambda: sink.report().problem not in (None, OVERFLOW))
    return sink.report().problem or ""


def _frames(payloads: list[str]) -> list[int]:
    return [json.loads(payload)["frame"] for payload in payloads]


# What is published.


def _event(number: int) -> Event:
    return msgspec.structs.replace(make_event(number), id=f"2026Z-{number}", picture=True)


def test_a_picture_follows_its_event_and_the_newest_stays_until_pictures_are_off(
    broker: Broker,
) -> None:
    picture, topic = EventPicture(answer(1), "full"), "edgekit/pi/picture"
    jpeg = (picture.published or b"").decode(errors="surrogateescape")
    with Listener(broker) as listener, _started(_settings(broker, qos=0), pictures="full") as sink:
        sink.event(_event(1), picture)
        assert listener.await_message(topic) == jpeg
        assert listener.payloads(f"{topic}/2026Z-1") == [jpeg]
        topics = [name for name, _, _ in listener.messages]
        assert topics.index("edgekit/pi/event") < topics.index(f"{topic}/2026Z-1")
    with Listener(broker) as later:
        assert later.await_message(topic) == jpeg
        assert later.payloads(f"{topic}/2026Z-1") == []
        with _started(_settings(broker)) as sink:
            assert later.await_message(topic, "") == ""
            sink.event(_event(2), picture)  # made just before they were switched off
            later.await_message("edgekit/pi/event")
            until(lambda: not sink._pictures.waiting)
        assert later.payloads(topic) == [jpeg, ""]


@pytest.mark.parametrize("limit", ["max_packet_size 2000", "message_size_limit 2000"])
def test_a_broker_that_takes_no_picture_takes_the_events(tmp_path: Path, limit: str) -> None:
    picture = EventPicture(answer(1, pixels=make_pixels(1)), "full")
    assert len(picture.published or b"") > 2000
    with running_broker(tmp_path, limit) as broker, Listener(broker) as listener:
        with _started(_settings(broker), pictures="full") as sink:
            sink.event(_event(1), picture)
            until(lambda: sink.report().sent == 1 and not sink._pictures.waiting)
            restarts, problem = sink.restarts, sink.report().problem
            sink.event(_event(2), picture)
            until(lambda: sink.report().sent == 2 and not sink._pictures.waiting)
            assert sink.restarts == restarts <= TRIES
            # One that takes it, and drops it, says nothing.
            assert (problem is not None) == (sink.restarts > 0) == ("packet" in limit)
            listener.await_message("edgekit/pi/event", count=2)
        assert listener.payloads("edgekit/pi/picture/2026Z-1") == []


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_events_state_and_health_are_published(broker: Broker, qos: int) -> None:
    with Listener(broker) as listener:
        with _started(_settings(broker, qos=qos)) as sink:
            sink.event(make_event(1, label="mug"))
            sink.event(make_event(2, label="cup"))
            sink.health(make_health())
            assert json.loads(listener.await_message("edgekit/pi/health"))["state"] == "running"
            listener.await_message("edgekit/pi/event", count=2)
            until(lambda: sink.report().sent == 2)
            assert (sink.report().dropped, sink.report().queued) == (0, 0)
        first, second = map(json.loads, listener.payloads("edgekit/pi/event"))
        assert (first["frame"], first["label"], first["labels"][0]["label"]) == (1, "mug", "mug")
        assert second["label"] == "cup"
    # Who comes later is told what is the case, not what happened.
    with Listener(broker) as later:
        state = json.loads(later.await_message("edgekit/pi/state"))
        assert (state["label"], state["score"]) == ("cup", 0.75)
        assert json.loads(later.await_message("edgekit/pi/health"))["name"] == "pi"
        assert later.payloads("edgekit/pi/event") == []


def test_status_is_online_and_offline_after_a_clean_end(broker: Broker) -> None:
    with Listener(broker) as listener:
        with _started(_settings(broker, prefix="home/edge"), name="door-2") as sink:
            listener.await_message("home/edge/door-2/status", "online")
            sink.event(make_event())
            sink.close(30)
        listener.await_message("home/edge/door-2/status", "offline")
        topics = [topic for topic, _, _ in listener.messages]
        # Nothing was left behind, and offline is the last word.
        assert "home/edge/door-2/event" in topics
        assert topics[-1] == "home/edge/door-2/status"
        assert listener.payloads("home/edge/door-2/status") == ["online", "offline"]
    with Listener(broker) as later:
        assert later.await_message("home/edge/door-2/status") == "offline"


def test_the_broker_says_offline_for_a_device_that_dies(broker: Broker) -> None:
    code = (
        "import sys; from edgekit_device.config.settings import MqttSettings;"
        "from edgekit_device.sinks.mqtt import Mqtt;"
        "sink = Mqtt(MqttSettings(host=sys.argv[1], port=int(sys.argv[2])), 'pi');"
        "sink.start(); sys.stdin.read()"
    )
    with Listener(broker) as listener:
        command = [sys.executable, "-c", code, broker.host, str(broker.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
            listener.await_message("edgekit/pi/status", "online")
            process.kill()
        listener.await_message("edgekit/pi/status", "offline")
    with Listener(broker) as later:
        assert later.await_message("edgekit/pi/status") == "offline"


def test_a_recording_that_ends_at_once_is_delivered(broker: Broker) -> None:
    with Listener(broker) as listener:
        with _started(_settings(broker)) as sink:
            for frame in range(200):
                sink.event(make_event(frame))
            sink.close(30)
            assert sink.report().sent == 200
        listener.await_message("edgekit/pi/event", count=200)
        assert _frames(listener.payloads("edgekit/pi/event")) == list(range(200))


# Home Assistant.


def _config(entity: str, component: str = "sensor") -> str:
    return f"homeassistant/{component}/edgekit_pi/{entity}/config"


def test_home_assistant_is_told_what_there_is(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        confidence = json.loads(listener.await_message(_config("confidence")))
        assert confidence == {
            "name": "Confidence",
            "value_template": confidence["value_template"],
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "icon": "mdi:percent",
            "state_topic": "edgekit/pi/state",
            "availability": [
                {"topic": "edgekit/pi/status"},
                {
                    "topic": "edgekit/pi/health",
                    "value_template": confidence["availability"][1]["value_template"],
                },
            ],
            "availability_mode": "all",
            "unique_id": "edgekit_pi_confidence",
            "device": {
                "identifiers": ["edgekit_pi"], "name": "pi", "manufacturer": "edgekit",
                "model": "Camera classifier", "sw_version": __version__,
            },
            "origin": {"name": "edgekit", "sw_version": __version__},
        }  # fmt: skip
        health = json.loads(listener.await_message(_config("health")))
        assert health["entity_category"] == "diagnostic"
        assert "stalled" in health["options"]
        assert health["state_topic"] == health["json_attributes_topic"] == "edgekit/pi/health"
        # A temperature is announced when there is one.
        sink.health(make_health(frames=1))
        listener.await_message("edgekit/pi/health")
        assert listener.payloads(_config("temperature")) == []
        sink.health(make_health(51.5, frames=2))
        sink.health(make_health(52.5, frames=3))
        temperature = json.loads(listener.await_message(_config("temperature")))
        assert temperature["unit_of_measurement"] == "°C"
        until(lambda: json.loads(listener.payloads("edgekit/pi/health")[-1])["frames"] == 3)
        assert len(listener.payloads(_config("temperature"))) == 1
    with Listener(broker) as later:
        for entity in ("confidence", "health", "temperature"):
            later.await_message(_config(entity))


def test_labels_are_announced_with_the_model_before_what_it_says(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        sink.health(make_health())
        listener.await_message("edgekit/pi/health")
        assert listener.payloads(_config("label")) == []
        sink.frame(answer(0))
        sink.event(make_event(1))
        sink.frame(answer(1))
        assert json.loads(listener.await_message(_config("label")))["options"] == [
            *NAMES, "not sure",
        ]  # fmt: skip
        listener.await_message("edgekit/pi/state")
        sink.frame(answer(2, labels=["mug"]))
        sink.event(make_event(2))
        label = json.loads(listener.await_message(_config("label"), count=2))
        assert label["options"] == ["mug", "not sure"]
        listener.await_message("edgekit/pi/state", count=2)
        topics = [topic for topic, _, _ in listener.messages]
        announced = [index for index, topic in enumerate(topics) if topic == _config("label")]
        said = [index for index, topic in enumerate(topics) if topic == "edgekit/pi/state"]
        assert announced[0] < said[0] < announced[1] < said[1]


def test_what_was_announced_before_and_is_no_more_is_removed(broker: Broker) -> None:
    picture = _config("picture", "image")
    with _started(_settings(broker), facts=Facts(pictures=True)), Listener(broker) as listener:
        assert json.loads(listener.await_message(picture))["image_topic"] == "edgekit/pi/picture"
    with Listener(broker) as listener, _started(_settings(broker)):
        listener.await_message(picture, "")
    with Listener(broker) as later:
        later.await_message(_config("health"))
        assert later.payloads(picture) == []


def test_home_assistant_is_told_where_the_page_is(broker: Broker) -> None:
    http = HttpSettings(listen="pi.lan:8080")
    with Listener(broker) as listener, _started(_settings(broker), http=http):
        health = json.loads(listener.await_message(_config("health")))
        assert health["device"]["configuration_url"] == "http://pi.lan:8080"
    # Whoever asks a broker on this machine is reached in no other network.
    http = HttpSettings(listen="0.0.0.0:8080")
    with Listener(broker) as listener, _started(_settings(broker), name="pi-2", http=http):
        health = listener.await_message("homeassistant/sensor/edgekit_pi-2/health/config")
        assert "configuration_url" not in json.loads(health)["device"]


def test_where_a_device_is_and_how_often_it_is_heard_of_is_retained(broker: Broker) -> None:
    http = HttpSettings(listen="pi.lan:8080")
    with Listener(broker) as listener, _started(_settings(broker), http=http):
        place = json.loads(listener.await_message("edgekit/pi/device"))
    # Whoever asks a broker on this machine has no address that others could use.
    assert place == {
        "host": socket.gethostname(), "health_interval_s": 30.0, "page": "http://pi.lan:8080",
        "instance": INSTANCE,
        **({"board": board.model()} if board.model() else {}),
    }  # fmt: skip
    with Listener(broker) as late:
        late.await_message("edgekit/pi/device")
        assert ("edgekit/pi/device", True) in [(t, retained) for t, _, retained in late.messages]


@pytest.mark.parametrize(
    ("local", "told"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("fe80::1", ""),
        ("", ""),
    ],
)
def test_an_address_that_means_nothing_elsewhere_is_not_told(local: str, told: str) -> None:
    assert place(local, None, 30.0).address == told


def test_drift_is_announced_once_it_can_be_told(broker: Broker) -> None:
    drift = _config("drift", "binary_sensor")
    watched = msgspec.structs.replace(make_health(frames=2), drift_figures=["brightness"])
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        sink.health(make_health(frames=1))
        listener.await_message("edgekit/pi/health")
        assert listener.payloads(drift) == []
        sink.health(watched)
        assert json.loads(listener.await_message(drift))["name"] == "Drift"
        sink.health(msgspec.structs.replace(watched, drift=DRIFT))
        until(lambda: "drift" in json.loads(listener.payloads("edgekit/pi/health")[-1]))
        assert len(listener.payloads(drift)) == 1
        listener.client.publish("homeassistant/status", "online")
        listener.await_message(drift, count=2)
    with Listener(broker) as later:
        later.await_message(drift)
        health = json.loads(later.await_message("edgekit/pi/health"))
        assert health["drift"] == msgspec.to_builtins(DRIFT)
        assert health["state"] == "running"


def test_home_assistant_is_told_again_when_it_starts(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        sink.frame(answer(0))
        sink.health(make_health(51.5))
        listener.await_message(_config("temperature"))
        listener.client.publish("homeassistant/status", "offline")
        listener.client.publish("homeassistant/status", "online")
        for entity in ("label", "confidence", "health", "temperature"):
            listener.await_message(_config(entity), count=2)
        assert len(listener.payloads("edgekit/pi/status")) == 1


def test_nothing_is_announced_without_a_discovery_prefix(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker, discovery="")) as sink:
        sink.frame(answer(0))
        sink.health(make_health(51.5))
        sink.event(make_event())
        listener.await_message("edgekit/pi/event")
        listener.await_message("edgekit/pi/health")
        assert all(topic.startswith("edgekit/pi/") for topic, _, _ in listener.messages)


# A broker that goes away.


def test_a_broker_killed_under_load_costs_no_event(broker: Broker) -> None:
    total = 600
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        sink.health(make_health(51.5))
        killed = threading.Event()

        def load() -> None:
            for frame in range(total):
                sink.event(make_event(frame))
                if frame == 300:
                    assert killed.wait(60)

        loading = threading.Thread(target=load)
        loading.start()
        listener.await_message("edgekit/pi/event", count=100)
        broker.kill()
        killed.set()
        loading.join(60)
        assert "the MQTT broker 127.0.0.1" in _problem(sink)
        report = sink.report()
        assert report.sent + report.queued == total
        assert report.queued >= 299
        broker.start()
        until(lambda: sink.report().sent == total)
        report = sink.report()
        assert (report.dropped, report.queued, report.problem) == (0, 0, None)
        assert sink.restarts == 1
        # The broker forgot everything, and is told again.
        listener.await_subscription(2)
        listener.await_message("edgekit/pi/status", "online")
        assert json.loads(listener.await_message("edgekit/pi/state"))["frame"] is not None
        with Listener(broker) as later:
            assert json.loads(later.await_message("edgekit/pi/state"))["frame"] == total - 1
            later.await_message("edgekit/pi/health")
            later.await_message(_config("health"))
            later.await_message(_config("temperature"))
            sink.event(make_event(total))
            assert _frames([later.await_message("edgekit/pi/event")]) == [total]


def test_a_broker_away_at_the_start_delays_nothing(broker: Broker) -> None:
    broker.kill()
    with _started(_settings(broker)) as sink:
        for frame in range(mqtt.LIMIT + 5):
            sink.event(make_event(frame))
        for frames in range(5):
            sink.health(make_health(frames=frames))
        assert _problem(sink) == (
            f"cannot reach the MQTT broker 127.0.0.1:{broker.port}: Connection refused"
        )
        assert sink.report().queued == mqtt.LIMIT
        assert sink.report().dropped == 5
        broker.start()
        with Listener(broker) as listener:
            until(lambda: sink.report().queued == 0)
            assert sink.report().sent == mqtt.LIMIT
            assert sink.restarts == 0
            # Of state and health the newest was enough.
            assert _frames([listener.await_message("edgekit/pi/state")]) == [mqtt.LIMIT + 4]
            assert json.loads(listener.await_message("edgekit/pi/health"))["frames"] == 4
            assert len(listener.payloads("edgekit/pi/state")) == 1


def test_a_broker_that_hangs_is_left_and_found_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ACKNOWLEDGE", 0.5)
    # The problem stands until connecting again has failed as well.
    with _started(_settings(broker), timeout=2) as sink:
        sink.event(make_event(1))
        until(lambda: sink.report().sent == 1)
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        sink.event(make_event(2))
        assert "acknowledges nothing" in _problem(sink)
        # While it hangs the system still accepts connections in its name.
        until(lambda: "does not answer" in (sink.report().problem or ""))
        assert sink.report().queued == 1
        broker.process.send_signal(signal.SIGCONT)
        # Tries that had been abandoned may still cut the new connection off, but not for good.
        until(lambda: sink.report().sent == 2 and sink.report().problem is None)
        with Listener(broker) as listener:
            listener.await_message("edgekit/pi/status", "online")


def test_silence_is_noticed_without_events(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_connection, "KEEPALIVE", 1)
    with Listener(broker) as listener, _started(_settings(broker), timeout=0.5) as sink:
        listener.await_message(_config("health"))
        until(lambda: not sink._underway)
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        assert "no longer answers" in _problem(sink) or "closed" in _problem(sink)
        broker.process.send_signal(signal.SIGCONT)


def test_it_gives_up_in_the_end(broker: Broker) -> None:
    broker.kill()
    with _started(_settings(broker, give_up=0.3)) as sink:
        sink.event(make_event())
        until(lambda: sink.failure)
        assert isinstance(sink.failure, BrokerLostError)
        assert sink.failure.exit_code == 12
        assert "Connection refused; gave up after 0.3 s" in str(sink.failure)
        sink.event(make_event())
        sink.close(30)
        assert sink.report().dropped == 2


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff" * 9])
def test_what_is_no_broker_hangs_nothing(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def accept() -> None:
            with pytest.raises(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.sendall(answer)
                    connections.append(connection)

        accepting = threading.Thread(target=accept)
        accepting.start()
        settings = MqttSettings(host="127.0.0.1", port=server.getsockname()[1])
        with _started(settings, timeout=0.1) as sink:
            sink.event(make_event())
            problem = _problem(sink)
            assert "does not answer" in problem or "does not speak MQTT" in problem
            until(lambda: len(connections) >= 3)  # it goes on trying
            sink.close(1)
            assert sink.report().dropped == 1
        server.shutdown(socket.SHUT_RDWR)
        accepting.join(30)
        for connection in connections:
            connection.close()


def test_close_does_not_wait_for_a_broker_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sink = Mqtt(MqttSettings(host="127.0.0.1", port=mute.getsockname()[1]), "pi", timeout=60)
        sink.start()
        sink.event(make_event())
        connection, _ = mute.accept()
        sink.close(0.05)
        assert sink.report().dropped == 1
        assert sink._thread is not None
        assert sink._thread.is_alive()
        connection.close()
        sink._thread.join(30)
        assert not sink._thread.is_alive()


def test_close_does_not_wait_for_a_broker_that_hangs(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        listener.await_message("edgekit/pi/status")
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        for frame in range(100):
            sink.event(make_event(frame))
        sink.close(0.5)
        report = sink.report()
        assert report.sent + report.dropped + report.queued == 100
        broker.process.send_signal(signal.SIGCONT)


def test_a_name_that_does_not_resolve_delays_nothing() -> None:
    with _started(MqttSettings(host="broker.invalid")) as sink:
        assert "the MQTT broker broker.invalid:1883: its name does not resolve" in _problem(sink)


# Who may connect.


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker that wants the user `pi` with the password `s3cret`."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "pi", "s3cret"], check=True)
    with running_broker(tmp_path, f"password_file {passwords}") as broker:
        yield broker


def test_the_password_comes_from_a_file(guarded: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    settings = _settings(guarded, user="pi", password_file=tmp_path / "password")
    with _started(settings) as sink:
        sink.event(make_event())
        until(lambda: sink.report().sent == 1)


def test_the_password_comes_from_a_systemd_credential(
    guarded: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mqtt-password").write_text("s3cret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with _started(_settings(guarded, user="pi")) as sink:
        sink.event(make_event())
        until(lambda: sink.report().sent == 1)


def test_a_password_that_is_mended_is_used(guarded: Broker, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("wrong")
    with _started(_settings(guarded, user="pi", password_file=password)) as sink:
        sink.event(make_event())
        assert "refuses us: not authorized; check user and password" in _problem(sink)
        assert "wrong" not in _problem(sink)
        password.write_text("s3cret")
        until(lambda: sink.report().sent == 1)


def test_check_names_what_is_wrong(guarded: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "wrong").write_text("wrong")
    good = _settings(guarded, user="pi", password_file=tmp_path / "password")
    assert Mqtt(good, "pi").check() == f"the MQTT broker 127.0.0.1:{guarded.port}"
    with pytest.raises(SettingsError, match="not authorized; check user and password"):
        Mqtt(_settings(guarded, user="pi", password_file=tmp_path / "wrong"), "pi").check()
    with pytest.raises(SettingsError, match="not authorized"):
        Mqtt(_settings(guarded), "pi").check()
    with pytest.raises(SettingsError, match="its name does not resolve"):
        Mqtt(MqttSettings(host="broker.invalid"), "pi").check()
    with pytest.raises(SettingsError, match="that is no name of a host"):
        Mqtt(MqttSettings(host="." * 3), "pi").check()
    with pytest.raises(SettingsError, match="TLS"):
        Mqtt(_settings(guarded, tls=True), "pi").check()
    guarded.kill()
    with pytest.raises(SettingsError, match="Connection refused"):
        Mqtt(good, "pi").check()


def test_check_does_not_end_a_connection_in_use(broker: Broker) -> None:
    with Listener(broker) as listener, _started(_settings(broker)) as sink:
        listener.await_message("edgekit/pi/status")
        Mqtt(_settings(broker), "pi").check()
        sink.event(make_event())
        until(lambda: sink.report().sent == 1)
        assert sink.restarts == 0
        assert listener.payloads("edgekit/pi/status") == ["online"]


class Hostile:
    """Accepts every client, and then sends it the same thing for as long as it listens.

    Attributes:
        heard: what each client sent first after its greeting.
        sent: bytes that the system took, for each client.
    """

    def __init__(self, start: bytes, piece: bytes) -> None:
        self.heard: list[bytes] = []
        self.sent: list[int] = []
        self._start = start
        self._piece = piece
        self._server = socket.create_server(("127.0.0.1", 0))
        self.settings = MqttSettings(host="127.0.0.1", port=self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Hostile":
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            with client, contextlib.suppress(OSError):
                client.settimeout(30)
                client.recv(4096)
                client.sendall(b"\x20\x02\x00\x00")  # welcome
                self.heard.append(client.recv(4096))
                self.sent.append(0)
                client.sendall(self._start)
                while True:
                    self.sent[-1] += client.send(self._piece)


def _publish(payload: bytes) -> bytes:
    topic = b"homeassistant/status"
    rest = len(topic).to_bytes(2, "big") + topic + payload
    return b"\x30" + bytes([len(rest)]) + rest


def test_a_packet_that_is_too_large_is_refused_by_its_length() -> None:
    with Hostile(b"\x30\xff\xff\xff\x7f", bytes(1 << 16)) as broker:
        with _started(broker.settings) as sink:
            assert "sends a packet of 268,435,455 bytes, where 65,536 are the maximum" in _problem(
                sink
            )
            until(lambda: len(broker.sent) >= 3)
        # What the system's own buffers hold.
        assert max(broker.sent) < 16_000_000
        # It listens to Home Assistant's topic no more, where others may write to.
        subscribe, *others = broker.heard
        assert subscribe[0] == 0x82
        assert all(first[0] != 0x82 for first in others)


def test_a_large_packet_of_another_client_does_not_keep_it_away(broker: Broker) -> None:
    with Listener(broker) as listener:
        listener.client.publish("homeassistant/status", bytes(100_000), qos=1, retain=True)
        until(lambda: listener.payloads("homeassistant/status"))
        with _started(_settings(broker)) as sink:
            until(lambda: sink.restarts == 1 and sink.report().problem is None)
            sink.event(make_event(1))
            until(lambda: sink.report().sent == 1)


def test_a_broker_that_says_online_for_ever_delays_no_event() -> None:
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        with client, contextlib.suppress(OSError):
            client.settimeout(30)
            client.recv(4096)
            client.sendall(b"\x20\x02\x00\x00")
            flood = threading.Thread(target=_flood, args=(client,))
            flood.start()
            while piece := client.recv(1 << 16):
                heard.append(piece)
            flood.join(30)

    def _flood(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client.sendall(_publish(b"online") * 100)

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=serve, args=(server,))
        serving.start()
        settings = MqttSettings(host="127.0.0.1", port=server.getsockname()[1], qos=0)
        with _started(settings) as sink:
            until(lambda: sink._hearing._announce_at > 0)
            sink.event(make_event(1))
            until(lambda: sink.report().sent == 1)
        serving.join(30)
    # Once as it connected, and once for all those starts.
    assert b"".join(heard).count(b"/health/config") == 2


def test_a_tls_handshake_without_an_end_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = MqttSettings(host="127.0.0.1", port=server.getsockname()[1], tls=True)
        with _started(settings, timeout=0.2) as sink:
            assert "it does not answer in time" in _problem(sink)


def test_a_password_file_that_is_missing_is_an_error_at_once(tmp_path: Path) -> None:
    settings = MqttSettings(host="localhost", user="pi", password_file=tmp_path / "none")
    with pytest.raises(ConfigurationError, match=r"cannot read the mqtt-password in .*none"):
        Mqtt(settings, "pi")


@pytest.mark.parametrize("host", ["a..b", "." * 3, "x" * 64])
def test_what_no_host_is_called_is_an_error_at_once(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"mqtt.host {host}: that is no name of a host"):
        Mqtt(MqttSettings(host=host), "pi")


# TLS.


class Certificates:
    """A certificate authority, and what it signed, made with openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test CA",
            "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
        )  # fmt: skip

    def sign(self, name: str, address: str) -> tuple[Path, Path]:
        """Certificate and key for `address`."""
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={address}\n")
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", str(extension), "-out", f"{name}.crt",
        )  # fmt: skip
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Certificates(tmp_path_factory.mktemp("certificates"))


def _tls_options(certificates: Certificates, address: str) -> list[str]:
    certificate, key = certificates.sign("server", address)
    return [f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}"]


def test_tls_with_a_certificate_authority(certificates: Certificates, tmp_path: Path) -> None:
    def trust(client: Client) -> None:
        client.tls_set(str(certificates.ca))

    with (
        running_broker(tmp_path, *_tls_options(certificates, "IP:127.0.0.1")) as broker,
        Listener(broker, trust) as listener,
        _started(_settings(broker, tls=True, ca_file=certificates.ca)) as sink,
    ):
        for frame in range(100):
            sink.event(make_event(frame))
        listener.await_message("edgekit/pi/event", count=100)
        until(lambda: sink.report().sent == 100)
        listener.client.publish("homeassistant/status", "online")
        listener.await_message(_config("health"), count=2)
        with pytest.raises(SettingsError, match=r"before it answered; .* expect TLS\?"):
            Mqtt(_settings(broker), "pi").check()
        with pytest.raises(
            SettingsError, match="its certificate is not trusted: self-signed certificate in"
        ):
            Mqtt(_settings(broker, tls=True), "pi").check()


def test_a_certificate_for_another_name_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    with running_broker(tmp_path, *_tls_options(certificates, "DNS:elsewhere")) as broker:
        settings = _settings(broker, tls=True, ca_file=certificates.ca)
        with _started(settings) as sink:
            assert "certificate is not trusted: IP address mismatch" in _problem(sink)


def test_a_client_certificate(certificates: Certificates, tmp_path: Path) -> None:
    certificate, key = certificates.sign("client", "DNS:pi")
    options = [*_tls_options(certificates, "IP:127.0.0.1"), "require_certificate true"]
    with running_broker(tmp_path, *options) as broker:
        plain = _settings(broker, tls=True, ca_file=certificates.ca)
        with pytest.raises(SettingsError, match="does this port want a client's certificate"):
            Mqtt(plain, "pi").check()
        settings = _settings(
            broker, tls=True, ca_file=certificates.ca, cert_file=certificate, key_file=key
        )
        with _started(settings) as sink:
            sink.event(make_event())
            until(lambda: sink.report().sent == 1)


def test_certificates_that_cannot_be_used_are_named(
    certificates: Certificates, tmp_path: Path
) -> None:
    certificate, key = certificates.sign("client", "DNS:pi")
    text = tmp_path / "text"
    text.write_text("no certificate")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:word", "-in", key, "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    cases: list[tuple[dict[str, Path], str]] = [
        ({"ca_file": tmp_path / "none"}, "mqtt ca-file .*none: No such file"),
        ({"ca_file": text}, "mqtt ca-file .*text: "),
        ({"cert_file": text}, "mqtt cert-file .*text"),
        ({"cert_file": certificate, "key_file": certificates.folder / "ca.key"}, "mismatch"),
        ({"cert_file": certificate, "key_file": locked}, "mqtt cert-file .*locked.key: "),
    ]
    for files, expected in cases:
        settings = MqttSettings(host="localhost", tls=True, **files)
        with pytest.raises(SettingsError, match=expected):
            Mqtt(settings, "pi")


# What is asked for.


def test_commands_are_done_and_retained_ones_are_not(broker: Broker) -> None:
    controller = FakeController()
    with Listener(broker) as client:
        client.client.publish("edgekit/pi/command/pause", "ON", qos=1, retain=True)
        client.await_message("edgekit/pi/command/pause")
        with _started(_settings(broker), controller=controller) as sink:
            until(lambda: controller.refused)
            sink.health(make_health())
            assert json.loads(client.await_message("edgekit/pi/control"))["paused"] is False
            client.client.publish("edgekit/pi/command/record", "10", qos=1)
            outcome = json.loads(client.await_message("edgekit/pi/control/outcome"))
            assert outcome == {"done": True, "message": "it was done"}
            assert controller.asked == [("record", {"seconds": 10}, "edgekit/pi/command over MQTT")]
            assert [(name, why) for name, why, _ in controller.refused] == [("pause", "wrong")]


def test_no_label_stays_while_it_is_paused(broker: Broker) -> None:
    with Listener(broker) as client, _started(_settings(broker)) as sink:
        sink.event(make_event(1, label="mug"))
        client.await_message("edgekit/pi/state")
        sink.health(msgspec.structs.replace(make_health(), state="paused"))
        paused = json.loads(client.await_message("edgekit/pi/state", count=2))
        assert paused == {"ts": make_health().ts, "state": "paused"}
