"""A real Home Assistant on a loopback port, which people would set up as `start` and `connect` do.

It is installed by `make home-assistant` in an environment of its own.
"""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

HOME_ASSISTANT = ROOT / "build" / "home-assistant"
_CLIENT = "http://127.0.0.1/"
# What it says of everything that could concern us; the rest of its log is about parts that are not
# installed.
_OURS = re.compile(
    r" (WARNING|ERROR|CRITICAL) .*\[homeassistant\.(components\.(mqtt|sensor|binary_sensor|event|"
    r"image|button|select|switch|update|recorder|automation)|helpers\.(template|entity))|edgekit"
)


class HomeAssistant:
    """A process; its configuration stays, so that it may be started again.

    Args:
        folder: for its configuration.
        configuration: further lines of its configuration file.
    """

    def __init__(self, folder: Path, configuration: str = "") -> None:
        if not (HOME_ASSISTANT / ".ready").is_file():
            pytest.skip("Home Assistant is not installed: make home-assistant")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._log = folder / "said.txt"
        self._token = self._refresh = ""
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "configuration.yaml").write_text(
            "homeassistant:\n  name: test\n  time_zone: UTC\n"
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self.port}\n"
            f"logger:\n  default: warning\n{configuration}"
        )

    def start(self) -> None:
        """Returns once it runs, and somebody is logged in."""
        command = [HOME_ASSISTANT / "bin" / "python", "-m", "homeassistant", "--skip-pip", "-c"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, self._folder], stdout=log, stderr=log)
        if not self._refresh:
            person = {"name": "a", "username": "a", "password": "a", "language": "en"}
            code = self._once_up("/api/onboarding/users", person | {"client_id": _CLIENT})
            grant = {"grant_type": "authorization_code", "code": code["auth_code"]}
            self._refresh = self._log_in(grant)["refresh_token"]
            for step in ("core_config", "analytics"):
                self.post(f"/api/onboarding/{step}", {})
        grant = {"grant_type": "refresh_token", "refresh_token": self._refresh}
        self.until(lambda: self._log_in(grant))
        self.until(lambda: self.get("/api/config")["state"] == "RUNNING")

    def stop(self) -> None:
        """End it as a user does."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            finally:
                self._process.kill()
            self._process = None

    def connect(self, host: str, port: int) -> None:
        """Set up its integration of MQTT."""
        flow = self.post("/api/config/config_entries/flow", {"handler": "mqtt"})
        answer = self.post(
            f"/api/config/config_entries/flow/{flow['flow_id']}", {"broker": host, "port": port}
        )
        assert answer["type"] == "create_entry", answer

    def entity(self, entity_id: str) -> dict[str, Any] | None:
        """State and attributes; None where there is no such entity."""
        try:
            found: dict[str, Any] = self.get(f"/api/states/{entity_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return found

    def state(self, entity_id: str) -> str | None:
        """The state of an entity; None where there is no such."""
        found = self.entity(entity_id)
        return None if found is None else found["state"]

    def await_state(self, entity_id: str, *wanted: str) -> dict[str, Any]:
        """An entity, once its state is one of those wanted."""
        try:
            self.until(lambda: self.state(entity_id) in wanted)
        except AssertionError:
            pytest.fail(f"{entity_id} is {self.entity(entity_id)}, not {wanted}: {self.said()}")
        found = self.entity(entity_id)
        assert found is not None
        return found

    def entities(self, device: str) -> set[str]:
        """The ids of all entities of a device, by the name that its entity ids begin with."""
        return {
            one["entity_id"]
            for one in self.get("/api/states")
            if one["entity_id"].partition(".")[2].startswith(f"{device}_")
        }

    def act(self, action: str, entity_id: str, **data: Any) -> None:
        """Do `button.press` and the like."""
        self.post(f"/api/services/{action.replace('.', '/')}", {"entity_id": entity_id, **data})

    def render(self, template: str) -> str:
        """A template of the user's."""
        return self._open("/api/template", {"template": template}).decode()

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return json.loads(self.bytes(path))

    def bytes(self, path: str) -> bytes:
        """What is at a path."""
        return self._open(path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that answers another."""
        return json.loads(self._open(path, body))

    def said(self) -> str:
        """Its warnings and errors about MQTT, templates and entities, so far."""
        lines = self._log.read_text("utf-8", "replace").splitlines()
        # That it has lost its broker is what a test has done.
        return "\n".join(x for x in lines if _OURS.search(x) and "mqtt.client" not in x)

    def until(self, condition: Callable[[], object], timeout: float = 120.0) -> None:
        """Return once `condition` holds; while it is not there yet, it does not."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                if condition():
                    return
            except (urllib.error.URLError, ConnectionError):
                assert self._process is not None and self._process.poll() is None, "it has ended"
            assert time.monotonic() < deadline, f"waited in vain: {self.said()}"
            time.sleep(0.05)

    def _once_up(self, path: str, body: dict[str, Any]) -> Any:
        answers: list[Any] = []
        self.until(lambda: answers.append(self.post(path, body)) or True)
        return answers[0]

    def _log_in(self, grant: dict[str, str]) -> Any:
        form = urllib.parse.urlencode({"client_id": _CLIENT, **grant}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/auth/token", form, 30) as answer:
            found = json.load(answer)
        self._token = found["access_token"]
        return found

    def _open(self, path: str, body: dict[str, Any] | None) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())
