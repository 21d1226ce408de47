import os
from pathlib import Path

import pytest
from edgekit_device.bench import conditions
from edgekit_device.bench.conditions import Processor, look, look_at_board

FILES = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/cpuinfo": "processor: 0\nmodel name\t: Some Processor\nmodel name\t: Other\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "ondemand\n",
    "sys/class/thermal/thermal_zone0/temp": "61150\n",
    "sys/devices/platform/soc@1/soc@1:firmware/get_throttled": "50005\n",
}
TICK = os.sysconf("SC_CLK_TCK")


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_board_is_named_with_what_its_speed_depends_on(tmp_path: Path) -> None:
    found = look_at_board(write(tmp_path, FILES))
    assert found.name == "Raspberry Pi 5 Model B Rev 1.0"
    assert found.system == "Debian GNU/Linux 12 (bookworm)"
    assert found.governor == "ondemand"
    assert found.cores >= 1 and found.memory_mib > 0


def test_what_is_no_board_is_its_processor(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if name == "proc/cpuinfo"}
    found = look_at_board(write(tmp_path, files))
    assert (found.name, found.governor) == ("Some Processor", None)


def test_heat_and_throttling(tmp_path: Path) -> None:
    found = look(write(tmp_path, FILES))
    assert (found.celsius, found.slowdowns) == (61.15, None)
    assert found.throttled == found.since_boot == ["under-voltage", "throttled"]
    assert found.told
    nothing = look(tmp_path / "nothing")
    assert (nothing.celsius, nothing.told) == (None, False)


def test_an_x86_processor_counts_how_often_it_was_too_hot(tmp_path: Path) -> None:
    name = "sys/devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
    assert look(write(tmp_path, {name.format(0): "3\n", name.format(1): "4\n"})).slowdowns == 7


class TestOthers:
    @pytest.fixture(autouse=True)
    def own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used = 0.0
        monkeypatch.setattr(conditions.os, "times", lambda: (self.used, 0, 0, 0, 0))

    def _stat(
        self, root: Path, busy: float, idle: float, steal: float = 0, iowait: float = 0
    ) -> None:
        times = (busy, 0, 0, idle, iowait, 0, 0, steal, 99, 99)
        ticks = [round(TICK * one) for one in times]
        write(root, {"proc/stat": f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 1\n"})

    def test_what_we_use_ourselves_does_not_count(self, tmp_path: Path) -> None:
        self._stat(tmp_path, 10, 10)
        processor = Processor(tmp_path)
        self._stat(tmp_path, 14, 16)
        self.used = 3.0
        assert processor.others() == pytest.approx(0.1)

    def test_what_a_host_takes_counts(self, tmp_path: Path) -> None:
        self._stat(tmp_path, 10, 10)
        processor = Processor(tmp_path)
        self._stat(tmp_path, 10, 15, steal=5)
        assert processor.others() == pytest.approx(0.5)

    def test_waiting_for_a_disk_takes_no_processor(self, tmp_path: Path) -> None:
        self._stat(tmp_path, 10, 10)
        processor = Processor(tmp_path)
        self._stat(tmp_path, 10, 15, iowait=5)
        assert processor.others() == 0

    def test_what_is_not_told_is_unknown(self, tmp_path: Path) -> None:
        assert Processor(tmp_path).others() is None
        self._stat(tmp_path, 1, 1)
        processor = Processor(tmp_path)
        assert processor.others() is None
        write(tmp_path, {"proc/stat": "no such line\n"})
        assert processor.others() is None
