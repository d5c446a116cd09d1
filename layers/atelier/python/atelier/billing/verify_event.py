"""Verify a webhook of Stripe by its raw bytes (https://docs.stripe.com/webhooks#verify-manually), without Stripe's SDK,
whose import would take most of the receiving function's cold start."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from atelier.dataclass import dataclass
from atelier.errors import BadRequest
from atelier.inbox.receive import VerifiedWebhook
from atelier.inbox.verify_header import json_object, verify_header
from atelier.telemetry import logger, put_count

SOURCE = "stripe"
# The version that Stripe's SDK in layers/dependencies/stripe pins; tests/unit/billing compares them.
API_VERSION = "2026-10-28.endive"
_ID = re.compile(r"[A-Za-z0-9_]{1,255}")
_TYPE = re.compile(r"[a-z0-9_.]{1,100}")


@dataclass(frozen=True, slots=True)
class WebhookAccess:
    """How webhooks are judged. `secrets`: the endpoint's signing secrets, two while one replaces the other. `livemode`:
    whether this deployment takes real money."""

    secrets: Sequence[str]
    livemode: bool


# (fresh) -> the access; `fresh` reads it anew, as far as the cache of secrets allows.
ReadAccess = Callable[[bool], WebhookAccess]


def webhook_access(secret: Mapping[str, Any]) -> WebhookAccess:
    """The access in the value of Stripe's secret: {"api_key": "sk_…", "webhook_secrets": ["whsec_…"]}."""
    key = str(secret.get("api_key", ""))
    found = cast("list[Any]", secret.get("webhook_secrets") or [])
    return WebhookAccess([each for each in found if isinstance(each, str) and each], is_live_key(key))


def is_live_key(api_key: str) -> bool:
    """Whether a secret or restricted key of Stripe belongs to its live mode."""
    return api_key.startswith(("sk_live_", "rk_live_"))


def verify_event(headers: Mapping[str, str], body: bytes, now: datetime, *, access: ReadAccess) -> VerifiedWebhook:
    """The webhook with this body, if Stripe has signed it within five minutes of `now`. Header names are lower-case.

    An event of the other mode (live or test), or of a connected account, is genuine but not ours: its address says
    `ignored`, and nothing acts on it. An event of another API version is accepted, because handlers read only ids from
    an event and read the object itself from Stripe. Raises BadRequest, and Unavailable while no secret is configured:
    Stripe then sends it again."""
    known: WebhookAccess | None = None

    def secrets(fresh: bool) -> Sequence[str]:
        nonlocal known
        known = access(fresh)
        return known.secrets

    signature = headers.get("stripe-signature", "")
    verify_header(signature, body, now, secrets=secrets, header_name="Stripe-Signature", sender="Stripe")
    assert known is not None, "what was verified was verified with a secret"
    return _webhook(_parse_event(body), known, headers)


def _parse_event(body: bytes) -> dict[str, Any]:
    found = json_object(body)
    # A "thin" event of Stripe's second API has no object in it; this endpoint does not subscribe to any.
    if (
        found.get("object") != "event"
        or not _matches(_ID, found.get("id"))
        or not _matches(_TYPE, found.get("type"))
        or not isinstance(found.get("data"), dict)
        or not isinstance(found["data"].get("object"), dict)
    ):
        raise BadRequest("The body is no event.")
    return found


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _webhook(event: dict[str, Any], access: WebhookAccess, headers: Mapping[str, str]) -> VerifiedWebhook:
    object_id = event["data"]["object"].get("id")
    # An object without an id, such as the balance, has its event as the subject.
    subject = object_id if _matches(_ID, object_id) else event["id"]
    address = {"event": event["id"], "type": event["type"], "object": subject}
    if bool(event.get("livemode")) != access.livemode:
        address["ignored"] = "other_mode"
    elif event.get("account"):
        address["ignored"] = "other_account"
    for reason in _remarks(address, event):
        put_count("StripeEventsUnusual", reason=reason)
        logger.warning("unusual event of Stripe", extra={**address, "reason": reason})
    return VerifiedWebhook(subject, event["id"], address, {"stripe-signature": headers["stripe-signature"]})


def _remarks(address: Mapping[str, str], event: Mapping[str, Any]) -> Iterator[str]:
    if "ignored" in address:
        yield address["ignored"]
    elif event.get("api_version") != API_VERSION:
        yield "other_version"
