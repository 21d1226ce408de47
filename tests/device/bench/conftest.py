import pytest
from edgekit_device.bench import conditions, measure, session

from tests.device.bench.machine import Machine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()

    class Idle:
        def others(self) -> float | None:
            return made.others

    monkeypatch.setattr(measure, "run", made.run)
    monkeypatch.setattr(conditions, "look", lambda: made.condition)
    monkeypatch.setattr(conditions, "Processor", Idle)
    monkeypatch.setattr(session, "find_meter", lambda: None)
    monkeypatch.setattr(session, "_IDLE", 0)
    return made
