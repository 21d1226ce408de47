"""Who may see the page: everybody on this machine, or whoever has the token.

Without a token the server is reachable from this machine alone, and then the Host header must name
it: otherwise any web page could reach it through a name of its own that resolves to 127.0.0.1 (DNS
rebinding). With a token, that name would have no cookie.
"""

import hashlib
import hmac
import ipaddress
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgekit.report.page import theme

_LOGIN_LIMIT = 4096
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


class Access:
    """Lets requests through to an application, or refuses them.

    `/healthz` is let through without the token too; `scope["known"]` says whether there was one.

    Args:
        app: the application.
        token: what clients must show; None for those on this machine, which need none.
        port: where it listens; browsers do not tell ports apart when they send cookies.
    """

    def __init__(self, app: ASGIApp, token: str | None, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = f"edgekit-{port}"
        # Not the token itself: it may hold characters that a cookie may not.
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
        scope["known"] = self._is_known(request)
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """None to let it through."""
        if self._token is None:
            if _is_this_machine(request.headers.get("host", "")):
                return None
            text = "Ask for this page as localhost or 127.0.0.1; for other names, set a token.\n"
            return PlainTextResponse(text, 403)
        path = request.scope["path"]
        if path == "/login":
            return await self._log_in(request)
        if path == "/" and (shown := request.query_params.get("token")) is not None:
            # A redirect would keep the browser from sending the cookie, which is for this site
            # alone, when the link was followed from another site. This page's own step does not.
            if _equal(shown, self._token):
                return self._enter(HTMLResponse(_ENTER, headers={"Refresh": "0; url=/"}))
            return self._form("That token is not the right one.")
        if request.scope["known"] or path == "/healthz":
            return None
        if path == "/":
            return self._form("")
        return PlainTextResponse(
            "Show the token, as: Authorization: Bearer TOKEN\n",
            401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _is_known(self, request: Request) -> bool:
        if self._token is None:
            return True
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _equal(shown.strip(), self._token):
            return True
        return _equal(request.cookies.get(self._cookie, ""), self._session)

    async def _log_in(self, request: Request) -> Response:
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
        if _equal(shown.strip(), self._token or ""):
            return self._enter(RedirectResponse("/", 303))
        return self._form("That token is not the right one.")

    def _enter(self, response: Response) -> Response:
        response.set_cookie(
            self._cookie, self._session, _COOKIE_SECONDS, httponly=True, samesite="strict"
        )
        return response

    def _form(self, problem: str) -> Response:
        return HTMLResponse(
            self._login.replace("{{problem}}", problem),
            401,
            headers={"Content-Security-Policy": _LOGIN_POLICY, "WWW-Authenticate": "Bearer"},
        )


def _equal(shown: str, secret: str) -> bool:
    return hmac.compare_digest(shown.encode(), secret.encode())


def _is_this_machine(host: str) -> bool:
    """Whether a Host header names this machine, as only this machine itself can."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.removeprefix("[").removesuffix("]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
