"""Follow a webhook of the streaming service: look at the livestream that it is about, whatever it says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from atelier.errors import AtelierError, NotFound
from atelier.livestreams.advance import advance
from atelier.livestreams.deps import AdvanceLivestreamDeps
from atelier.telemetry import logger


def follow_webhook(address: Mapping[str, str], *, deps: AdvanceLivestreamDeps, now: datetime) -> None:
    """Make the livestream due, and advance it at once; the schedule does what fails. An event about what is not ours
    is left alone. So lost, doubled, late and shuffled webhooks are one case: the service is asked."""
    if "livestream" not in address:
        return
    try:
        livestream = deps.store.find(address["livestream"])
    except NotFound:
        return
    deps.store.make_due(livestream, now)
    try:
        advance(livestream.id, deps=deps, now=now, check=True)
    except AtelierError as error:
        logger.warning("a livestream is advanced later", livestream_id=livestream.id, error=error.message)
