"""Subscribing to a topic by SNS's own call, and never by the address that a message names."""

from __future__ import annotations

from botocore.exceptions import ClientError

from hub.channels.amazon import Access, client
from hub.channels.sns_certificates import CannotVerify
from hub.errors import Malformed
from hub.logs import get_logger

log = get_logger(__name__)

WITHIN_S = 10.0


async def confirm(access: Access, topic: str, token: str) -> None:
    """Say yes to a handshake. Raises Malformed when SNS does not know the token, CannotVerify without an answer."""
    asked = {"TopicArn": topic, "Token": token, "AuthenticateOnUnsubscribe": "true"}
    try:
        async with client("sns", access, WITHIN_S, WITHIN_S) as sns:
            await sns.confirm_subscription(**asked)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        log.error("sns: the subscription is not confirmed", code=code)
        if code in ("InvalidParameter", "InvalidParameterException", "NotFound", "NotFoundException"):
            raise Malformed("SNS does not know this token; ask it for a confirmation again.") from error
        raise CannotVerify("SNS refused the confirmation.") from error
    except Exception as error:  # the client's parser raises anything at an answer that it did not expect
        raise CannotVerify("SNS does not answer.") from error
