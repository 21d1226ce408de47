"""The description of the JSON interface, and whether the interface keeps to it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.operation import Operation
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode

from docs.generate_openapi import PATH, application, document
from tests.device.sinks.controls import FakeController
from tests.device.sinks.player import Player, make_change, make_result
from tests.device.sinks.web import TOKEN, ask, served

# More where somebody looks for faults: EDGEKIT_EXAMPLES=1000 pytest …
EXAMPLES = int(os.environ.get("EDGEKIT_EXAMPLES", "2"))
# They do not end.
STREAMS = ("/stream.mjpg", "/events")


def test_every_route_is_described() -> None:
    assert all(isinstance(route, Operation) for route in application().routes)


def test_every_parameter_of_a_path_is_described() -> None:
    for operation in application().routes:
        assert isinstance(operation, Operation)
        named = {each.name for each in operation.parameters}
        assert set(operation.param_convertors) <= named, operation.path
        assert all(operation.answers.values()) and operation.text.endswith(".")


def test_the_documentation_has_it_as_it_is() -> None:
    assert json.loads(PATH.read_text("utf-8")) == document(), "make docs writes it"


@pytest.fixture
def sink(tmp_path: Path, token_file: Path) -> Iterator[Http]:
    """One with everything that there is."""
    sink = _make(tmp_path, token_file)
    with served(sink):
        sink.frame(make_result(0))
        sink.event(make_change(0))
        yield sink


def _make(folder: Path, token_file: Path) -> Http:
    from edgekit_device.config.settings import ControlSettings, HttpSettings, Settings
    from edgekit_device.sinks import SINKS
    from edgekit_device.sinks.base import Host

    (entry,) = (entry for entry in SINKS if entry.name == "http")
    wanted = Settings(
        name="pi",
        http=HttpSettings(listen="127.0.0.1:0", token_file=token_file),
        control=ControlSettings(http=True),
    )
    sink = entry.open(wanted, Host(Player().snapshot, FakeController()))
    assert isinstance(sink, Http)
    return sink


def test_it_is_served(sink: Http) -> None:
    answer = ask(sink, "/api/openapi.json", Authorization=f"Bearer {TOKEN}")
    assert answer.json == document()


def test_the_interface_keeps_to_it(sink: Http) -> None:
    """Whatever is sent: statuses, content types and bodies are those that are described."""
    schema = schemathesis.openapi.from_dict(document())
    schema.config.update(base_url=sink.url.rstrip("/"))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    looked_at = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in STREAMS:
            continue
        looked_at.add(operation.path)

        _send(operation.as_strategy(), headers)
        # What is wrong, where anything can be.
        if operation.body or operation.path_parameters or operation.query:
            _send(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), headers)
    assert len(looked_at) == len(document()["paths"]) - len(STREAMS)


def _send(cases: SearchStrategy[schemathesis.Case], headers: dict[str, str]) -> None:
    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers)

    check()
