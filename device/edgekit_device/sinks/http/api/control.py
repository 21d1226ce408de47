"""`/api/control`: what the daemon can be asked for, and asking for it."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from edgekit_device.control import ACTIONS, Controller, Name, Outcome, RecordingNow
from edgekit_device.installed import InstalledModel, installed_models
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer, json_body

OFF = "control is off: set `http = true` in [control]"
# By why nobody tried; what was tried and failed is a 409.
_STATUS = {"off": 403, "wrong": 422, "often": 429}


class Available(msgspec.Struct, frozen=True):
    """Something that the daemon can be asked for.

    Attributes:
        name: of the action, in the address.
        title: for people.
        available: whether it is possible now, as far as that is known.
        why_not: why it is not.
    """

    name: str
    title: str
    available: bool
    why_not: str | None = None


class ControlState(msgspec.Struct, frozen=True):
    """What can be asked for now.

    Attributes:
        http: whether control is on.
        paused: whether the daemon is paused, or about to be.
        recording: the clip in progress.
        recorded: what became of the last clip, in words; empty before.
        actions: all there are.
        models: those that are installed.
    """

    http: bool
    paused: bool
    recording: RecordingNow | None
    recorded: str
    actions: list[Available]
    models: list[InstalledModel]


def control(controller: Controller | None, on: bool) -> Callable[[Feed], Iterable[Operation]]:
    """The operations.

    Args:
        controller: does what is asked for.
        on: whether it may be asked.
    """

    async def state(request: Request) -> Response:
        return json_answer(_state(controller, on))

    async def perform(name: Name, request: Request) -> Response:
        client = request.scope["client"]
        asked_by = f"{client[0] if client else 'somebody'} over HTTP"
        if controller is None or not on:
            outcome = Outcome(False, OFF, "off")
            if controller is not None:
                outcome = controller.refuse(name, asked_by, "off", OFF)
        else:
            try:
                arguments = await json_body(request, dict)
            except HTTPException as error:
                controller.refuse(name, asked_by, "wrong", error.detail)
                raise
            # A model is tried for a while: what is asked for is whole, and is to be answered.
            request.scope["state"]["connection"].stop_clock()
            outcome = await _in_a_thread(partial(controller.perform, name, arguments, asked_by))
        status = 200 if outcome.done else _STATUS.get(outcome.refused or "", 409)
        return json_answer(outcome, status)

    def operations(feed: Feed) -> Iterable[Operation]:
        yield Operation(
            "GET", "/api/control", state, "What can be asked for now.",
            {200: Answer("What can be asked for.", ControlState)},
        )  # fmt: skip
        for name, action in ACTIONS.items():
            yield Operation(
                "POST", f"/api/control/{name}", partial(perform, name), action.text,
                {
                    200: Answer("It was done.", Outcome),
                    403: Answer("Control is off, or another site asks.", Outcome),
                    409: Answer("It was not possible.", Outcome),
                    422: Answer("It takes other arguments.", Outcome),
                    429: Answer("It was asked for too often.", Outcome),
                },
                body=action.arguments,
            )  # fmt: skip

    return operations


def _state(controller: Controller | None, on: bool) -> ControlState:
    nobody = "nothing can be asked of this program"
    return ControlState(
        http=on,
        paused=controller is not None and controller.paused,
        recording=controller.recording if controller else None,
        recorded=controller.recorded if controller else "",
        actions=[
            Available(name, action.title, why_not is None, why_not)
            for name, action in ACTIONS.items()
            for why_not in [nobody if controller is None else controller.obstacle(name)]
        ],
        models=installed_models(),
    )


async def _in_a_thread(function: Callable[[], Outcome]) -> Outcome:
    """Call what takes its time in a thread that does not keep the process alive."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Outcome] = loop.create_future()

    def settle(outcome: Outcome) -> None:
        if not future.done():  # the client may have gone
            future.set_result(outcome)

    def work() -> None:
        outcome = function()
        # The server may have ended meanwhile: a reload can exchange it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=work, name="control", daemon=True).start()
    return await future
