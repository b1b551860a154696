"""What stands before every request, page or API: limits, who may ask from where, strict headers, a net for faults."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.errors import Forbidden, TooLarge
from hub.logs import get_logger

log = get_logger(__name__)

LARGEST_BODY = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# What a bell on another application's page asks for, always by a live token.
GUESTS_ASK = ("/live/", "/api/v1/notifications")
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

Refuse = Callable[[Request, Exception], Awaitable[Response]]


class StrictHeaders:
    """Adds the headers that keep a page from reaching, or being reached by, anything off its origin."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        self._headers = HEADERS | (HTTPS_ONLY if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers added to the response."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return await self._app(scope, receive, send_with_headers)


class Faults:
    """Answers what nobody expected with a plain 500, and logs where it happened, never what it was about."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and catch."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            log.exception("fault", path=scope.get("path", ""), kind=scope["type"])
            if scope["type"] == "http" and not started:
                response = await self._refuse(Request(scope), error)
                await response(scope, receive, send)
        return None


class LimitedBodies:
    """Refuses a body above 64 KiB, whether its length was declared or not."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a body that is not too large."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > LARGEST_BODY:
            return await self._too_large(scope, receive, send)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LARGEST_BODY:
                raise TooLarge(TOO_LARGE)
            return message

        return await self._app(scope, counted, send)

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._refuse(Request(scope), TooLarge(TOO_LARGE))
        await response(scope, receive, send)


class OwnOrigin:
    """Refuses a changing request that a page of another origin made with the person's cookie.

    A caller with a key sends it in a header that a foreign page cannot send, so it is exempt.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse, origins: frozenset[str]) -> None:
        self._app = app
        self._refuse = refuse
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is safe, keyed, or from our own pages."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            if not self._has_key(headers) and not is_from_our_pages(headers, self._origins):
                response = await self._refuse(Request(scope), Forbidden(FOREIGN))
                return await response(scope, receive, send)
        return await self._app(scope, receive, send)

    def _has_key(self, headers: Headers) -> bool:
        # Any other scheme is one that browsers may send by themselves.
        return headers.get("authorization", "").lower().startswith("bearer ")


def is_from_our_pages(headers: Headers, origins: frozenset[str]) -> bool:
    """Whether the browser says that a page of one of these origins asks; no page can say that itself."""
    if origin := headers.get("origin"):
        return origin in origins
    # Browsers name no origin when a page reads from its own.
    return headers.get("sec-fetch-site") == "same-origin"


class Guests:
    """Lets pages of these origins ask what a bell asks, by token: their browsers let them use no cookie for it."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            # A hub stands in a clinic's own network; the application may not.
            allow_private_network=True,
            expose_headers=("Retry-After",),
        )
        self._any = bool(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the guests' headers where they may ask."""
        shared = self._any and scope["type"] == "http" and scope["path"].startswith(GUESTS_ASK)
        await (self._shared if shared else self._app)(scope, receive, send)


TOO_LARGE = f"A request's body has at most {LARGEST_BODY} bytes."
FOREIGN = "This request came from a page of another origin. Use the hub's own pages, or an API key."
