"""Who may see the page: everybody on this machine, or whoever has the token.

Without a token the server is reachable from this machine alone, and then the Host header must name
it: otherwise any web page could reach it through a name of its own that resolves to 127.0.0.1 (DNS
rebinding). With a token, that name would have no cookie.
"""

import hashlib
import hmac
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgekit.report.page import theme
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks.http.limits import Limits, client_of
from edgekit_device.sinks.http.operation import BODY_LIMIT

_LOGIN_LIMIT = 4096
# Wrong tokens in a row before a client has to wait: people mistype.
_FREE_TRIES = 3
# Clients whose wrong tokens are remembered, and for how many seconds after the last.
_CLIENTS = 1024
_REMEMBERED = 600.0
_COOKIE_SECONDS = 90 * 24 * 3600
# For what is no page. `Connection: close` because a connection that idles between two requests
# would have to be watched for clients that never finish their second one.
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LOGIN_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
)
_ENTER = '<!doctype html><title>edgekit</title><p><a href="/">Go on</a>'


class Guesses:
    """Looks at the tokens that clients show, and after wrong ones makes each client wait.

    The wait grows with each wrong token, and is a client's own. A right token does not end it:
    of two behind one address, one could then guess for as long as the other is let in.

    Args:
        token: the right one.
        policy: how long to wait.
        refused: counts wrong tokens, and those not looked at.
        clock: seconds; the monotonic clock.
    """

    def __init__(
        self,
        token: str,
        policy: RetryPolicy,
        refused: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._policy = policy
        self._refused = refused
        self._clock = clock
        # By client: how many were wrong, and when the last was; in the order of the last.
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds until a token that this client shows is looked at."""
        count, last = self._wrong.get(client, (0, 0.0))
        return max(0.0, last + self._policy.delay(count - _FREE_TRIES) - self._clock())

    def is_right(self, client: str, shown: str) -> bool:
        """Whether a token is right; False while the client has to wait, whatever it shows."""
        if self.wait(client):
            self._refused["token-pause"] += 1
            return False
        if _equal(shown, self._token):
            return True
        now = self._clock()
        count, last = self._wrong.pop(client, (0, now))
        self._wrong[client] = (count + 1 if now - last < _REMEMBERED else 1), now
        if len(self._wrong) > _CLIENTS:
            self._wrong.popitem(last=False)
        self._refused["wrong-token"] += 1
        return False


class Access:
    """Lets requests through to an application, or refuses them.

    `/healthz` is let through without the token too; `scope["known"]` says whether there was one.

    Args:
        app: the application.
        token: what clients must show; None for those on this machine, which need none.
        port: where it listens; browsers do not tell ports apart when they send cookies.
        limits: what is too much.
        refused: counts what was not given, by reason.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str | None,
        port: int,
        limits: Limits,
        refused: Counter[str],
    ) -> None:
        self._app = app
        self._header_bytes = limits.header_bytes
        self._guesses = None if token is None else Guesses(token, limits.wrong_token, refused)
        self._cookie = f"edgekit-{port}"
        # Not the token itself: it may hold characters that a cookie may not. Nobody guesses this
        # one, so it is looked at whatever else a client's address has shown.
        self._session = hmac.new((token or "").encode(), b"page", hashlib.sha256).hexdigest()
        form = Path(__file__).with_name("page").joinpath("login.html").read_text("utf-8")
        self._login = form.replace("{{theme}}", theme())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        scope["known"] = self._guesses is None
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """None to let it through."""
        # Not `request.url`, which fails on a Host header that is no host.
        path = request.scope["path"]
        # What came in one piece was never looked at for its length.
        if _header_bytes(request) > self._header_bytes:
            return PlainTextResponse("The header is too long.\n", 431)
        if path != "/login" and (problem := _wrong_body(request)):
            return PlainTextResponse(problem, 413)
        if self._guesses is None:
            if _is_this_machine(request.headers.get("host", "")):
                return None
            text = "Ask for this page as localhost or 127.0.0.1; for other names, set a token.\n"
            return PlainTextResponse(text, 403)
        client = client_of(request.scope["client"])
        wait = math.ceil(self._guesses.wait(client))
        if path == "/login":
            return await self._log_in(request, self._guesses, client, wait)
        if path == "/" and (shown := request.query_params.get("token")) is not None:
            # A redirect would keep the browser from sending the cookie, which is for this site
            # alone, when the link was followed from another site. This page's own step does not.
            if self._guesses.is_right(client, shown):
                return self._enter(HTMLResponse(_ENTER, headers={"Refresh": "0; url=/"}))
            return self._refuse_token(wait)
        bearer = _bearer(request)
        request.scope["known"] = _equal(request.cookies.get(self._cookie, ""), self._session) or (
            bearer is not None and self._guesses.is_right(client, bearer)
        )
        if request.scope["known"] or path == "/healthz":
            return None
        if bearer is not None and wait:
            return PlainTextResponse(_wait_text(wait), 429, headers={"Retry-After": str(wait)})
        if path == "/":
            return self._form("")
        return PlainTextResponse(
            "Show the token, as: Authorization: Bearer TOKEN\n",
            401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    async def _log_in(self, request: Request, guesses: Guesses, client: str, wait: int) -> Response:
        if request.method != "POST":
            return PlainTextResponse("POST only.\n", 405, headers={"Allow": "POST"})
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LOGIN_LIMIT:
                    return PlainTextResponse("Too long.\n", 413)
        except ClientDisconnect:
            return Response(status_code=400)
        shown = parse_qs(body.decode("latin-1")).get("token", [""])[0]
        if guesses.is_right(client, shown.strip()):
            return self._enter(RedirectResponse("/", 303))
        return self._refuse_token(wait)

    def _refuse_token(self, wait: int) -> Response:
        if wait:
            return self._form(_wait_text(wait), 429, {"Retry-After": str(wait)})
        return self._form("That token is not the right one.")

    def _enter(self, response: Response) -> Response:
        response.set_cookie(
            self._cookie, self._session, _COOKIE_SECONDS, httponly=True, samesite="strict"
        )
        return response

    def _form(
        self, problem: str, status: int = 401, headers: Mapping[str, str] | None = None
    ) -> Response:
        headers = headers or {"WWW-Authenticate": "Bearer"}
        return HTMLResponse(
            self._login.replace("{{problem}}", problem),
            status,
            headers={"Content-Security-Policy": _LOGIN_POLICY, **headers},
        )


def _equal(shown: str, secret: str) -> bool:
    return hmac.compare_digest(shown.encode(), secret.encode())


def _bearer(request: Request) -> str | None:
    """The token in the Authorization header, if there is one."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else None


def _header_bytes(request: Request) -> int:
    scope = request.scope
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["raw_path"]) + len(scope["query_string"])


def _wrong_body(request: Request) -> str | None:
    """Why what is sent along is too much; what comes in pieces is counted as it is read."""
    length = request.headers.get("content-length", "0")
    if request.method != "POST":
        has_body = length != "0" or "transfer-encoding" in request.headers
        return "A request here has no body.\n" if has_body else None
    # uvicorn takes no other than a number; one of many digits is not to be converted.
    too_long = len(length) > 9 or int(length) > BODY_LIMIT
    return f"More than {BODY_LIMIT} bytes.\n" if too_long else None


def _wait_text(seconds: int) -> str:
    return f"Too many wrong tokens came from your address: wait {seconds} s, and show it again.\n"


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine, as only this machine itself can."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.removeprefix("[").removesuffix("]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
