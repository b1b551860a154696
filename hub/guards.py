"""What stands before every request, page or API: limits, who may ask from where, strict headers, a net for faults."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.errors import Forbidden, TooLarge
from hub.logs import get_logger

log = get_logger(__name__)

LARGEST_BODY = 64 * 1024
# Files in base64, and the rest of the message.
LARGER_BODIES = {"/api/v1/messages": 14 * 1024 * 1024 + LARGEST_BODY, "/webhooks/sns": 1024 * 1024}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What stands behind these in an address opens something, and is nothing for a log.
HOLDS_A_TOKEN = ("/u/", "/p/", "/v/", "/webhooks/unifonic/")

CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# What a mail looks like to who gets it: alone in a frame of a page of ours, in an origin of its own, running nothing.
# Its links open elsewhere, as from any mail.
MAIL_SECURITY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
# What a page's own policy may add to the strict one: inline styles that are these very ones.
STYLES = "style-src-attr 'unsafe-hashes' "
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Patients' links end up where robots read.
    "X-Robots-Tag": "noindex, nofollow",
}
# What proves by itself who asks, and uses no cookie: vendors' signatures, and the signed token of an unsubscribe link,
# which servers of mailbox providers post to.
PROVED_OTHERWISE = ("/webhooks/", "/u/")
# What a bell on another application's page asks for, always by a live token.
GUESTS_ASK = ("/live/", "/api/v1/notifications")
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

Refuse = Callable[[Request, Exception], Awaitable[Response]]


def security_with(styles: Iterable[str]) -> str:
    """The policy of a page with a mail in a frame, which inherits it: the mail's styles are let in, and no others."""
    hashes = {base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles}
    return f"{CONTENT_SECURITY}; {STYLES}" + " ".join(f"'sha256-{each}'" for each in sorted(hashes))


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
                own = headers.get("Content-Security-Policy", "")
                for name, value in self._headers.items():
                    headers[name] = value
                if own == MAIL_SECURITY or own.startswith(f"{CONTENT_SECURITY}; {STYLES}"):
                    headers["Content-Security-Policy"] = own
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
        except ClientDisconnect:
            # Whoever asked has left before they had said it all: nobody is there to be answered.
            return None
        except Exception as error:
            log.exception("fault", path=_for_a_log(scope.get("path", "")), kind=scope["type"])
            if scope["type"] == "http" and not started:
                response = await self._refuse(Request(scope), error)
                await response(scope, receive, send)
        return None


def _for_a_log(path: str) -> str:
    return next((f"{start}…" for start in HOLDS_A_TOKEN if path.startswith(start)), path)


class LimitedBodies:
    """Refuses a body above 64 KiB, or above what its address takes, whether its length was declared or not."""

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a body that is not too large."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        largest = LARGER_BODIES.get(scope["path"], LARGEST_BODY)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > largest:
            response = await self._refuse(Request(scope), _too_large(largest))
            return await response(scope, receive, send)
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > largest:
                raise _too_large(largest)
            return message

        return await self._app(scope, counted, send)


def _too_large(largest: int) -> TooLarge:
    return TooLarge(f"A request's body has at most {largest} bytes here.")


class OwnOrigin:
    """Refuses a changing request that a page of another origin made with the person's cookie.

    A caller with a key sends it in a header that a foreign page cannot send, so it is exempt; vendors
    sign, and so do we the links that are followed without a page of ours.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse, origins: frozenset[str]) -> None:
        self._app = app
        self._refuse = refuse
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is safe, keyed, proved by itself, or from our own pages."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            is_proved = self._has_key(headers) or scope["path"].startswith(PROVED_OTHERWISE)
            if not is_proved and not is_from_our_pages(headers, self._origins):
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


FOREIGN = "This request came from a page of another origin. Use the hub's own pages, or an API key."
