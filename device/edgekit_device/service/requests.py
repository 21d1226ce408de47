"""What the daemon asks root for: read with suspicion, and done with the care of an upgrade.

The daemon's account owns the folder where requests lie, and may be in the hands of anybody who
found a fault in what reads frames. All it can get is one of the models that root has installed, a
few times an hour; where the configuration has no control switched on, not even that.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from edgekit.errors import EdgekitError, ServiceError
from edgekit.files import read_bounded
from edgekit_device.config.file import load
from edgekit_device.config.settings import Settings
from edgekit_device.health import shown
from edgekit_device.installed import ANSWER_FILE, REQUEST_FILE, REQUEST_LIMIT, Answer, Request
from edgekit_device.service import durable, systemctl
from edgekit_device.service.layout import CONTROL_PATH, Layout
from edgekit_device.service.recent import Recent
from edgekit_device.service.upgrade import roll_back, use

CHANGES_FILE = "changes"
# Changes within an hour: a hand on the page needs some, a day and a night two.
MOST = 20
# Seconds for which a request is held when it is answered: a flood of them takes little of the
# processor, and stays below the unit's limit of starts.
HOLD = 4.0


def watch_requests(layout: Layout, notify: Callable[[str], None]) -> None:
    """Let systemd wait for requests where the configuration has control, and only there.

    Raises:
        ServiceError: systemd does not answer.
    """
    try:
        wanted = _has_control(load(layout.config, {}))
    except EdgekitError:
        wanted = False
    # Without waiting: this is asked for in the middle of the service's own start.
    done = systemctl.call("start" if wanted else "stop", "--no-block", CONTROL_PATH)
    if wanted and done.returncode:
        notify(
            f"models cannot be chosen by clients: {CONTROL_PATH} does not start; repeat `edgekit "
            "service install --model FILE`"
        )


def apply_request(layout: Layout, notify: Callable[[str], None]) -> None:
    """Do what the daemon asks for, if it may, and leave an answer."""
    path = layout.runtime / REQUEST_FILE
    request = _take(path, notify)
    if request is not None:
        _answer(layout, Answer(request.id, "working"))
        state, message = _perform(layout, request, notify)
        _answer(layout, Answer(request.id, state, message))
        if state == "failed":
            notify(f"not done: {message}")
    time.sleep(HOLD)


def _take(path: Path, notify: Callable[[str], None]) -> Request | None:
    """The request, which is gone then; None where there is none, or none of the daemon's."""
    request = None
    try:
        request = msgspec.json.decode(read_bounded(path, REQUEST_LIMIT), type=Request)
    except FileNotFoundError:
        return None
    # Nothing of what it holds is repeated: it could be a file that is no business of the daemon's.
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        notify("a request of the daemon cannot be understood, and is dropped")
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # A folder, say, which systemd would find again and again.
        systemctl.call("stop", "--no-block", CONTROL_PATH)
        notify(f"{path} cannot be removed ({error.strerror}): requests are ignored until a restart")
        return None
    return request


def _perform(
    layout: Layout, request: Request, notify: Callable[[str], None]
) -> tuple[Literal["done", "failed"], str]:
    """How it went, and what to say of it."""
    said: list[str] = []

    def tell(text: str) -> None:
        said.append(text)
        notify(text)

    wanted = f"model {request.sha256[:12]}" if request.sha256 else "the model before"
    notify(f"{shown(request.asked_by) or 'somebody'} wants {wanted}, says the daemon")
    try:
        _check(layout, request)
        if request.sha256 is None:
            roll_back(layout, tell)
        else:
            use(layout, request.sha256, tell)
    except EdgekitError as error:
        return "failed", shown(str(error))
    except BaseException:
        with contextlib.suppress(EdgekitError):
            _answer(layout, Answer(request.id, "failed", "it was interrupted; see the journal"))
        raise
    return "done", shown(said[-1])


def _check(layout: Layout, request: Request) -> None:
    """Raise ServiceError unless it may be done."""
    if (request.kind == "model") != (request.sha256 is not None):
        raise ServiceError("it does not say which model")
    if not _has_control(load(layout.config, {})):
        raise ServiceError(
            "control is off in the configuration; set http or mqtt in [control], then sudo "
            "systemctl reload edgekit"
        )
    changes = Recent(layout.answers / CHANGES_FILE)
    if len(changes.times) >= MOST:
        raise ServiceError(
            f"the model was changed {MOST} times within the hour; wait, or change it on the device "
            "with `edgekit service use NAME`"
        )
    changes.note()


def _has_control(settings: Settings) -> bool:
    return settings.control.http or settings.control.mqtt


def _answer(layout: Layout, answer: Answer) -> None:
    durable.write(layout.answers / ANSWER_FILE, msgspec.json.encode(answer))
