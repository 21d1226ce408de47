import threading

import pytest
from edgekit_device.bench import conditions, watching
from edgekit_device.bench.energy import Meter
from edgekit_device.bench.watching import Watching

from tests.device.bench.machine import COOL, HOT


def test_power_is_the_mean_of_what_was_told() -> None:
    told = iter([99.0, 3.0])
    one = Watching(Meter("a test", lambda: next(told)))
    with one:
        pass
    # What a counter told before the block does not count.
    assert one.watts == 3
    with Watching(None) as without:
        pass
    assert without.watts is None


def test_what_comes_and_goes_inside_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()
    looks = iter([COOL, HOT])

    def look() -> conditions.Conditions:
        found = next(looks, COOL)
        if found is COOL and threading.current_thread() is not threading.main_thread():
            seen.set()
        return found

    monkeypatch.setattr(watching, "_INTERVAL", 0.001)
    monkeypatch.setattr(conditions, "look", look)
    with Watching(None) as one:
        assert seen.wait(30)
    assert one.looks[:3] == [COOL, HOT, COOL]
