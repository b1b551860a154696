"""Every address of the API, on one page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hub.api import (
    appointment_rules,
    appointments,
    health,
    messages,
    metrics,
    notices,
    notifications,
    patients,
    staff,
    templates,
)

Handler = Callable[[Request], Awaitable[Response]]


def resource(path: str, **handlers: Handler) -> Route:
    """One address and what each method does there; any other method is told which there are."""

    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))


API = Mount(
    "/api/v1",
    routes=[
        resource("/notifications", GET=notifications.list_, POST=notifications.send),
        resource("/notifications/count", GET=notifications.count),
        resource("/notifications/read-all", POST=notifications.read_all),
        resource("/notifications/read", POST=notifications.mark_as("read")),
        resource("/notifications/unread", POST=notifications.mark_as("unread")),
        resource("/notifications/archive", POST=notifications.mark_as("archive")),
        resource("/notifications/{id:uuid}", GET=notifications.show),
        resource("/appointments", GET=appointments.list_, POST=appointments.create),
        resource("/appointments/{id:uuid}", GET=appointments.show, PATCH=appointments.change),
        resource("/appointments/{id:uuid}/confirm", POST=appointments.confirm),
        resource("/appointments/{id:uuid}/move", POST=appointments.move),
        resource("/appointments/{id:uuid}/arrive", POST=appointments.arrive),
        resource("/appointments/{id:uuid}/start", POST=appointments.start),
        resource("/appointments/{id:uuid}/complete", POST=appointments.complete),
        resource("/appointments/{id:uuid}/cancel", POST=appointments.cancel),
        resource("/appointments/{id:uuid}/no-show", POST=appointments.miss),
        resource("/appointments/{id:uuid}/undo", POST=appointments.take_back),
        resource("/appointment-rules", GET=appointment_rules.show, PUT=appointment_rules.write),
        resource("/tellings", GET=appointment_rules.list_tellings),
        resource("/tellings/{event}/{to}/{over}", PUT=appointment_rules.switch_telling),
        resource("/patients", GET=patients.list_, POST=patients.create),
        resource("/patients/{id:uuid}", GET=patients.show, PATCH=patients.change),
        resource("/patients/{id:uuid}/choices", GET=patients.show_choices, POST=patients.add_choice),
        resource("/patients/{id:uuid}/preference-link", POST=patients.make_preference_link),
        resource("/templates", GET=templates.list_, POST=templates.create),
        resource("/templates/preview", POST=templates.preview),
        resource("/templates/{id:uuid}", GET=templates.show, PATCH=templates.change, DELETE=templates.delete),
        resource("/templates/{id:uuid}/draft", PUT=templates.write_draft, DELETE=templates.drop_draft),
        resource("/templates/{id:uuid}/publish", POST=templates.publish),
        resource("/templates/{id:uuid}/roll-back", POST=templates.roll_back),
        resource("/templates/{id:uuid}/test", POST=templates.test),
        resource("/templates/{id:uuid}/usage", GET=templates.show_usage),
        resource("/messages", GET=messages.list_, POST=messages.send),
        resource("/messages/statistics", GET=messages.count),
        resource("/messages/{id:uuid}", GET=messages.show),
        resource("/messages/{id:uuid}/retry", POST=messages.retry),
        resource("/messages/{id:uuid}/cancel", POST=messages.cancel),
        resource("/messages/{id:uuid}/status", PATCH=messages.update_status),
        resource("/notices/{kind}", POST=notices.send),
        resource("/me", GET=staff.show_me),
        resource("/me/sign-out-everywhere", POST=staff.sign_out_everywhere),
        resource("/staff", GET=staff.list_staff, POST=staff.add_staff),
        resource("/staff/{id:uuid}", PATCH=staff.change_staff),
        resource("/keys", GET=staff.list_keys, POST=staff.add_key),
        resource("/keys/{id:uuid}", DELETE=staff.revoke_key),
        resource("/live-tokens", POST=staff.make_live_token),
        resource("/live-tokens/{id:uuid}", DELETE=staff.revoke_live_token),
    ],
)
HEALTH = [
    resource("/health/live", GET=health.live),
    resource("/health/ready", GET=health.ready),
    resource("/metrics", GET=metrics.show),
]
