"""What belongs to the service: its units, its control by clients, and what it keeps on the disk."""

from collections.abc import Iterator
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit_device.config.file import load
from edgekit_device.config.settings import Settings
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.service.environment import TOKEN_CREDENTIAL, check_history
from edgekit_device.service.kept import kept_bytes
from edgekit_device.service.layout import CONTROL_PATH, MODEL, UNITS, Layout, packaged

INSTALL_AGAIN = f"sudo edgekit service install --model {MODEL}"
EDIT = "sudo nano /etc/edgekit/edgekit.toml && sudo systemctl reload edgekit"


def check_units(device: Device) -> Iterator[Diagnosis]:
    """Whether the units are there, and those of this edgekit."""
    layout = Layout(device.root)
    if not layout.unit.exists():
        return
    files = {name: layout.unit_file(name) for name in UNITS}
    if missing := [name for name, file in files.items() if not file.is_file()]:
        yield Diagnosis("units", "warning", f"missing: {', '.join(missing)}", INSTALL_AGAIN)
    elif others := [name for name, file in files.items() if file.read_bytes() != packaged(name)]:
        yield Diagnosis(
            "units", "warning", f"of another edgekit: {', '.join(others)}", INSTALL_AGAIN
        )
    else:
        yield Diagnosis("units", "ok", f"those of this edgekit: {', '.join(UNITS)}")


def check_control(device: Device) -> Iterator[Diagnosis]:
    """Whether clients that may control the daemon have to show who they are, and are heard."""
    settings = configured(device)
    if settings is None or not (settings.control.http or settings.control.mqtt):
        return
    named = settings.http.token_file or TOKEN_CREDENTIAL
    token = device.root / named.relative_to(named.anchor)
    if settings.control.http and _is_there(token) is False:
        remedy = f"sudo install -D -m 600 /dev/stdin {token}"
        yield Diagnosis("control", "problem", f"on over HTTP, without a token in {token}", remedy)
    elif not _is_active(device, CONTROL_PATH):
        text = f"clients cannot choose a model: {CONTROL_PATH} does not run"
        yield Diagnosis("control", "warning", text, "sudo systemctl restart edgekit")
    else:
        ways = [("HTTP", settings.control.http), ("MQTT", settings.control.mqtt)]
        yield Diagnosis("control", "ok", f"over {' and '.join(way for way, on in ways if on)}")


def check_kept(device: Device) -> Iterator[Diagnosis]:
    """What the service keeps on the disk, and whether it can."""
    data = Layout(device.root).data
    settings = configured(device)
    folder = settings.history.folder if settings else None
    if settings and folder:
        yield _history(settings, device.root / folder.relative_to(folder.anchor), data)
    if clips := kept_bytes(data / "clips"):
        yield Diagnosis("clips", "ok", f"{clips / 1e6:.0f} MB in {data / 'clips'}")


def _history(settings: Settings, folder: Path, data: Path) -> Diagnosis:
    try:
        check_history(settings)
    except EdgekitError as error:
        return Diagnosis("history", "problem", str(error), EDIT)
    size = kept_bytes(folder)
    if size is None:
        return Diagnosis("history", "note", f"{folder} cannot be looked at; use sudo")
    try:
        owners = (folder.stat().st_uid, data.stat().st_uid)
    except FileNotFoundError:
        return Diagnosis("history", "ok", "nothing is kept yet")
    except OSError as error:
        return Diagnosis("history", "problem", f"{folder}: {error.strerror}")
    if owners[0] != owners[1]:
        text = f"the service cannot write to {folder}, which belongs to another account"
        return Diagnosis("history", "problem", text, f"sudo chown -R --reference={data}/ {folder}")
    megabytes = settings.history.megabytes
    return Diagnosis("history", "ok", f"{size / 1e6:.0f} of {megabytes} MB in {folder}")


def configured(device: Device) -> Settings | None:
    """What the service is configured to do; None where it is not, or that cannot be read."""
    try:
        config = Layout(device.root).config
        return load(config, {}) if config.is_file() else None
    except (EdgekitError, OSError):
        return None


def _is_there(path: Path) -> bool | None:
    """Whether there is a file; None where that may not be known."""
    try:
        return path.is_file() if path.parent.stat() else None
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _is_active(device: Device, unit: str) -> bool:
    answer = device.run("systemctl", "is-active", unit)
    return answer is not None and answer.code == 0
