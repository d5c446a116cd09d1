"""Dispatch stored webhooks to the handlers of their sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from atelier.dataclass import dataclass
from atelier.telemetry import logger

Handler = Callable[[Mapping[str, str]], object]


@dataclass(frozen=True, slots=True)
class ArrivedWebhook:
    """A webhook that was stored just now."""

    source: str
    event_id: str
    address: Mapping[str, str]


def dispatch(webhooks: Iterable[ArrivedWebhook], handlers: Mapping[str, Handler]) -> None:
    """Call the handler of each webhook's source with its address.

    A failing webhook does not hold up the others of its batch. The batch fails at the end (an ExceptionGroup) and is
    delivered again, so a handler must be safe to repeat. What fails each time is kept in the dead-letter queue. A
    source without a handler is such a failure, because its webhook would be lost otherwise."""
    failures: list[Exception] = []
    for webhook in webhooks:
        facts = {"source": webhook.source, "event_id": webhook.event_id, **webhook.address}
        try:
            handlers[webhook.source](webhook.address)
        except Exception as error:
            logger.exception("webhook failed", extra=facts)
            failures.append(error)
        else:
            logger.info("webhook handled", extra=facts)
    if failures:
        raise ExceptionGroup(f"{len(failures)} webhooks failed", failures)
