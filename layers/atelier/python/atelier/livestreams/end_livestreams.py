"""Let go of what a workspace that is being erased has at the streaming service, and remove it there.

The livestream's place, an item without anything that names a person, stays and says what has to be removed. So an
erasure does not wait for the service, and the service is asked until it has removed everything."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.errors import AtelierError
from atelier.livestreams.deps import AdvanceLivestreamDeps
from atelier.livestreams.ports import LivestreamStore
from atelier.telemetry import logger

PAGE = 25
RETRY = timedelta(minutes=5)


def end_livestreams(workspace_id: str, *, store: LivestreamStore, now: datetime) -> None:
    """Let go of all streams and recordings of a workspace. Safe to repeat."""
    after: str | None = None
    while True:
        page = store.page(workspace_id, after, PAGE)
        for livestream in page.livestreams:
            if livestream.creations:
                store.release(livestream, now)
        after = page.next_key
        if after is None:
            return


def remove_released(*, deps: AdvanceLivestreamDeps, now: datetime) -> int:
    """Remove from the service what was let go; returns how many livestreams that were. What fails is tried again."""
    done = 0
    for released in deps.store.released(now, PAGE):
        service = deps.service()
        try:
            if released.stream_id is not None:
                service.delete(released.stream_id)
            for stream in service.find(released.reference):
                service.delete(stream.id)
        except AtelierError as error:
            logger.warning(
                "a stream is removed later", livestream_id=released.reference.livestream_id, why=error.message
            )
            deps.store.put_off_removal(released, now + RETRY)
        else:
            deps.store.forget(released)
            done += 1
    return done
