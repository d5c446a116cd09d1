"""Give new pages of feeds to those who act on events: webhooks, notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from atelier.feeds.model import FeedEntry, FeedPage
from atelier.telemetry import logger

# Gets the feed's id and its new entries, in order and at least once; safe to repeat.
FeedHandler = Callable[[str, Sequence[FeedEntry]], object]


def dispatch(pages: Iterable[tuple[str, FeedPage]], handlers: Sequence[FeedHandler]) -> None:
    """Call every handler with each page. A handler that fails does not keep the others from the page; its failure is
    raised at the end (an ExceptionGroup), so that the batch is delivered again."""
    failures: list[Exception] = []
    for feed_id, page in pages:
        for handle in handlers:
            try:
                handle(feed_id, page.entries_after(page.first - 1))
            except Exception as error:
                failures.append(error)
        logger.info("dispatched", extra={"feed": feed_id, "events": len(page.events), "last": page.last})
    if failures:
        raise ExceptionGroup("some handlers of feeds failed", failures)
