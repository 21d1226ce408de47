"""Put the service on a machine or into an image."""

import os
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import msgspec

from edgekit.errors import ServiceError
from edgekit.model.container import read_model
from edgekit.model.signers import AllowedSigners
from edgekit_device.config.file import load, render, shown
from edgekit_device.config.secrets import remark_on_password
from edgekit_device.config.settings import Settings
from edgekit_device.service import durable, environment, systemctl
from edgekit_device.service.changes import Changes, Private
from edgekit_device.service.layout import (
    ALLOWED_SIGNERS,
    GROUP,
    MODEL,
    UNIT,
    UNITS,
    Layout,
    packaged,
)
from edgekit_device.service.outdated import Outdated, outdated
from edgekit_device.service.probation import POLL
from edgekit_device.service.signed import check_signed
from edgekit_device.service.state import ServiceState, observe
from edgekit_device.service.status import PAUSED
from edgekit_device.service.store import Store
from edgekit_device.service.upgrade import upgrade
from edgekit_device.service.verify import Model, verify
from edgekit_device.signers import allowed_signers, missing_for_checks

_ALLOWED_LINE = f'allowed-signers = "{ALLOWED_SIGNERS}"'
_GROUPS = ("video", "plugdev", GROUP)
# The Coral USB Accelerator, before and after its firmware was sent.
_CORAL_VENDORS = ("1a6e", "18d1")
# Seconds in which a daemon reads its configuration, on a busy board.
_READ_WITHIN = 10.0


def install(
    layout: Layout,
    changes: Changes,
    model: Path,
    config: Path | None = None,
    source: str | None = None,
    *,
    replace: bool = False,
    allowed: Path | None = None,
    start: bool = True,
) -> None:
    """Install what is missing or different, and start the service.

    Args:
        layout: where.
        changes: makes the changes.
        model: the model to run; one that runs already is exchanged as `upgrade` does.
        config: a configuration to install; without one, the one that is there is kept.
        source: where frames come from, for a configuration that is made from scratch.
        replace: let `config` replace a configuration that was edited, too.
        allowed: file of those whose models may run, to install and to set in the configuration.
        start: start the service now.

    Raises:
        ModelFileError: the model is no good, or not signed by whom it has to be; nothing was
            changed.
        SettingsError: the configuration is wrong; nothing was changed.
        ServiceError: something cannot be changed, or a start failed.
    """
    signers = AllowedSigners.read(allowed) if allowed else None
    chosen = _choose(layout, model, config, source, signers, replace=replace)
    settings = chosen.settings
    if config is not None and (remark := remark_on_password(settings.source)):
        changes.notify(remark)
    environment.check_visible(settings)
    environment.check_token(layout, settings)
    environment.check_history(settings)
    drop_ins = {name: environment.drop_in(layout, name) for name in UNITS}
    signers = signers or allowed_signers(settings, layout.root)
    if signers and (missing := missing_for_checks(layout.root)):
        raise ServiceError(f"signatures could not be checked: {missing[0]}; {missing[1]}")
    checked = Model.read(model)
    signer = check_signed(checked, signers)
    store = Store(layout.state)
    sha256 = checked.sha256
    measured = verify(checked, settings, None if layout.offline else store.path(sha256))
    changes.notify(
        f"model {sha256[:12]} is sound{f', signed by {signer}' if signer else ''}: {model}"
    )
    if measured:
        changes.notify(f"runtime {measured.chosen}: {measured}")

    current = store.current if store.is_whole(store.current) else None
    # A model that may be running is exchanged with the way back open.
    exchange = start and not layout.offline and current not in (None, sha256)
    if exchange and not changes.dry and observe(layout).is_paused:
        raise ServiceError(PAUSED)
    units = _install_files(layout, changes, drop_ins)
    configured = allowed is not None and _install_allowed_signers(layout, changes, signers)
    configured |= _install_config(layout, changes, chosen)
    if not exchange and current != sha256:
        changes.do(
            f"write {store.path(sha256)}, and let model.tflite point to it",
            lambda: store.use(store.add(checked.content, measured)),
        )
    elif measured:
        changes.do(
            f"keep what was measured beside {store.path(sha256)}",
            lambda: store.add(checked.content, measured),
        )
    _enable(layout, changes, units)
    if not start or layout.offline:
        return
    if exchange:
        # One start reads the configuration and the model together: neither is for the other's
        # predecessor.
        changes.do(
            "upgrade the model",
            lambda: upgrade(
                layout, checked, changes.notify, afresh=units or configured or _is_behind(layout)
            ),
        )
    else:
        # What was measured counts when the model is opened.
        _start(layout, changes, restart=units or measured is not None, reload=configured)


