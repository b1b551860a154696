"""Every page, on one page."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from hub.console import (
    account,
    appointment,
    appointment_rules,
    arrivals,
    booking,
    kit,
    message,
    message_new,
    messages,
    notifications,
    outbox,
    patients,
    people,
    preferences,
    sign_in,
    template_edit,
    templates,
    visit,
)
from hub.console.pages import ASSET_FOLDERS
from hub.console.reader import pages_of

WEB = Path(__file__).resolve().parent.parent.parent / "web"
FOREVER = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
SCRIPTS = "/assets/js/"


class Assets(StaticFiles):
    """Files a browser may fetch; one whose address carries the mark of its contents is kept for ever.

    Any other mark is that of another version, which a hub beside this one may have: it must not stick to this file.
    Scripts say nothing that is anybody's own, and the bell on another application's page loads them: any page may.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a file with its caching said."""

        async def send_with_caching(message: Message) -> None:
            if message["type"] == "http.response.start":
                caching = FOREVER if _carries_its_mark(Request(scope)) else REVALIDATE
                message["headers"] = [*message["headers"], (b"cache-control", caching.encode())]
                if scope["path"].startswith(SCRIPTS):
                    message["headers"].append((b"access-control-allow-origin", b"*"))
            await send(message)

        await super().__call__(scope, receive, send_with_caching)


def _carries_its_mark(request: Request) -> bool:
    path, query = request.url.path, request.url.query
    try:
        return bool(query) and pages_of(request).asset(path.removeprefix("/assets/")) == f"{path}?{query}"
    except KeyError:
        return False


CONSOLE = [
    Route("/", sign_in.root),
    Route("/sign-in", sign_in.show, methods=["GET"]),
    Route("/sign-in", sign_in.sign_in, methods=["POST"]),
    Route("/sign-out", sign_in.sign_out, methods=["POST"]),
    Route("/sign-out-everywhere", sign_in.sign_out_everywhere, methods=["POST"]),
    Route("/session/touch", sign_in.touch, methods=["POST"]),
    Route("/language", sign_in.choose_language, methods=["POST"]),
    Route("/theme", sign_in.choose_theme, methods=["POST"]),
    Route("/console/arrivals", arrivals.board, methods=["GET"]),
    Route("/console/arrivals", booking.book, methods=["POST"]),
    Route("/console/arrivals/new", booking.new),
    Route("/console/arrivals/{id:uuid}/arrive", arrivals.mark_arrived, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/confirm", arrivals.confirm, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/start", arrivals.start, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/no-show", arrivals.miss, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/undo", arrivals.take_back, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/move", booking.change_form, methods=["GET"]),
    Route("/console/arrivals/{id:uuid}/move", booking.move, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/cancel", booking.change_form, methods=["GET"]),
    Route("/console/arrivals/{id:uuid}/cancel", booking.cancel, methods=["POST"]),
    Route("/console/arrivals/{id:uuid}/complete", booking.change_form, methods=["GET"]),
    Route("/console/arrivals/{id:uuid}/complete", booking.complete, methods=["POST"]),
    Route("/console/appointments/{id:uuid}", appointment.page),
    Route("/console/appointment-rules", appointment_rules.page, methods=["GET"]),
    Route("/console/appointment-rules/tellings", appointment_rules.save_tellings, methods=["POST"]),
    Route("/console/appointment-rules/reminders", appointment_rules.save_reminders, methods=["POST"]),
    Route("/console/appointment-rules/hold", appointment_rules.save_hold, methods=["POST"]),
    Route("/console/messages", messages.page),
    Route("/console/messages/export", messages.export, methods=["POST"]),
    Route("/console/messages/new", message_new.page, methods=["GET"]),
    Route("/console/messages/new", message_new.send, methods=["POST"]),
    Route("/console/messages/{id:uuid}", message.page),
    Route("/console/messages/{id:uuid}/retry", message.retry, methods=["POST"]),
    Route("/console/messages/{id:uuid}/cancel", message.cancel, methods=["POST"]),
    Route("/console/messages/{id:uuid}/now", message.hurry, methods=["POST"]),
    Route("/console/messages/{id:uuid}/requests/{number:int}/mail", message.mail),
    Route("/console/notifications", notifications.history),
    Route("/console/notifications/mark", notifications.mark, methods=["POST"]),
    Route("/console/account", account.page),
    Route("/console/account/shortcuts", account.choose_shortcuts, methods=["POST"]),
    Route("/console/people", people.page),
    Route("/console/people/keys", people.add_key, methods=["POST"]),
    Route("/console/people/keys/{id:uuid}/revoke", people.revoke_key, methods=["POST"]),
    Route("/console/people/{id:uuid}/activate", people.activate, methods=["POST"]),
    Route("/console/people/{id:uuid}/deactivate", people.deactivate, methods=["POST"]),
    Route("/console/outbox", outbox.list_page),
    Route("/console/outbox/{id:uuid}", outbox.message_page),
    Route("/console/outbox/{id:uuid}/mail", outbox.mail),
    Route("/console/outbox/{id:uuid}/play", outbox.report, methods=["POST"]),
    Route("/console/patients", patients.page, methods=["GET"]),
    Route("/console/patients", patients.add, methods=["POST"]),
    Route("/console/patients/{id:uuid}", patients.file, methods=["GET"]),
    Route("/console/patients/{id:uuid}", patients.save, methods=["POST"]),
    Route("/console/patients/{id:uuid}/choices", patients.save_choices, methods=["POST"]),
    Route("/console/patients/{id:uuid}/link", patients.make_link, methods=["POST"]),
    Route("/p/{token}", preferences.page, methods=["GET"]),
    Route("/p/{token}", preferences.save, methods=["POST"]),
    Route("/u/{token}", preferences.ask, methods=["GET"]),
    Route("/u/{token}", preferences.unsubscribe, methods=["POST"]),
    Route("/v/{token}", visit.page, methods=["GET"]),
    Route("/v/{token}", visit.save, methods=["POST"]),
    Route("/console/templates", templates.overview, methods=["GET"]),
    Route("/console/templates", template_edit.create, methods=["POST"]),
    Route("/console/templates/new", template_edit.new),
    Route("/console/templates/preview", template_edit.preview, methods=["POST"]),
    Route("/console/templates/{id:uuid}", templates.page),
    Route("/console/templates/{id:uuid}/edit", template_edit.editor, methods=["GET"]),
    Route("/console/templates/{id:uuid}/edit", template_edit.save, methods=["POST"]),
    Route("/console/templates/{id:uuid}/publish", templates.publish, methods=["POST"]),
    Route("/console/templates/{id:uuid}/roll-back", templates.roll_back, methods=["POST"]),
    Route("/console/templates/{id:uuid}/activate", templates.activate, methods=["POST"]),
    Route("/console/templates/{id:uuid}/deactivate", templates.deactivate, methods=["POST"]),
    Route("/console/templates/{id:uuid}/drop-draft", templates.drop_draft, methods=["POST"]),
    Route("/console/templates/{id:uuid}/delete", templates.delete, methods=["POST"]),
    Route("/console/templates/{id:uuid}/test", templates.send_test, methods=["POST"]),
    Route("/console/kit", kit.page),
    *(Mount(f"/assets/{folder}", Assets(directory=WEB / folder)) for folder in ASSET_FOLDERS),
]
