"""Exchange the configuration of the service, and go back by itself when it is no good.

The daemon's own reading is the trial: it says what it cannot do with a configuration, and goes on
as before. What is brought may come from somebody who is not root (`edgekit push`), so root opens no
file that it names.
"""

import contextlib
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import ConfigurationError, EdgekitError, ServiceError, UpgradeError
from edgekit.files import decode_json, read_bounded, read_file
from edgekit.settings import LONGEST_FILE
from edgekit_device.config.file import parse
from edgekit_device.config.secrets import remark_on_password
from edgekit_device.config.settings import Settings
from edgekit_device.service import durable, environment, systemctl
from edgekit_device.service.durable import locked
from edgekit_device.service.install import config_group
from edgekit_device.service.layout import UNIT, Layout
from edgekit_device.service.outdated import outdated
from edgekit_device.service.probation import POLL, Probation
from edgekit_device.service.state import ServiceState, observe
from edgekit_device.service.status import PAUSED, SILENT
from edgekit_device.service.store import note_rollback
from edgekit_device.service.upgrade import AT_WORK, undisturbed
from edgekit_device.service.verify import STANDARD_INPUT

# Seconds for a broker, a camera or a page to work with new settings.
PATIENCE = 30.0
# Keys that root's installation alone sets: files that root reads when a model comes; and where
# signatures are demanded, the library through which a model answers.
_KEPT, _SIGNED = ("allowed_signers", "labels"), ("delegate",)
_OF_CONFIGURATION = {"configuration", "source", "decision"}
_MODE, _ALONE = 0o640, 0o600


class Pending(msgspec.Struct, frozen=True):
    """A configuration on probation.

    Attributes:
        new: hash of what was brought; if something else is there, somebody has edited it since.
        old: what to go back to.
    """

    new: str
    old: bytes


def configure(layout: Layout, path: Path, notify: Callable[[str], None]) -> None:
    """Let the service follow another configuration.

    Args:
        layout: where things lie.
        path: of the configuration; `-` for standard input.
        notify: is told in a line what happens.

    Raises:
        ConfigurationError: it is wrong; nothing was changed.
        UpgradeError: the service does not come to health with it; the one before is back.
        ServiceError: there is no service, or it cannot be changed.
    """
    name, content = _read(path)
    settings = parse(name, content)
    check(settings)
    if remark := remark_on_password(settings.source):
        notify(remark)
    if not layout.unit.is_file():
        raise ServiceError("no service is installed here; edgekit service install --model FILE")
    with locked(layout.lock) as ours, undisturbed():
        if not ours:
            raise ServiceError(AT_WORK)
        if told := settle(layout):
            notify(told)
        before = observe(layout)
        if before.is_silent:
            raise ServiceError(SILENT)
        if before.is_paused:
            raise ServiceError(PAUSED)
        if behind := outdated(layout, before):
            notify(str(behind))
        old = _present(layout)
        _check_kept(layout, old, settings)
        _Trial(layout, Probation.of(settings), notify).run(content, old, before)


def check(settings: Settings) -> None:
    """Refuse a configuration with which no service can start, whatever the device.

    Raises:
        ConfigurationError, ServiceError: why not.
    """
    if settings.source is None:
        raise ConfigurationError('the configuration has no source; set source = "picamera2:", say')
    environment.check_visible(settings)
    environment.check_history(settings)


def settle(layout: Layout) -> str | None:
    """Take a configuration back whose probation was cut short, by a power cut say.

    Returns:
        What was changed, in words; None when nothing was.
    """
    try:
        pending = decode_json(read_bounded(layout.pending_config, 2 * LONGEST_FILE), Pending)
    except (OSError, ValueError):
        durable.remove(layout.pending_config)
        return None
    edited = hashlib.sha256(_present(layout)).hexdigest() != pending.new
    if not edited:
        _write(layout, pending.old)
    durable.remove(layout.pending_config)
    if not edited:
        note_rollback(layout.rolled_back_configs)
    return None if edited else "a change of the configuration was cut short; back to the one before"


