import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from edgekit_device import board

PI_4 = {
    "sys/class/thermal/thermal_zone0/temp": "48686\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "proc/self/statm": "30000 20000 9000 1 0 12000 0\n",
}
PI_5 = {
    "sys/class/thermal/thermal_zone0/temp": "61150\n",
    "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": "e0008\n",
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
}
DESKTOP = {
    "sys/class/thermal/thermal_zone0/temp": "27800\n",
    "sys/class/hwmon/hwmon0/name": "k10temp\n",
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    board._vcgencmd.cache_clear()


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _vcgencmd(root: Path, script: str) -> Path:
    """A program in the place of vcgencmd; the file it returns has a line for each run."""
    runs = root / "runs"
    program = root / "usr/bin/vcgencmd"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> "{runs}"\n{script}\n')
    program.chmod(0o755)
    return runs


def test_a_pi_4_that_is_well(tmp_path: Path) -> None:
    root = _tree(tmp_path, PI_4)
    assert board.temperature(root) == 48.686
    assert board.throttled(root) == []
    assert board.throttled_since_boot(root) == []
    assert board.model(root) == "Raspberry Pi 4 Model B Rev 1.4"
    assert board.memory_bytes(root) == 20000 * board.os.sysconf("SC_PAGE_SIZE")


def test_a_pi_5_that_is_hot(tmp_path: Path) -> None:
    root = _tree(tmp_path, PI_5)
    assert board.temperature(root) == 61.15
    assert board.throttled(root) == ["soft temperature limit"]
    assert board.throttled_since_boot(root) == [
        "frequency capped", "throttled", "soft temperature limit",
    ]  # fmt: skip
    assert board.model(root) == "Raspberry Pi 5 Model B Rev 1.0"


def test_a_pi_with_a_weak_supply(tmp_path: Path) -> None:
    files = PI_4 | {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}
    root = _tree(tmp_path, files)
    runs = _vcgencmd(root, "echo throttled=0x0")
    assert board.throttled(root) == ["under-voltage", "throttled"]
    assert board.throttled_since_boot(root) == ["under-voltage", "throttled"]
    assert not runs.exists()


def test_a_kernel_that_tells_only_the_voltage(tmp_path: Path) -> None:
    alarm = "sys/class/hwmon/hwmon1/in0_lcrit_alarm"
    files = {name: text for name, text in PI_4.items() if "get_throttled" not in name}
    assert board.throttled(_tree(tmp_path, files)) == []
    assert board.throttled(_tree(tmp_path, {alarm: "1\n"})) == ["under-voltage"]


def test_the_firmware_is_asked_where_the_kernel_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _vcgencmd(tmp_path, "echo throttled=0x50005")
    now = [1000.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: now[0])
    for _ in range(3):
        assert board.throttled(tmp_path) == ["under-voltage", "throttled"]
    assert runs.read_text() == "get_throttled\n"
    now[0] += board._VCGENCMD_INTERVAL
    board.throttled(tmp_path)
    assert runs.read_text() == "get_throttled\n" * 2


@pytest.mark.parametrize(
    "script",
    [
        "echo VCHI initialization failed; exit 255",
        "echo throttled=-1",
        "kill -9 $$",
        "exec sleep 60",
    ],
)
def test_a_firmware_that_does_not_answer_is_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(board, "_VCGENCMD_TIMEOUT", 0.2)
    _vcgencmd(tmp_path, script)
    assert board.throttled(tmp_path) == []


def test_a_desktop(tmp_path: Path) -> None:
    root = _tree(tmp_path, DESKTOP)
    assert board.temperature(root) == 27.8
    assert board.throttled(root) == board.throttled_since_boot(root) == []
    assert board.model(root) is None


@pytest.mark.parametrize("content", ["", "\n", "unknown\n", "\0\0", "nan", "0x"])
def test_garbage_is_unknown(tmp_path: Path, content: str) -> None:
    root = _tree(tmp_path, dict.fromkeys(PI_4, content))
    assert board.temperature(root) is None
    assert board.throttled(root) == board.throttled_since_boot(root) == []
    assert board.memory_bytes(root) > 1 << 20
    board.model(root)


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    for name in PI_4:
        (tmp_path / name).mkdir(parents=True)
    assert board.temperature(tmp_path) is None
    assert board.throttled(tmp_path) == []
    assert board.model(tmp_path) is None
    assert board.memory_bytes(tmp_path) > 1 << 20


def test_that_no_file_is_left_to_look_with_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def glob(folder: Path, pattern: str) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "glob", glob)
    assert board.throttled(tmp_path) == []


def test_this_machine() -> None:
    assert 1 << 20 < board.memory_bytes() < 1 << 36
    board.temperature()
    board.throttled()
    board.model()
    board.release_memory()


