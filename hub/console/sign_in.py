"""Signing in and out, and choosing language and theme."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.api.auth import cookie_name, house_of, person_by_cookie
from hub.console.pages import THEMES
from hub.console.reader import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    YEAR_S,
    go,
    home_of,
    own_path,
    page_of,
    pages_of,
    read_form,
    reader_of,
    text_of,
)
from hub.errors import HubError, Throttled
from hub.people import sessions
from hub.people.sign_in import ChooseClinic
from hub.people.staff import change_staff
from hub.people.tenants import LANGUAGES
from hub.work import Actor


async def root(request: Request) -> Response:
    """GET /: to where the person's day begins."""
    return go(home_of(await person_by_cookie(request)))


async def show(request: Request) -> Response:
    """GET: the sign-in page."""
    person = await person_by_cookie(request, in_use=False)
    if person is not None:
        return go(own_path(request.query_params.get("next"), home_of(person)))
    return _page(request, next_=request.query_params.get("next", ""))


async def sign_in(request: Request) -> Response:
    """POST: begin a session."""
    form = await read_form(request)
    email, password, clinic = (
        text_of(form, "email")[:254],
        str(form.get("password") or "")[:1024],
        text_of(form, "clinic"),
    )
    next_ = text_of(form, "next")
    if not email or not password:
        missing = [name for name, value in (("email", email), ("password", password)) if not value]
        return _page(request, email=email, next_=next_, missing=missing, status=422)
    network = request.client.host if request.client else "unknown"
    device = request.headers.get("user-agent", "unknown")
    try:
        cookie = await house_of(request).front_door.sign_in(
            email, password, clinic=clinic, network=network, device=device
        )
    except ChooseClinic as choice:
        return _page(request, email=email, next_=next_, error=choice, clinics=choice.clinics, status=409)
    except Throttled as throttled:
        headers = {"Retry-After": str(throttled.retry_after)}
        return _page(request, email=email, next_=next_, error=throttled, status=429, headers=headers)
    except HubError as refused:
        if refused.code != "not-signed-in":
            raise
        return _page(request, email=email, next_=next_, error=refused, status=401)
    response = go(own_path(next_, "/"))
    _keep(request, response, cookie_name(house_of(request)), cookie)
    return response


def _page(
    request: Request,
    *,
    email: str = "",
    next_: str = "",
    error: HubError | None = None,
    missing: list[str] | None = None,
    clinics: list[tuple[str, str]] | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    page = page_of(request, None)
    _ = pages_of(request).gettext(page.lang)
    words = {
        "not-signed-in": _("The email address or the password is not right."),
        "throttled": _("Too many wrong guesses. Wait a few minutes, then try again."),
        "choose-clinic": _("You work at more than one clinic. Choose where to sign in."),
    }
    form: dict[str, Any] = {
        "email": email,
        "error": words[error.code] if error else None,
        "field_errors": {name: _("Fill this in.") for name in missing or ()},
        "clinics": clinics or [],
    }
    logins = request.app.state.demo_logins
    html = pages_of(request).render("sign_in.html", page, form=form, next=next_, demo_logins=logins)
    return HTMLResponse(html, status, headers)


async def sign_out(request: Request) -> Response:
    """POST: end this session; its sockets close."""
    person = await person_by_cookie(request, in_use=False)
    if person is not None and person.session is not None:
        async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
            await sessions.end(work, person.session, person.id)
    return _forget(request, go("/sign-in"))


async def sign_out_everywhere(request: Request) -> Response:
    """POST: end every session of the person's."""
    person = await reader_of(request)
    async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
        await sessions.end_all(work, person.id)
    return _forget(request, go("/sign-in"))


async def touch(request: Request) -> Response:
    """POST: somebody is there; puts off the idle end."""
    await reader_of(request)
    seconds = int(house_of(request).idle.total_seconds())
    return Response(status_code=204, headers={"X-Idle-Seconds": str(seconds)})


async def choose_language(request: Request) -> Response:
    """POST: the language of the pages, and, for somebody signed in, of what the hub writes to them."""
    form = await read_form(request)
    language = text_of(form, "language")
    response = go(own_path(form.get("next"), "/"))
    if language in LANGUAGES:
        _keep(request, response, LANGUAGE_COOKIE, language, lasting=True)
        person = await person_by_cookie(request)
        if person is not None:
            async with house_of(request).open_work(person.tenant, Actor("staff", person.id)) as work:
                await change_staff(work, person.id, language=language)
    return response


async def choose_theme(request: Request) -> Response:
    """POST: light, dark, or as the device says."""
    form = await read_form(request)
    theme = text_of(form, "theme")
    response = go(own_path(form.get("next"), "/"))
    if theme in THEMES:
        _keep(request, response, THEME_COOKIE, theme, lasting=True)
    return response


def _keep(request: Request, response: Response, name: str, value: str, *, lasting: bool = False) -> None:
    response.set_cookie(
        name,
        value,
        max_age=YEAR_S if lasting else None,
        path="/",
        secure=house_of(request).settings.is_https,
        httponly=True,
        samesite="lax",
    )


def _forget(request: Request, response: RedirectResponse) -> Response:
    name = cookie_name(house_of(request))
    response.delete_cookie(name, path="/", secure=house_of(request).settings.is_https, httponly=True, samesite="lax")
    return response
