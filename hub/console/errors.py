"""A refusal as a page, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hub.api.problems import headers_of, problem_of
from hub.console.reader import SignInFirst, go, page_of, pages_of
from hub.errors import HubError


def error_page(request: Request, error: Exception) -> Response:
    """The page of a refusal; who is not signed in is led to the sign-in page and back."""
    if isinstance(error, SignInFirst) and request.headers.get("x-fragment") is None:
        wanted = str(request.url.replace(scheme="", netloc="")) if request.method == "GET" else ""
        return go(f"/sign-in?next={quote(wanted)}" if wanted else "/sign-in")
    problem = problem_of(error)
    page = page_of(request, getattr(request.state, "person", None))
    title, detail = in_words(pages_of(request).gettext(page.lang), error)
    problem |= {"title": title, "detail": detail}
    html = pages_of(request).render("error.html", page, problem=problem)
    return HTMLResponse(html, problem["status"], headers_of(error))


def in_words(_: Callable[[str], str], error: Exception) -> tuple[str, str]:
    """Title and explanation of a refusal for a reader."""
    code = error.code if isinstance(error, HubError) else ""
    if isinstance(error, HTTPException) and error.status_code == 404:
        code = "not-found"
    words = {
        "not-signed-in": (_("Sign in first"), _("Your session has ended. Sign in again to go on.")),
        "forbidden": (_("Not for your role"), _("Your role does not show this page. Ask an administrator.")),
        "not-found": (_("Not here"), _("There is no such page, or it belongs to somebody else.")),
        "conflict": (_("This cannot be done now"), _("Somebody else was quicker, or it has been done already.")),
        "invalid": (
            _("This cannot be accepted"),
            _("Something in the request is not as it should be. Go back and try again."),
        ),
        "too-large": (_("Too large"), _("This is more than the hub takes at once.")),
        "unavailable": (
            _("The hub cannot reach its records"),
            _("Nothing was changed. It tries again by itself; so can you in a moment."),
        ),
    }
    unexpected = (_("Something went wrong here"), _("It has been noted. Try again in a moment."))
    return words.get(code, unexpected)