@dataclass(frozen=True)
class _Choice:
    """The configuration that will count.

    Attributes:
        settings: what it says.
        content: what to write; None to keep the file that is there.
        beside: what to put beside that file, because the user edited it.
        shown: what a dry run prints of either.
    """

    settings: Settings
    content: bytes | None = None
    beside: bytes | None = None
    shown: str = ""


def _choose(
    layout: Layout,
    model: Path,
    config: Path | None,
    source: str | None,
    signers: AllowedSigners | None = None,
    *,
    replace: bool = False,
) -> _Choice:
    if config is not None and source is not None:
        raise ServiceError("--source is for a configuration made from scratch; set it in FILE")
    present = _present(layout)
    if config is None and source is None and present is not None:
        settings, content = load(layout.config, {}), present
        if signers is None:
            return _Choice(settings)
    elif config is not None:
        settings = load(config, {})
        content = config.read_bytes()
    else:
        settings = Settings(
            model=MODEL,
            source=source or ("picamera2:" if find_spec("picamera2") else "v4l2:/dev/video0"),
            delegate="edgetpu" if _is_compiled(model) else "none",
        )
        content = render(settings).encode()
    if signers is not None:
        settings, content = _with_allowed_signers(settings, content)
    if replace or present in (None, content) or is_as_written(layout):
        _check_not_loosened(layout, present, settings)
        return _Choice(settings, content=content, shown=shown(settings))
    edited = load(layout.config, {})
    if signers is not None and edited.allowed_signers != ALLOWED_SIGNERS:
        raise ServiceError(
            f"{layout.config} was edited and stays as it is; put {_ALLOWED_LINE} into its first "
            "line, and repeat this"
        )
    return _Choice(edited, beside=content, shown=shown(settings))


def _check_not_loosened(layout: Layout, present: bytes | None, settings: Settings) -> None:
    """Check that a new configuration does not let all models run where the one before did not."""
    if present and settings.allowed_signers is None and load(layout.config, {}).allowed_signers:
        raise ServiceError(
            f"models that nobody signed would run again, as {layout.config} forbids: pass "
            "--allowed-signers, or take allowed-signers out of it first"
        )


def _with_allowed_signers(settings: Settings, content: bytes) -> tuple[Settings, bytes]:
    """A configuration that lets no other models run than those that are signed."""
    if settings.allowed_signers == ALLOWED_SIGNERS:
        return settings, content
    if settings.allowed_signers is not None:
        raise ServiceError(
            f"the configuration has other allowed-signers already, {settings.allowed_signers}; "
            "leave out --allowed-signers, or take them out of it"
        )
    # In front of all sections, and with what the user has written as it is.
    changed = f"{_ALLOWED_LINE}\n".encode() + content
    return msgspec.structs.replace(settings, allowed_signers=ALLOWED_SIGNERS), changed


def _install_allowed_signers(
    layout: Layout, changes: Changes, signers: AllowedSigners | None
) -> bool:
    """Whose models may run, where that was given; whether it changed."""
    if signers is None:
        return False
    shown = signers.content.decode("utf-8", "replace")
    return changes.write(layout.allowed_signers, signers.content, Private(shown, mode=0o644))


def _present(layout: Layout) -> bytes | None:
    """The configuration that is there."""
    try:
        return layout.config.read_bytes() if layout.config.is_file() else None
    except OSError as error:
        raise ServiceError(f"cannot read {layout.config}: {error.strerror}; use sudo") from error


def _is_compiled(model: Path) -> bool:
    """Whether a model is made for an Edge TPU."""
    return any("edgetpu" in operator.name for operator in read_model(model).graph.operators)


def _install_files(layout: Layout, changes: Changes, drop_ins: dict[str, bytes | None]) -> bool:
    """Groups, units and rule; whether a unit changed.

    Args:
        layout: where.
        changes: makes the changes.
        drop_ins: by unit, what this machine needs otherwise than it has it.
    """
    # Groups first: the unit does not start without them.
    changes.write(layout.sysusers, packaged("edgekit.sysusers"))
    if missing := _missing_groups(layout):
        changes.notify(f"missing groups: {', '.join(missing)}")
        root = [f"--root={layout.root}"] if layout.offline else []
        changes.run("systemd-sysusers", *root, layout.sysusers.name)
    changed = False
    for name, drop_in in drop_ins.items():
        changed |= changes.write(layout.unit_file(name), packaged(name))
        if drop_in is None:
            changed |= changes.remove(layout.drop_in(name))
        else:
            changed |= changes.write(layout.drop_in(name), drop_in)
    if changes.write(layout.rules, packaged("edgekit.rules")):
        notify_udev(layout, changes)
    return changed


