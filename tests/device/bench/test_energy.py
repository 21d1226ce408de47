import itertools
from pathlib import Path

import pytest
from edgekit_device.bench import energy
from edgekit_device.bench.energy import find_meter, rails_watts

from tests.device.bench.test_conditions import write

PMIC = """\
   3V7_WL_SW_A current(0)=0.10000000A
   VDD_CORE_A current(7)=2.00000000A
   3V7_WL_SW_V volt(8)=3.70000000V
   VDD_CORE_V volt(15)=0.80000000V
   EXT5V_V volt(24)=5.10000000V
"""


def test_a_board_that_tells_nothing_has_no_meter(tmp_path: Path) -> None:
    assert find_meter(tmp_path) is None


def test_rails_need_current_and_voltage() -> None:
    assert rails_watts(PMIC) == pytest.approx(0.37 + 1.6)
    assert rails_watts("EXT5V_V volt(24)=5.1V\n") is None
    assert rails_watts("Command not registered\n") is None


def test_a_pi_5_tells_by_its_power_chip(tmp_path: Path) -> None:
    program = tmp_path / "usr/bin/vcgencmd"
    write(tmp_path, {"usr/bin/vcgencmd": f"#!/bin/sh\ncat <<END\n{PMIC}END\n"})
    program.chmod(0o755)
    meter = find_meter(tmp_path)
    assert meter and "PMIC" in meter.of
    assert meter.watts() == pytest.approx(1.97)


def test_a_pi_4_whose_program_knows_no_such_thing_has_no_meter(tmp_path: Path) -> None:
    write(tmp_path, {"usr/bin/vcgencmd": "#!/bin/sh\necho error=1\n"})
    (tmp_path / "usr/bin/vcgencmd").chmod(0o755)
    assert find_meter(tmp_path) is None


def test_a_processor_counts_its_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=2)
    monkeypatch.setattr(energy.time, "monotonic", lambda: next(clock))
    file = "sys/class/powercap/intel-rapl:{}/energy_uj"
    write(tmp_path, {file.format(0): "1000000", file.format(1): "0"})
    meter = find_meter(tmp_path)
    assert meter and "RAPL" in meter.of
    write(tmp_path, {file.format(0): "5000000", file.format(1): "6000000"})
    assert meter.watts() == 5
    write(tmp_path, {file.format(0): "0"})
    assert meter.watts() is None


def test_a_sensor_and_a_battery_tell_microwatts(tmp_path: Path) -> None:
    battery = "sys/class/power_supply/BAT0"
    write(tmp_path, {f"{battery}/power_now": "7500000", f"{battery}/status": "Charging"})
    assert find_meter(tmp_path) is None
    write(tmp_path, {f"{battery}/status": "Discharging"})
    found = find_meter(tmp_path)
    assert found and found.watts() == 7.5
    sensor = "sys/class/hwmon/hwmon3"
    write(tmp_path, {f"{sensor}/power1_input": "2500000", f"{sensor}/name": "ina226"})
    found = find_meter(tmp_path)
    assert found and "ina226" in found.of and found.watts() == 2.5