@dataclass(frozen=True)
class _Trial:
    """A configuration is put in place and watched."""

    layout: Layout
    probation: Probation
    notify: Callable[[str], None]

    def run(self, content: bytes, old: bytes, before: ServiceState) -> None:
        """Keep the configuration if the service does well with it, else go back."""
        layout = self.layout
        sha256 = hashlib.sha256(content).hexdigest()
        if content == old:
            if reason := self._apply(before):
                raise ServiceError(
                    f"configuration {sha256[:12]} is in place already, but {reason}; nothing was "
                    "changed"
                )
            self.notify(f"configuration {sha256[:12]} is in place already, and works")
            return
        pending = msgspec.json.encode(Pending(sha256, old))
        durable.write(layout.pending_config, pending, _ALONE)
        try:
            _write(layout, content)
            reason = self._apply(before)
        except BaseException:
            self._take_back(old)
            with contextlib.suppress(EdgekitError):
                systemctl.call("reload", UNIT)
            raise
        if reason is None:
            durable.write(layout.previous_config, old, _MODE, config_group(layout))
            durable.write(layout.written_config, content, _ALONE)
            durable.remove(layout.pending_config)
            self.notify(
                f"configuration {sha256[:12]} works; the one before is kept: "
                f"{layout.previous_config}"
            )
            return
        self._take_back(old)
        trouble = self._recover()
        raise UpgradeError(
            f"configuration {sha256[:12]} was taken back: {reason}; the one before "
            + ("works again" if trouble is None else f"is back, but {trouble}")
        )

    def _take_back(self, old: bytes) -> None:
        _write(self.layout, old)
        durable.remove(self.layout.pending_config)
        note_rollback(self.layout.rolled_back_configs)

    def _apply(self, before: ServiceState) -> str | None:
        """Let the service read what is there; why it does not do well with it, or None."""
        if not before.answers:
            return self._restart()
        if outdated(self.layout, before).code:
            # It may know other keys than the edgekit that has checked them.
            return self._restart(before)
        self.notify("the service reads its configuration again")
        done = systemctl.call("reload", UNIT, timeout=systemctl.START_TIMEOUT)
        if done.returncode:
            return "systemd does not let the service read it"
        return self._watch(before, self.probation)

    def _recover(self) -> str | None:
        """Bring the service back with the configuration before; what stands in the way, or None."""
        before = observe(self.layout)
        at_once = Probation(0.0, self.probation.timeout)
        heard = before.is_well and not systemctl.call("reload", UNIT).returncode
        # One that is paused must not answer until it is resumed. The problems that the service has
        # now are those of the configuration that is gone.
        if heard and (before.is_paused or self._watch(before, at_once) is None):
            return None
        return self._restart()

    def _restart(self, earlier: ServiceState | None = None) -> str | None:
        """Start the service with what is there; what it said `earlier` is no news."""
        self.notify("the service is started")
        if not systemctl.restart():
            return f"the service does not start ({systemctl.show().end})"
        started = observe(self.layout)
        if earlier is not None:
            started = msgspec.structs.replace(started, daemon=earlier.daemon)
        return self._watch(started, self.probation, read=True)

    def _watch(
        self, before: ServiceState, probation: Probation, *, read: bool = False
    ) -> str | None:
        """Watch the service until it has done well for a while; why it does not, or None.

        Args:
            before: the service when it was told to read its configuration.
            probation: for how long it has to do well.
            read: whether it has read it already, because it was started with it.
        """
        well: float | None = None
        ill: float | None = None
        deadline = time.monotonic() + probation.timeout
        while True:
            state, now = observe(self.layout), time.monotonic()
            unit, daemon = state.unit, state.daemon
            if not unit.pid or unit.pid != before.unit.pid:
                return f"the service ended with it ({unit.end})"
            if state.is_paused:
                return "the service was paused while it was tried"
            known = before.daemon.reloads if before.daemon else 0
            fault: str | None = None
            if not (read or (daemon and daemon.reloads > known)):
                fault = "the service did not read it; restart it once: systemctl restart edgekit"
            else:
                fault = _fault(state, before)
            if fault is None:
                well, ill = well if well is not None else now, None
                fed = unit.fed - well if unit.fed else None
                if probation.passed(now - well, fed):
                    return None
            else:
                well, ill = None, ill if ill is not None else now
                if now - ill >= PATIENCE:
                    return fault
            if now > deadline:
                return fault or f"it did not do well for long enough in {probation.timeout:g} s"
            time.sleep(POLL)


def _fault(state: ServiceState, before: ServiceState) -> str | None:
    """What is wrong with the service that was not before; None for nothing."""
    problems = dict(state.daemon.problems) if state.daemon else {}
    earlier = before.daemon.problems if before.daemon else {}
    # Those say what was made of the configuration read last; the board knows nothing of it.
    known = (earlier.keys() - _OF_CONFIGURATION) | {"board"}
    new = [f"{part}: {text}" for part, text in problems.items() if part not in known]
    if new:
        return f"the service has a problem that it had not: {' · '.join(new)}"
    if not state.answers:
        return f"the service is {state.health.state if state.health else 'silent'}"
    return None


def _read(path: Path) -> tuple[Path, bytes]:
    if path != STANDARD_INPUT:
        return path, read_file(path, ConfigurationError, "configuration", LONGEST_FILE)
    name = Path("the configuration on standard input")
    content = sys.stdin.buffer.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ConfigurationError(f"{name} is larger than {LONGEST_FILE >> 20} MiB")
    return name, content


def _present(layout: Layout) -> bytes:
    try:
        return read_bounded(layout.config, LONGEST_FILE, follow=True)
    except OSError as error:
        raise ServiceError(
            f"cannot read {layout.config}, to which to go back: {error.strerror}; install one with "
            "`edgekit service install --model FILE --config FILE`"
        ) from error


def _write(layout: Layout, content: bytes) -> None:
    # It may hold passwords: as `install` writes it.
    durable.write(layout.config, content, _MODE, config_group(layout))


def _check_kept(layout: Layout, old: bytes, settings: Settings) -> None:
    """Refuse what would let other models run, or answer otherwise, than the device allows.

    Raises:
        ServiceError: it would.
        ConfigurationError: what the device allows is not known, because its configuration is wrong.
    """
    try:
        installed = parse(layout.config, old)
    except ConfigurationError:
        if b"allowed-signers" in old:
            raise
        installed = Settings()
    for key in (*_KEPT, *(_SIGNED if installed.allowed_signers else ())):
        there = getattr(installed, key)
        if getattr(settings, key) != there:
            name, shown = key.replace("_", "-"), "not set" if there is None else f'"{there}"'
            raise ServiceError(
                f"{name} is {shown} on the device, and decides which models run there and what "
                "they say: leave it so in the configuration, or set it on the device itself"
            )
