"""`edgekit doctor` sees what is wrong with a device, and names the command that mends it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from edgekit_device.doctor import examination, probe
from edgekit_device.doctor.cli import doctor, render
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.health import DriftHealth, DriftSign
from edgekit_device.runtime_choice import AGAIN

from edgekit.files import FileStamp
from tests.device.doctor.broken_pi import GROUPS, MIB, RUNS, BrokenPi, fails
from tests.device.doctor.probe_model import probe_model

PIP = "sudo /opt/edgekit/bin/pip install"


@pytest.fixture
def pi(tmp_path: Path) -> BrokenPi:
    return BrokenPi(tmp_path)


def found(pi: BrokenPi, check: str) -> list[Diagnosis]:
    """What is not as it should be, all of it about one thing."""
    wrong = [diagnosis for diagnosis in pi.examine() if diagnosis.level != "ok"]
    assert {diagnosis.check for diagnosis in wrong} <= {check}, wrong
    return wrong


def one(pi: BrokenPi, check: str) -> Diagnosis:
    wrong = found(pi, check)
    assert len(wrong) == 1, wrong
    return wrong[0]


def test_a_healthy_device_has_nothing_to_complain_of(pi: BrokenPi) -> None:
    diagnoses = pi.examine()
    assert [diagnosis for diagnosis in diagnoses if diagnosis.level != "ok"] == []
    texts = {diagnosis.check: diagnosis.text for diagnosis in diagnoses}
    assert texts["board"] == (
        "Raspberry Pi 4 Model B Rev 1.4, Debian GNU/Linux 12 (bookworm), Linux 6.12.47+rpt-rpi-v8"
    )
    assert texts["python"] == "3.11.2 in /opt/edgekit, aarch64"
    assert texts["runtime"] == "tflite-runtime 2.14.0 classifies a picture"
    assert texts["camera"] == "HD Pro Webcam C920: v4l2:/dev/video0"
    assert texts["temperature"] == "48 °C"
    assert texts["service"] == "active (running): running · model 123456781234 · 30 fps"


# Python and its packages


def test_a_package_of_another_project(pi: BrokenPi) -> None:
    pi.packages["edgekit"] = "0.4.2"
    wrong = one(pi, "edgekit")
    assert wrong.level == "problem"
    assert "0.4.2: on PyPI a package of this name is another project's" in wrong.text
    assert wrong.remedy == (
        "sudo /opt/edgekit/bin/pip uninstall --yes edgekit; "
        f"{PIP} --force-reinstall --no-deps edgekit-core edgekit-device"
    )


def test_numpy_2_beside_tflite_runtime(pi: BrokenPi) -> None:
    pi.packages["numpy"] = "2.2.6"
    pi.answers["tflite_runtime.interpreter"] = fails(
        "ImportError: numpy.core.multiarray failed to import"
    )
    numpy, runtime = [diagnosis for diagnosis in pi.examine() if diagnosis.level != "ok"]
    assert (numpy.check, numpy.level) == ("numpy", "problem")
    assert numpy.remedy == f'{PIP} "numpy<2" "opencv-python-headless<4.12"'
    assert (runtime.check, runtime.level, runtime.remedy) == ("runtime", "problem", numpy.remedy)


def test_a_runtime_that_crashes_is_a_finding(pi: BrokenPi) -> None:
    pi.answers["tflite_runtime.interpreter"] = "kill -ILL $$"
    wrong = one(pi, "runtime")
    assert (wrong.level, wrong.text) == ("problem", "tflite-runtime 2.14.0: crashes (SIGILL)")
    assert wrong.remedy == f"{PIP} --force-reinstall --no-deps tflite-runtime==2.14.0"


def test_a_runtime_that_answers_wrong_is_a_finding(pi: BrokenPi) -> None:
    pi.answers["tflite_runtime.interpreter"] = '{"right": false}'
    assert one(pi, "runtime").text == "tflite-runtime 2.14.0: gives a wrong answer"


def test_the_second_of_two_runtimes_is_no_problem_when_the_first_works(pi: BrokenPi) -> None:
    pi.packages["ai-edge-litert"] = "2.1.2"
    pi.answers["tflite_runtime.interpreter"] = "kill -SEGV $$"
    assert one(pi, "runtime").level == "warning"


@pytest.mark.parametrize("python", ["3.11.2", "3.13.5"])
def test_no_runtime(pi: BrokenPi, python: str) -> None:
    pi.python = python
    del pi.packages["tflite-runtime"]
    wrong = one(pi, "runtime")
    assert wrong.level == "problem"
    assert wrong.remedy == f'{PIP} ai-edge-litert "opencv-python-headless<5"'


def _of_32_bits(pi: BrokenPi, **packages: str) -> list[Diagnosis]:
    """What is said of a board of 32 bits but for that it is one."""
    found = {"python": "3.11.2", "machine": "armv7l", "bits": 32, "packages": packages}
    pi.answers["packages"] = json.dumps(found)
    python, *others = [diagnosis for diagnosis in pi.examine() if diagnosis.level != "ok"]
    assert (python.check, python.level) == ("python", "warning")
    return others


APT = "sudo apt install python3-numpy python3-opencv"


def test_no_runtime_on_32_bits(pi: BrokenPi) -> None:
    (runtime,) = _of_32_bits(pi, numpy="1.24.2")
    assert runtime.remedy == f"{APT}; {PIP} tflite-runtime==2.14.0"


def test_on_32_bits_the_systems_numpy_and_opencv_are_what_was_tried(pi: BrokenPi) -> None:
    there = {"numpy": "1.24.2", "tflite-runtime": "2.14.0"}
    pi.answers["cv2"] = '{"version": "4.6.0"}'
    assert _of_32_bits(pi, **there) == []
    pi.answers["cv2"] = '{"version": "4.5.1"}'
    (opencv,) = _of_32_bits(pi, **there)
    assert (opencv.level, opencv.remedy) == ("warning", APT)
    pi.answers["cv2"] = "{}"
    (opencv,) = _of_32_bits(pi, **there)
    assert (opencv.level, opencv.remedy) == ("problem", f"{APT}; {PIP} tflite-runtime==2.14.0")
    pi.answers["cv2"] = '{"version": "4.6.0"}'
    (numpy,) = _of_32_bits(pi, **there | {"numpy": "2.2.6"})
    assert numpy.remedy == f"sudo /opt/edgekit/bin/pip uninstall --yes numpy; {APT}"


def test_the_service_says_which_runtime_it_runs_and_why(pi: BrokenPi) -> None:
    def said(why: str) -> Diagnosis:
        pi.service(*RUNS, model_sha256="12345678" * 8, runtime_from=why)
        (found,) = [one for one in pi.examine() if "the service runs" in one.text]
        return found

    found = said("litert 2.1.0: 4.8 ms; tflite 2.14.0: 63 ms, measured")
    assert found.level == "ok"
    assert found.text.startswith("the service runs litert: litert 2.1.0: 4.8 ms; tflite")
    assert said(f"preferred; it was measured of another model: {AGAIN}").level == "note"


def test_opencv_without_its_libraries(pi: BrokenPi) -> None:
    pi.answers["cv2"] = fails(
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    )
    pi.packages["opencv-python"] = pi.packages.pop("opencv-python-headless")
    wrong = one(pi, "opencv")
    assert (wrong.level, wrong.text) == ("problem", "does not load: libGL.so.1 is missing")
    assert wrong.remedy == (
        "sudo /opt/edgekit/bin/pip uninstall --yes opencv-python; "
        f'{PIP} --force-reinstall --no-deps "opencv-python-headless<4.12"'
    )


def test_two_distributions_of_opencv_write_the_same_folder(pi: BrokenPi) -> None:
    pi.packages["opencv-python"] = "4.10.0.84"
    there, works = [found for found in pi.examine() if found.check == "opencv"]
    assert (there.level, works.level) == ("warning", "ok")
    assert there.text.startswith("opencv-python-headless 4.11.0.86 and opencv-python 4.10.0.84")
    assert there.remedy == (
        "sudo /opt/edgekit/bin/pip uninstall --yes opencv-python-headless opencv-python; "
        f'{PIP} --force-reinstall --no-deps "opencv-python-headless<4.12"'
    )


def test_no_opencv(pi: BrokenPi) -> None:
    del pi.packages["opencv-python-headless"]
    pi.answers["cv2"] = "{}"
    wrong = one(pi, "opencv")
    assert (wrong.level, wrong.text) == ("problem", "not installed")
    assert wrong.remedy == f'{PIP} tflite-runtime==2.14.0 "numpy<2" "opencv-python-headless<4.12"'


def test_the_systems_own_opencv_is_older_than_what_was_tried(pi: BrokenPi) -> None:
    del pi.packages["opencv-python-headless"]
    pi.answers["cv2"] = '{"version": "4.6.0"}'
    wrong = one(pi, "opencv")
    assert (wrong.level, wrong.text) == (
        "warning", "4.6.0: edgekit is tried with 4.11 and later",
    )  # fmt: skip
    assert wrong.remedy == f'{PIP} --force-reinstall --no-deps "opencv-python-headless<4.12"'


def test_the_opencv_that_is_there_is_named_in_remedies(pi: BrokenPi) -> None:
    pi.packages["opencv-python"] = pi.packages.pop("opencv-python-headless")
    pi.packages["numpy"] = "2.2.6"
    assert one(pi, "numpy").remedy == f'{PIP} "numpy<2" "opencv-python<4.12"'


def test_a_python_that_does_not_start(pi: BrokenPi) -> None:
    pi.answers["packages"] = fails("No module named edgekit_device")
    wrong = one(pi, "python")
    assert wrong.level == "problem"
    assert wrong.text.endswith("does not work: No module named edgekit_device")


# Cameras


def test_no_camera(pi: BrokenPi) -> None:
    pi.remove_camera()
    assert one(pi, "camera").level == "warning"


def test_camera_modules_are_not_looked_for(pi: BrokenPi) -> None:
    pi.remove_camera()
    pi.write("boot/firmware/config.txt", "dtparam=audio=on\n#camera_auto_detect=1\n")
    remedy = one(pi, "camera").remedy
    assert remedy is not None
    assert remedy.startswith("echo camera_auto_detect=1 | sudo tee -a /boot/firmware/config.txt")


def test_another_program_has_the_camera(pi: BrokenPi) -> None:
    pi.write("proc/411/comm", "motion\n")
    pi.write("proc/411/cgroup", "0::/system.slice/motion.service\n")
    (pi.root / "proc/411/fd").mkdir()
    (pi.root / "proc/411/fd/7").symlink_to("/dev/video0")
    wrong = one(pi, "camera")
    assert (wrong.level, "in use by motion" in wrong.text) == ("warning", True)
    assert wrong.remedy == "sudo systemctl disable --now motion.service"


def test_the_daemon_itself_may_have_the_camera(pi: BrokenPi) -> None:
    pi.write("proc/411/comm", "edgekit\n")
    (pi.root / "proc/411/fd").mkdir()
    (pi.root / "proc/411/fd/7").symlink_to("/dev/video0")
    assert found(pi, "camera") == []


def test_camera_modules_are_listed(pi: BrokenPi) -> None:
    pi.remove_camera()
    pi.program(
        "rpicam-hello",
        "echo 'Available cameras'; echo '-----------------'\n"
        "echo '0 : imx219 [3280x2464 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx219@10)'\n"
        "echo \"    Modes: 'SRGGB10_CSI2P' : 640x480 [206.65 fps - (1000, 752)/1280x960 crop]\"",
    )
    texts = [diagnosis.text for diagnosis in pi.examine() if diagnosis.check == "camera"]
    assert texts == ["module imx219, 3280x2464: picamera2:"]


def test_picamera2_out_of_sight(pi: BrokenPi) -> None:
    pi.answers["picamera2"] = "{}"
    pi.write("usr/lib/python3/dist-packages/picamera2/__init__.py", "")
    wrong = one(pi, "picamera2")
    assert wrong.level == "warning"
    assert wrong.remedy == (
        r"sudo sed -i 's/^\(include-system-site-packages\) .*/\1 = true/' /opt/edgekit/pyvenv.cfg"
    )


def test_a_remedy_may_be_copied_whatever_the_environment_is_called() -> None:
    assert Device(environment=Path("/home/pi/my env")).pip == "'/home/pi/my env/bin/pip'"


@pytest.mark.parametrize(("receiver", "level"), [(True, "problem"), (False, "note")])
def test_picamera2_is_needed_for_camera_modules_alone(
    pi: BrokenPi, receiver: bool, level: str
) -> None:
    pi.answers["picamera2"] = "{}"
    if receiver:
        pi.write("sys/class/video4linux/video9/name", "unicam-image\n")
    assert one(pi, "picamera2").level == level


def test_a_user_outside_the_group(pi: BrokenPi) -> None:
    pi.groups.remove("video")
    wrong = one(pi, "groups")
    assert (wrong.level, wrong.text) == ("problem", "pi is not in video: cameras cannot be opened")
    assert wrong.remedy == "sudo usermod -aG video pi && newgrp video"


def test_a_user_who_has_not_logged_in_again(pi: BrokenPi) -> None:
    pi.groups.remove("video")
    pi.write("etc/group", GROUPS.replace("video:x:44:", "video:x:44:pi"))
    assert one(pi, "groups").remedy == "newgrp video"


def test_root_needs_no_group(pi: BrokenPi) -> None:
    pi.user, pi.groups = "root", {"root"}
    assert found(pi, "groups") == []


# Coral


def test_a_coral_as_it_should_be(pi: BrokenPi) -> None:
    pi.add_coral(5000, "16.0tf2.15.1-1.bookworm")
    assert found(pi, "coral") == []


def test_a_coral_on_usb_2(pi: BrokenPi) -> None:
    pi.add_coral(480, "16.0tf2.15.1-1.bookworm")
    wrong = one(pi, "coral")
    assert (wrong.level, "blue socket" in wrong.text) == ("warning", True)


def test_a_coral_on_a_board_without_usb_3(pi: BrokenPi) -> None:
    pi.add_coral(480, "16.0tf2.15.1-1.bookworm")
    pi.remove("sys/bus/usb/devices/usb2/speed")
    assert one(pi, "coral").level == "note"


@pytest.mark.parametrize("library", [None, "16.0"])
def test_a_coral_without_a_library_for_this_runtime(pi: BrokenPi, library: str | None) -> None:
    pi.add_coral(5000, library)
    wrong = one(pi, "libedgetpu")
    assert wrong.level == "problem"
    assert wrong.remedy is not None
    assert "libedgetpu1-std_16.0tf2.15.1-1.bookworm_arm64.deb" in wrong.remedy


def test_a_coral_on_pci_express_without_its_driver(pi: BrokenPi) -> None:
    pi.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x1ac1\n")
    pi.write("sys/bus/pci/devices/0000:01:00.0/device", "0x089a\n")
    pi.write("usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0", "")
    assert one(pi, "coral").remedy == "sudo apt install gasket-dkms && sudo modprobe apex"


def test_whoever_uses_a_coral_needs_its_group(pi: BrokenPi) -> None:
    pi.add_coral(5000, "16.0tf2.15.1-1.bookworm")
    pi.groups.remove("plugdev")
    assert one(pi, "groups").text == "pi is not in plugdev: the Coral cannot be opened"


# The board


@pytest.mark.parametrize(("free", "level"), [(50 * MIB, "problem"), (300 * MIB, "warning")])
def test_a_full_disk(pi: BrokenPi, free: int, level: str) -> None:
    pi.free = free
    assert one(pi, "disk").level == level


def test_a_read_only_root(pi: BrokenPi) -> None:
    pi.write("proc/mounts", "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n")
    assert one(pi, "disk").remedy == "sudo mount -o remount,rw /"


def test_a_root_that_forgets(pi: BrokenPi) -> None:
    pi.write("proc/mounts", "overlay / overlay rw,lowerdir=/lower 0 0\n")
    assert one(pi, "disk").level == "note"


def test_a_board_with_512_mb_and_no_swap(pi: BrokenPi) -> None:
    pi.write("proc/meminfo", "MemTotal: 425984 kB\nMemFree: 200000 kB\nMemAvailable: 300000 kB\n")
    wrong = one(pi, "memory")
    assert (wrong.level, wrong.remedy) == ("warning", "sudo apt install systemd-zram-generator")


def test_a_board_with_512_mb_and_compressed_swap(pi: BrokenPi) -> None:
    pi.write("proc/meminfo", "MemTotal: 425984 kB\nMemFree: 200000 kB\nMemAvailable: 300000 kB\n"
             "SwapTotal: 204800 kB\n")  # fmt: skip
    pi.write("proc/swaps", "Filename\tType\tSize\n/dev/zram0 partition 204800 0 100\n")
    assert found(pi, "memory") == []


def test_too_little_memory_is_free(pi: BrokenPi) -> None:
    pi.write("proc/meminfo", "MemTotal: 1893000 kB\nMemFree: 20000 kB\nMemAvailable: 90000 kB\n")
    assert one(pi, "memory").level == "warning"


def test_the_kernel_does_not_count_memory(pi: BrokenPi) -> None:
    pi.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    wrong = one(pi, "memory")
    assert wrong.level == "note"
    assert wrong.remedy is not None
    assert "cgroup_enable=memory" in wrong.remedy


def test_a_hot_processor(pi: BrokenPi) -> None:
    pi.write("sys/class/thermal/thermal_zone0/temp", "82500\n")
    assert one(pi, "temperature").level == "problem"


@pytest.mark.parametrize(
    ("bits", "level", "text"),
    [
        ("50005", "problem", "now: under-voltage, throttled"),
        ("50000", "warning", "since it was switched on: under-voltage, throttled"),
    ],
)
def test_under_voltage(pi: BrokenPi, bits: str, level: str, text: str) -> None:
    pi.write("sys/devices/platform/soc/soc:firmware/get_throttled", f"{bits}\n")
    wrong = one(pi, "power")
    assert (wrong.level, wrong.text.partition(";")[0]) == (level, text)


def test_a_clock_that_nobody_set(pi: BrokenPi) -> None:
    pi.remove("run/systemd/timesync/synchronized")
    pi.program("timedatectl", "echo Timezone=Etc/UTC; echo NTPSynchronized=no")
    wrong = one(pi, "clock")
    assert (wrong.level, wrong.remedy) == ("warning", "sudo timedatectl set-ntp true")


def test_a_clock_that_something_else_sets(pi: BrokenPi) -> None:
    pi.remove("run/systemd/timesync/synchronized")
    pi.program("timedatectl", "echo NTPSynchronized=yes")
    assert found(pi, "clock") == []


# The service


@pytest.mark.parametrize(
    ("says", "level", "text"),
    [
        ("LoadState=not-found ActiveState=inactive", "note", "not installed"),
        ("LoadState=loaded ActiveState=failed Result=exit-code ExecMainStatus=10", "problem",
         "failed: exit code 10, the camera did not come back"),
        ("LoadState=loaded ActiveState=activating SubState=auto-restart Result=watchdog "
         "ExecMainStatus=6", "problem",
         "ended (the watchdog: no answers for too long), starts again"),
        ("LoadState=loaded ActiveState=inactive", "warning", "installed, does not run"),
        ("LoadState=masked", "problem", "its unit is masked"),
    ],
)  # fmt: skip
def test_the_service(pi: BrokenPi, says: str, level: str, text: str) -> None:
    pi.service(*says.split(), pid=99)
    wrong = one(pi, "service")
    assert (wrong.level, wrong.text) == (level, text)
    assert wrong.remedy


def test_a_service_with_a_problem(pi: BrokenPi) -> None:
    pi.service(*RUNS, state="degraded", problems=["camera: gone"])
    wrong = one(pi, "service")
    assert wrong.level == "warning"
    assert wrong.text == "active (running): degraded · model · 30 fps · camera: gone"


@pytest.mark.parametrize("state", ["running", "stalled"])
def test_a_service_that_has_not_read_its_configuration(pi: BrokenPi, state: str) -> None:
    """An installation ended before it told the daemon."""
    file = pi.root / "etc/edgekit/edgekit.toml"
    pi.write("etc/edgekit/edgekit.toml", "threads = 1\n")
    pi.service(*RUNS, state=state, configuration=FileStamp.of(file))
    assert "earlier configuration" not in str(found(pi, "service"))
    pi.write("etc/edgekit/edgekit.toml", "threads = 10\n")
    wrong = one(pi, "service")
    assert wrong.level == "warning"
    told = f"the daemon follows an earlier configuration than the one in {file}"
    assert wrong.text == f"active (running): {state} · model · 30 fps; {told}"
    logs = "journalctl -u edgekit -n 50"
    assert wrong.remedy == (logs if state == "stalled" else "sudo systemctl reload edgekit")


def test_a_service_whose_camera_shows_something_else(pi: BrokenPi) -> None:
    drift = DriftHealth("2026-01-05T09:00:00Z", [DriftSign("brightness", "darker")], "look at it")
    pi.service(*RUNS, drift=drift)
    wrong = one(pi, "service")
    assert wrong.level == "warning"
    assert wrong.text == "active (running): running · model · 30 fps · drift: darker; look at it"


def test_a_service_that_was_started_again(pi: BrokenPi) -> None:
    pi.service(*RUNS, "NRestarts=3")
    wrong = one(pi, "service")
    assert (wrong.level, wrong.text.rpartition("; ")[2]) == ("note", "started again 3 times")


def test_the_status_of_an_earlier_process_does_not_count(pi: BrokenPi) -> None:
    pi.service(*RUNS, pid=99, state="stalled")
    texts = {diagnosis.check: diagnosis.text for diagnosis in pi.examine()}
    assert texts["service"] == "active (running): no status yet"


def test_a_machine_without_systemd(pi: BrokenPi) -> None:
    pi.program("systemctl", "exit 1")
    assert one(pi, "service").level == "note"


# As a whole


def test_an_empty_device_is_looked_at_without_an_end(tmp_path: Path) -> None:
    system = Device(root=tmp_path, python=tmp_path / "none", user="pi", groups=frozenset())
    assert {diagnosis.check for diagnosis in examination.examine(system)} >= {
        "board",
        "python",
        "disk",
    }


def test_garbage_in_every_file_hides_nothing_else(pi: BrokenPi) -> None:
    for file in pi.root.rglob("*"):
        if file.is_file() and not file.is_relative_to(pi.root / "usr"):
            file.write_bytes(b"\xff\x00garbage: \xfe\n\n=")
    diagnoses = pi.examine()
    assert {diagnosis.check for diagnosis in diagnoses} >= {"runtime", "opencv", "service"}


def test_a_finding_and_its_remedy_stand_below_each_other() -> None:
    diagnosis = Diagnosis(
        "clock", "warning", "not synchronised " * 5, "sudo timedatectl set-ntp true"
    )
    lines = [line.rstrip() for line in render([diagnosis], 60).splitlines()]
    assert len(lines) == 4
    assert lines[-1].endswith("$ sudo timedatectl set-ntp true\x1b[0m")


def test_the_command_looks_at_this_machine() -> None:
    done = CliRunner().invoke(doctor, ["--json"])
    diagnoses = json.loads(done.stdout)["diagnoses"]
    assert done.exit_code == int(any(diagnosis["level"] == "problem" for diagnosis in diagnoses))
    runtimes = [diagnosis["text"] for diagnosis in diagnoses if diagnosis["check"] == "runtime"]
    assert any(text.endswith("classifies a picture") for text in runtimes)
    shown = CliRunner().invoke(doctor, [])
    assert "classifies a picture" in shown.output


def test_the_exit_code_tells_of_a_problem(pi: BrokenPi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "examine", lambda _: [Diagnosis("disk", "problem", "full")])
    done = CliRunner().invoke(doctor, [])
    assert done.exit_code == 1
    assert done.output.endswith("\n1 problem\n")


def test_the_model_for_trying_is_the_one_that_is_described() -> None:
    assert probe.MODEL.read_bytes() == probe_model()


def test_what_signatures_are_checked_with(pi: BrokenPi) -> None:
    assert "signatures" not in {diagnosis.check for diagnosis in pi.examine()}
    pi.write("etc/edgekit/allowed_signers", "a@example.com ssh-ed25519 AAAA")
    missing = one(pi, "signatures")
    assert (missing.level, missing.remedy) == ("problem", "sudo apt install openssh-client")
    pi.write("usr/bin/ssh-keygen", "")
    assert one(pi, "signatures").remedy == "sudo apt install libnss-systemd"
    pi.write("etc/nsswitch.conf", "passwd: files systemd")
    assert found(pi, "signatures") == []
    texts = {diagnosis.check: diagnosis.text for diagnosis in pi.examine()}
    assert texts["signatures"] == "models of those in /etc/edgekit/allowed_signers"