def groups(layout: Layout) -> dict[str, int]:
    """Numbers of the groups that there are, by name."""
    try:
        lines = (layout.root / "etc/group").read_text().splitlines()
    except OSError:
        return {}
    fields = [line.split(":") for line in lines]
    return {group[0]: int(group[2]) for group in fields if len(group) > 2 and group[2].isdecimal()}


def _missing_groups(layout: Layout) -> list[str]:
    known = groups(layout)
    return [name for name in _GROUPS if name not in known]


def config_group(layout: Layout, *, dry: bool = False) -> int | None:
    """Number of the group that reads the configuration; None where files cannot be given to it.

    Raises:
        ServiceError: there is no such group, and it is no dry run.
    """
    # An image that is not made by root has its files given away when it is packed.
    number = groups(layout).get(GROUP) if os.geteuid() == 0 else None
    if number is None and os.geteuid() == 0 and not dry:
        raise ServiceError(f"there is no group {GROUP}; make it with: systemd-sysusers")
    return number


def notify_udev(layout: Layout, changes: Changes) -> None:
    """Let udev, where it runs, apply the rules as they are now to a Coral that is plugged in."""
    if layout.offline or not (layout.root / "run/udev/control").exists():
        return
    changes.run("udevadm", "control", "--reload")
    for vendor in _CORAL_VENDORS:
        changes.run(
            "udevadm", "trigger", "--subsystem-match=usb", f"--attr-match=idVendor={vendor}"
        )


def _install_config(layout: Layout, changes: Changes, chosen: _Choice) -> bool:
    """The configuration, unless the user has edited the one that is there; whether it changed."""
    path, beside = layout.config, layout.config.with_name("edgekit.toml.new")
    copy = layout.written_config
    # It may hold passwords. The service reads it, and reads it again; root alone reads the copy.
    private = Private(chosen.shown, group=config_group(layout, dry=changes.dry))
    alone = Private("", mode=0o600)
    if chosen.beside is not None:
        changes.write(beside, chosen.beside, private)
        changes.notify(f"keep {path}, which was edited; compare it with {beside}")
    if chosen.content is None:
        for file in (path, beside):
            changes.restrict(file, private)
        changes.restrict(copy, alone)
        return False
    content = chosen.content
    # What an earlier one was to be taken back for counts no more.
    changes.remove(layout.pending_config)
    changed = changes.write(path, content, private)
    if changed:
        changes.do(f"keep a copy as {copy}", lambda: durable.write(copy, content, alone.mode))
    changes.restrict(copy, alone)
    changes.remove(beside)
    return changed


def is_as_written(layout: Layout) -> bool:
    try:
        return layout.config.read_bytes() == layout.written_config.read_bytes()
    except OSError:
        return False


def _enable(layout: Layout, changes: Changes, units: bool) -> None:
    if units and not layout.offline:
        changes.run("systemctl", "daemon-reload")
    if not (layout.unit.parent / "multi-user.target.wants" / UNIT).is_symlink():
        root = [f"--root={layout.root}"] if layout.offline else []
        changes.run("systemctl", *root, "enable", UNIT)


def _start(layout: Layout, changes: Changes, *, restart: bool, reload: bool) -> None:
    """Start the service if it does not run, and wait until it answers frames.

    Raises:
        ServiceError: it does not.
    """
    # A dry run may take place where there is no systemd.
    state = None if changes.dry and changes.changed else observe(layout)
    running = state is not None and state.unit.active == "active" and state.is_well
    old = Outdated() if state is None else outdated(layout, state)
    if reload:
        # By what was written just now: that is no news.
        old = msgspec.structs.replace(old, configuration="")
    if old:
        changes.notify(str(old))
    restart |= bool(old.code)
    reload |= bool(old.configuration)
    if running and reload and not restart:
        changes.run("systemctl", "reload", UNIT)
        if not changes.dry:
            _await_reading(layout, state)
    if running and not restart:
        return
    started = False

    def start() -> None:
        nonlocal started
        started = systemctl.restart()

    changes.do("start the service, and wait for its first answer", start)
    if not started and not changes.dry:
        end = systemctl.show().end
        raise ServiceError(
            f"the service is installed, but does not start ({end}); see why with "
            "`edgekit service logs`"
        )


def _is_behind(layout: Layout) -> bool:
    """Whether the daemon has not read the configuration that is there, as it is to."""
    return bool(outdated(layout, observe(layout)).configuration)


def _await_reading(layout: Layout, before: ServiceState | None) -> None:
    """Wait for a while until the daemon has read its configuration; its status tells of the rest.

    Raises:
        ServiceError: systemd does not answer.
    """
    known = before.daemon.reloads if before and before.daemon else 0
    deadline = time.monotonic() + _READ_WITHIN
    while time.monotonic() < deadline:
        daemon = observe(layout).daemon
        if daemon is None or daemon.reloads > known:
            return
        time.sleep(POLL)
