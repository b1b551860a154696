"""What vendors tell us by themselves: proved to be theirs, stored, answered; a job applies it.

The answer is 2xx only when what was told is stored, 403 or 404 when it is not the vendor's, another 4xx when it never
can be read, and 503 when trying again helps: vendors try again after that alone. It is never 500.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from hub.api.auth import house_of
from hub.channels import ses_reports, twilio_reports, unifonic_reports
from hub.channels.sns import Farewell, Handshake
from hub.channels.twilio_reports import Form
from hub.errors import Forbidden, HubError, NotFound, Unavailable
from hub.logs import get_logger
from hub.wiring import House

log = get_logger(__name__)

FORM, JSON = unifonic_reports.FORM, unifonic_reports.JSON
# Said to a vendor who asks after each message what to answer the patient.
NO_REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

Handler = Callable[[Request], Awaitable[Response]]


async def sns_event(request: Request) -> Response:
    """A notification of SES's events, or the topic's own handshake; signed by AWS."""
    house = house_of(request)
    if house.sns is None:
        raise _not_here()
    body = await request.body()
    told = await house.sns.verify(request.headers, body, house.clock())
    if isinstance(told, Handshake):
        await house.sns.confirm(told)
    elif isinstance(told, Farewell):
        log.error("sns: somebody ended a topic's subscription: events no longer come", topic=told.topic)
    else:
        await house.intake.take(ses_reports.read_event(told.message, told.message_id, house.clock()), body)
    return Response(status_code=204)


async def twilio_status(request: Request) -> Response:
    """What became of a message; signed by Twilio."""
    house, form, body = await _twilio_form(request)
    reference = request.query_params.get(twilio_reports.REFERENCE, "")
    await house.intake.take(twilio_reports.read_status(form, reference, house.clock()), body)
    return Response(status_code=204)


async def twilio_inbound(request: Request) -> Response:
    """A patient's message; signed by Twilio."""
    house, form, body = await _twilio_form(request)
    await house.intake.take(twilio_reports.read_inbound(form, house.clock()), body)
    return Response(NO_REPLY, media_type="text/xml")


async def unifonic_sms(request: Request) -> Response:
    """What became of an SMS; the address holds the secret."""
    house = _unifonic_house(request)
    body = await request.body()
    fields = unifonic_reports.read_fields(_content_type(request, FORM, JSON), body)
    await house.intake.take(unifonic_reports.read_sms(fields, house.clock()), body)
    return Response()


async def unifonic_whatsapp(request: Request) -> Response:
    """What became of a WhatsApp message, or a patient's message; the address holds the secret."""
    house = _unifonic_house(request)
    body = await request.body()
    _content_type(request, JSON)
    await house.intake.take(unifonic_reports.read_whatsapp(body, house.clock()), body)
    return Response()


async def _twilio_form(request: Request) -> tuple[House, Form, bytes]:
    house = house_of(request)
    tokens = house.settings.twilio_tokens
    if not tokens:
        raise _not_here()
    _content_type(request, FORM)
    body = await request.body()
    form = twilio_reports.read_form(body)
    if not twilio_reports.is_signed(tokens, _public_url(request), form, request.headers.get("x-twilio-signature")):
        log.warning("twilio: refused, not signed for this address", fields=len(form))
        raise Forbidden("This was not signed by our Twilio account for this address.")
    if dict(form).get("AccountSid") != house.settings.twilio_account_sid:
        raise Forbidden("This is about another Twilio account.")
    return house, form, body


def _public_url(request: Request) -> str:
    """The address as the vendor was given it: by our settings, whatever host and scheme a proxy passes on."""
    raw: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    path = raw.partition(b"?")[0].decode("latin-1")
    asked = f"?{query.decode('latin-1')}" if query else ""
    return house_of(request).settings.public_url.rstrip("/") + path + asked


def _unifonic_house(request: Request) -> House:
    house = house_of(request)
    if not unifonic_reports.is_ours(house.settings.unifonic_tokens, request.path_params["token"]):
        raise _not_here()
    return house


def _content_type(request: Request, *accepted: str) -> str:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in accepted:
        raise HTTPException(415, f"Send it as {' or '.join(accepted)}.")
    return content_type


def _not_here() -> NotFound:
    return NotFound("There is nothing here.")


def never_500(handle: Handler) -> Handler:
    """Whatever nobody expected is our fault, and passes: the vendor is asked to try again. The path is never logged."""

    async def guarded(request: Request) -> Response:
        try:
            return await handle(request)
        except (HubError, HTTPException):
            raise
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            log.exception("webhook failed", webhook=handle.__name__)
            raise Unavailable("This could not be stored; try again in a moment.") from error

    return guarded


def _door(path: str, handle: Handler) -> Route:
    return Route(path, never_500(handle), methods=["POST"])


WEBHOOKS = Mount(
    "/webhooks",
    routes=[
        _door("/sns", sns_event),
        _door("/twilio/status", twilio_status),
        _door("/twilio/inbound", twilio_inbound),
        _door("/unifonic/{token}/sms", unifonic_sms),
        _door("/unifonic/{token}/whatsapp", unifonic_whatsapp),
    ],
)