_SMAPS = """\
7f0000000000-7f0000010000 r-xp 00001000 08:01 77                         /opt/edgekit/lib/a.so
Size:                 64 kB
Rss:                  64 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
7f0000010000-7f0000020000 r--p 00011000 08:01 77                         /opt/edgekit/lib/a.so
Rss:                  64 kB
Anonymous:             4 kB
7f0000020000-7f0000030000 rw-p 00021000 08:01 77                         /opt/edgekit/lib/a.so
Anonymous:             0 kB
7f0000030000-7f0000040000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000040000-7f0000050000 r--s 00000000 08:01 79                         /var/tmp/#79 (deleted)
Anonymous:             0 kB
7f0000050000-7f0000060000 r--p 00000000 08:01 80                         /usr/lib/with blank.so
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""


def test_pages_of_libraries_that_nobody_wrote_to_can_be_let_go() -> None:
    # Neither what a loader wrote, nor what can be written, nor what is no file of its own.
    code, other = (0x7F0000000000, 0x7F0000010000), (0x7F0000050000, 0x7F0000060000)
    assert list(board.clean_mappings(_SMAPS, "/")) == [code, other]
    assert list(board.clean_mappings(_SMAPS, "/opt/edgekit/")) == [code]
    assert list(board.clean_mappings("", "/")) == []


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system has no smaps")
def test_libraries_work_on_when_their_pages_were_let_go() -> None:
    # In a process of its own: here, there may be threads.
    program = (
        "import cv2, numpy\nfrom pathlib import Path\nfrom edgekit_device import board\n"
        "pages = lambda: int(Path('/proc/self/statm').read_text().split()[2])\n"
        "before = pages(); board.release_library_pages(); after = pages()\n"
        "assert cv2.resize(numpy.eye(4), (8, 8)).shape == (8, 8)\n"
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "numpy.fft.fft(numpy.ones(64)); now = pages(); board.release_library_pages()\n"
        "assert pages() >= now, 'not while there is a thread'\n"
        "print(before - after > 1000)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize(("shift", "released"), [(0, [0x7F0000000000]), (0x1000, [])])
def test_pages_whose_addresses_are_told_in_two_ways_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int, released: list[int]
) -> None:
    told: list[int] = []
    library = SimpleNamespace(madvise=lambda start, _length, _advice: told.append(start.value))
    monkeypatch.setattr(board.ctypes, "CDLL", lambda _name: library)
    # One may be alike by chance; one may be gone.
    headers = [line.split() for line in _SMAPS.splitlines() if "-" in line.split()[0]]
    maps = [" ".join(headers[0])]
    for addresses, *rest in headers[1:-1]:
        start, end = (int(address, 16) - shift for address in addresses.split("-"))
        maps.append(" ".join([f"{start:x}-{end:x}", *rest]))
    _tree(tmp_path, {"proc/self/smaps": _SMAPS, "proc/self/maps": "\n".join(maps)})
    monkeypatch.setattr(board, "_ROOT", tmp_path)
    board.release_library_pages(Path("/opt/edgekit"))
    assert told == released


def test_memory_is_what_the_machine_has_or_less_where_a_group_is_limited(tmp_path: Path) -> None:
    everything = board.memory_limit(tmp_path)
    assert everything > 1 << 28
    root = _tree(tmp_path, {
        "proc/self/cgroup": "0::/system.slice/edgekit.service\n",
        "sys/fs/cgroup/system.slice/edgekit.service/memory.max": "max\n",
        "sys/fs/cgroup/system.slice/memory.max": "max\n",
    })  # fmt: skip
    assert board.memory_limit(root) == everything
    _tree(root, {"sys/fs/cgroup/system.slice/edgekit.service/memory.max": "402653184\n"})
    assert board.memory_limit(root) == 384 << 20
    _tree(root, {"sys/fs/cgroup/memory.max": "1048576\n"})  # as in a container
    assert board.memory_limit(root) == 1 << 20


def test_a_group_that_is_named_oddly_is_none(tmp_path: Path) -> None:
    everything = board.memory_limit(tmp_path)
    for text in ("", "0::/\n", "12:memory:/user\n", "0::/../../x\n"):
        root = _tree(tmp_path, {"proc/self/cgroup": text})
        assert board.memory_limit(root) == everything


def test_a_board_tells_of_throttling_where_its_firmware_does(tmp_path: Path) -> None:
    assert board.tells_throttling(_tree(tmp_path / "5", PI_5))
    assert not board.tells_throttling(_tree(tmp_path / "desktop", DESKTOP))
    # The kernel's own sensor tells of under-voltage alone.
    volt = {name: text for name, text in PI_4.items() if "hwmon" in name}
    assert not board.tells_throttling(_tree(tmp_path / "volt", volt))
    _vcgencmd(tmp_path / "works", "echo throttled=0x0")
    assert board.tells_throttling(tmp_path / "works")
    _vcgencmd(tmp_path / "fails", "echo cannot open vcio >&2; exit 1")
    assert not board.tells_throttling(tmp_path / "fails")


def test_the_firmware_is_asked_again_where_that_matters(tmp_path: Path) -> None:
    runs = _vcgencmd(tmp_path, "echo throttled=0x4")
    board.throttled(tmp_path)
    board.look_again()
    assert board.throttled(tmp_path) == ["throttled"]
    assert len(runs.read_text().splitlines()) == 2
