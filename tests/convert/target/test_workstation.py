"""What a conversion needs, and what a machine has."""

from pathlib import Path

import pytest
from edgekit_convert.target.workstation import check_workstation, workstation_need

from edgekit.errors import ConversionError
from edgekit.model.architectures import ARCHITECTURES

MIB = 1 << 20


# Peaks of a conversion's processes together, in MiB.
@pytest.mark.parametrize(
    ("option", "size", "pictures", "peak"),
    [
        ("18", 64, 200, 1897), ("18", 224, 200, 2107), ("50", 224, 200, 2794),
        ("50", 448, 200, 3637), ("101", 64, 200, 4026), ("152", 224, 200, 5256),
    ],
)  # fmt: skip
def test_the_workstations_need_is_what_was_measured(
    option: str, size: int, pictures: int, peak: int
) -> None:
    need = workstation_need(ARCHITECTURES[option].parameters(), size, size, pictures)
    assert 0.99 * peak * MIB < need < 1.09 * peak * MIB


def _write(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Root of a system with 3 GiB available and 1 GiB of swap."""
    _write(
        tmp_path,
        "proc/meminfo",
        "MemTotal: 8388608 kB\nMemAvailable: 3145728 kB\nSwapFree: 1048576 kB\n",
    )
    return tmp_path


def test_available_memory_and_swap_bound_a_conversion(machine: Path) -> None:
    check_workstation(4096 * MIB, machine)
    with pytest.raises(ConversionError) as caught:
        check_workstation(4097 * MIB, machine)
    message = str(caught.value)
    assert "needs about 4,097 MiB of memory; 4,096 MiB are available: close" in message


@pytest.mark.parametrize(
    "limited", ["sys/fs/cgroup/user/app", "sys/fs/cgroup/user", "sys/fs/cgroup"]
)
def test_a_limit_of_cgroup_v2_at_any_level(machine: Path, limited: str) -> None:
    _write(machine, "proc/self/cgroup", "0::/user/app\n")
    for level in ("sys/fs/cgroup", "sys/fs/cgroup/user", "sys/fs/cgroup/user/app"):
        _write(machine, f"{level}/memory.max", "max\n")
        _write(machine, f"{level}/memory.current", f"{300 * MIB}\n")
        _write(machine, f"{level}/memory.stat", f"anon 5\ninactive_file {100 * MIB}\n")
    check_workstation(4096 * MIB, machine)
    _write(machine, f"{limited}/memory.max", f"{1000 * MIB}\n")
    # Cached files give way.
    check_workstation(800 * MIB, machine)
    with pytest.raises(ConversionError, match="container or session leaves 800 MiB: raise the"):
        check_workstation(801 * MIB, machine)


def test_a_limit_of_cgroup_v1_that_a_container_sees_as_the_topmost(machine: Path) -> None:
    _write(machine, "proc/self/cgroup", "4:cpu,memory:/docker/abc\n0::/\n")
    folder = "sys/fs/cgroup/memory"
    _write(machine, f"{folder}/memory.limit_in_bytes", f"{1000 * MIB}\n")
    _write(machine, f"{folder}/memory.usage_in_bytes", f"{300 * MIB}\n")
    _write(machine, f"{folder}/memory.stat", f"inactive_file 7\ntotal_inactive_file {50 * MIB}\n")
    check_workstation(750 * MIB, machine)
    with pytest.raises(ConversionError, match="leaves 750 MiB"):
        check_workstation(751 * MIB, machine)


def test_systems_without_proc_are_not_checked(tmp_path: Path) -> None:
    check_workstation(1 << 60, tmp_path)


def test_this_machine_is_read() -> None:
    check_workstation(1)
