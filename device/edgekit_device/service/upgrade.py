"""Exchange the model of a running service, and go back by itself when the new one is no good."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgekit.errors import ModelFileError, ServiceError, UpgradeError
from edgekit_device.config.file import load
from edgekit_device.installed import list_models
from edgekit_device.service import systemctl
from edgekit_device.service.durable import locked
from edgekit_device.service.layout import Layout
from edgekit_device.service.outdated import outdated
from edgekit_device.service.probation import Probation, watch
from edgekit_device.service.signed import approve
from edgekit_device.service.state import ServiceState, observe
from edgekit_device.service.status import PAUSED, SILENT
from edgekit_device.service.store import Store
from edgekit_device.service.verify import Model
from edgekit_device.trial import read_model_bytes

AT_WORK = "another change of the models is at work; wait for its end"


def upgrade(
    layout: Layout, model: Model, notify: Callable[[str], None], *, afresh: bool = False
) -> None:
    """Let the service run another model.

    Args:
        layout: where things lie.
        model: the model, whose very bytes are checked and stored.
        notify: is told in a line what happens.
        afresh: start the service afresh in any case, because its unit has changed.

    Raises:
        ModelFileError: the model is no good, or not signed by whom it has to be; nothing was
            changed.
        UpgradeError: it did not pass its probation, and was taken back.
        ServiceError: there is no service, or it cannot be changed.
    """
    _change(layout, lambda store: model, notify, afresh=afresh)


def use(layout: Layout, wanted: str, notify: Callable[[str], None]) -> None:
    """Let the service run an installed model, with the care of an upgrade.

    Args:
        layout: where things lie.
        wanted: the model's name, or its hash.
        notify: is told in a line what happens.

    Raises:
        ServiceError: no such model is installed.
        ModelFileError, UpgradeError, ServiceError: see `upgrade`.
    """

    def choose(store: Store) -> Model:
        for model in list_models(store.folder):
            if wanted in (model.name, model.sha256):
                return _stored(store, model.sha256, f"model {model.name}")
        raise ServiceError(
            f"no model {wanted} is installed; `edgekit service models` lists those that are"
        )

    _change(layout, choose, notify)


def roll_back(layout: Layout, notify: Callable[[str], None]) -> None:
    """Let the service run the model that ran before, with the care of an upgrade.

    Raises:
        ServiceError: no other model ran before.
        ModelFileError, UpgradeError, ServiceError: see `upgrade`.
    """

    def choose(store: Store) -> Model:
        if store.before in (None, store.current):
            raise ServiceError(
                "no other model ran before: there is none to go back to; `edgekit service models` "
                "lists those that are installed"
            )
        return _stored(store, str(store.before), "the model before")

    _change(layout, choose, notify)


def _stored(store: Store, sha256: str, called: str) -> Model:
    """A model that is stored, read once more.

    Raises:
        ModelFileError: it is gone, or damaged.
    """
    model = Model(called, read_model_bytes(store.path(sha256)))
    if model.sha256 != sha256:
        raise ModelFileError(
            f"{called} is damaged on the disk; bring it again with `edgekit service upgrade FILE`"
        )
    return model


def _change(
    layout: Layout,
    choose: Callable[[Store], Model],
    notify: Callable[[str], None],
    *,
    afresh: bool = False,
) -> None:
    """Let the service run another model, which is chosen when nobody else can change the store."""
    if not layout.unit.is_file():
        raise ServiceError("no service is installed here; edgekit service install --model FILE")
    settings = load(layout.config, {})
    with locked(layout.lock) as ours, undisturbed():
        if not ours:
            raise ServiceError(AT_WORK)
        store = Store(layout.state)
        model = choose(store)
        measured = approve(model, settings, layout.root)
        sha256 = model.sha256
        if measured:
            notify(f"runtime {measured.chosen}: {measured}")
        state = observe(layout)
        if state.is_silent and not afresh:
            raise ServiceError(SILENT)
        if state.is_paused:
            raise ServiceError(PAUSED)
        if store.current == sha256 and store.pending is None and not afresh:
            if not state.answers:
                raise ServiceError(
                    f"model {sha256[:12]} is in place already, but the service does not run; "
                    "see why with `edgekit service logs`"
                )
            notify(f"model {sha256[:12]} is in use already; nothing was changed")
            return
        # The model was tried with the code that is installed: with that it is judged, too.
        old = outdated(layout, state)
        for text, remedy in old.remedies:
            # A configuration that was not read is left so, where nobody wants it read: with two
            # changes at once, nobody would know which of them a failure is of.
            notify(text if afresh or text == old.code else f"{text}; {remedy}")
        afresh |= bool(old.code)
        if store.current is None:
            raise ServiceError("there is no model to go back to; edgekit service install")
        store.add(model.content, measured)
        # Before the switch: what the service says of the new model must show as news.
        before = observe(layout)
        store.begin(sha256)
        _Trial(layout, store, Probation.of(settings), notify).run(sha256, before, afresh)


@dataclass(frozen=True)
class _Trial:
    """A model that `store` has begun with is tried by the service."""

    layout: Layout
    store: Store
    probation: Probation
    notify: Callable[[str], None]

    def run(self, sha256: str, before: ServiceState, afresh: bool) -> None:
        """Keep the model if it passes its probation, else go back to the one before."""
        store = self.store
        pending = store.pending
        assert pending is not None
        try:
            reason = None
            if afresh or not before.answers:
                self.notify(f"starting the service with model {sha256[:12]}")
                if not systemctl.restart():
                    reason = f"the service does not start with it ({systemctl.show().end})"
                before = observe(self.layout)
            else:
                self.notify(f"the service changes to model {sha256[:12]}")
            reason = reason or watch(self.layout, sha256, before, self.probation)
        except BaseException:
            store.roll_back()
            raise
        if reason is None:
            store.confirm()
            self.notify(f"model {sha256[:12]} answers; the one before is kept: {pending.old[:12]}")
            return
        store.roll_back()
        trouble = self._recover(pending.old)
        raise UpgradeError(
            f"model {sha256[:12]} was rolled back: {reason}; model {pending.old[:12]} "
            + ("runs again" if trouble is None else f"is back, but: {trouble}")
        )

    def _recover(self, old: str) -> str | None:
        """Bring the service back with the model before; what stands in the way, or None."""
        at_once = Probation(noticed=0.0, timeout=self.probation.timeout)
        # The daemon, if one lives, changes back by itself, unless it hangs.
        if watch(self.layout, old, observe(self.layout), at_once) is None:
            return None
        if observe(self.layout).is_paused:
            # It uses the model when it is resumed, and must not answer until then.
            return None
        if not systemctl.restart():
            return f"the service does not start ({systemctl.show().end})"
        return watch(self.layout, old, observe(self.layout), at_once)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Go on when the terminal or the ssh connection that it was started from is gone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
