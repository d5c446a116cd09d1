"""Stream of the identity table, the outbox of mails, accounts and organisations: each new mail is sent, changes of
members and deletions go to the event bus, connections end with their session or membership, and organisations that
have nearly as many members as their tier allows are told."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.events.relay import publish_all
from atelier.mails.send import send_all
from atelier.realtime.close import request_closings
from atelier.wiring import mails, outbox, quota_alerts, realtime
from atelier.workspaces.quota_alerts import warn


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Relay a DynamoDB stream batch with both images. A failure repeats the batch; publishing again is harmless, and
    the mails that were sent are left out then. Alerts come last: mails do not wait for them."""
    publish_all(outbox.identity_changes(event["Records"]), events=outbox.publisher)
    request_closings(realtime.closings(event["Records"]), connections=realtime.connections, now=clock())
    send_all(mails.addresses(event["Records"]), mails.send_deps())
    warn(quota_alerts.counted(event["Records"]), deps=quota_alerts.alert_deps, now=clock())
