"""Read dead letters, send them again, drop them. Each request is bounded; whoever has more repeats it.

A message is sent before it is deleted, so a crash between the two sends it twice, which every consumer allows for, and
never loses it. What a request will do is in the audit log before it does it: a queue has no transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from atelier.audit_log.model import PLATFORM_LOG, Origin, audit_event
from atelier.audit_log.ports import AuditLog
from atelier.dataclass import dataclass
from atelier.dead_letters.model import DeadLetter, DeadLetterQueue, Moved, NotRepeatable
from atelier.dead_letters.ports import DeadLetters

LETTERS_MAX = 200
# How much of a dropped message its event keeps.
KEPT_CHARACTERS_MAX = 2000


@dataclass(frozen=True, slots=True)
class DeadLetterDeps:
    """Dependencies. letters_max: how many messages one request reads at most."""

    letters: DeadLetters
    events: AuditLog
    letters_max: int = LETTERS_MAX


def count_letters(*, deps: DeadLetterDeps) -> dict[DeadLetterQueue, int]:
    """About how many dead letters each queue has."""
    return {queue: deps.letters.depth(queue) for queue in DeadLetterQueue}


def read_letters(queue: DeadLetterQueue, limit: int, *, deps: DeadLetterDeps) -> list[DeadLetter]:
    """Up to `limit` messages, in no particular order; they stay where they are."""
    found: list[DeadLetter] = []
    for batch in _taken(queue, deps):
        found += batch
        if len(found) >= limit:
            break
    deps.letters.put_back(queue, found)
    return found[:limit]


def redrive(
    queue: DeadLetterQueue, ids: list[str] | None, origin: Origin, *, deps: DeadLetterDeps, now: datetime
) -> Moved:
    """Send messages again: those with these ids, or (None) as many as one request reads. One that is gone already is
    left out. Raises NotRepeatable for a named one; of all, those stay that cannot be sent."""
    action, name = "dead_letters.redrive_requested", queue.value
    deps.events.append(audit_event(PLATFORM_LOG, action, origin, now, target=name, ids=ids or "all"))

    def move(letter: DeadLetter) -> bool:
        try:
            deps.letters.send_again(queue, letter)
        except NotRepeatable:
            if ids is not None:
                raise
            return False
        deps.letters.delete(queue, letter)
        return True

    return _act_on(queue, ids, move, deps)


def drop(
    queue: DeadLetterQueue, ids: list[str], reason: str, origin: Origin, *, deps: DeadLetterDeps, now: datetime
) -> Moved:
    """Delete the messages with these ids. The event of each keeps the beginning of its body, and the digest of all."""

    def delete(letter: DeadLetter) -> bool:
        digest = hashlib.sha256(letter.body.encode(errors="replace")).hexdigest()
        event = audit_event(
            PLATFORM_LOG,
            "dead_letters.drop_requested",
            origin,
            now,
            target=letter.id,
            queue=queue.value,
            reason=reason,
            sha256=digest,
            body=letter.shown_body[:KEPT_CHARACTERS_MAX],
        )
        deps.events.append(event)
        deps.letters.delete(queue, letter)
        return True

    return _act_on(queue, ids, delete, deps)


def _act_on(
    queue: DeadLetterQueue, ids: list[str] | None, act: Callable[[DeadLetter], bool], deps: DeadLetterDeps
) -> Moved:
    """Take messages, act on those with these ids, and put the others back, whatever happens."""
    wanted = None if ids is None else set(ids)
    rest: dict[str, DeadLetter] = {}
    count = 0
    try:
        for batch in _taken(queue, deps):
            rest |= {letter.id: letter for letter in batch}
            for letter in batch:
                if (wanted is None or letter.id in wanted) and act(letter):
                    del rest[letter.id]
                    count += 1
            if wanted is not None and count == len(wanted):
                break
    finally:
        deps.letters.put_back(queue, list(rest.values()))
    return Moved(count, deps.letters.depth(queue))


def _taken(queue: DeadLetterQueue, deps: DeadLetterDeps) -> Iterator[Sequence[DeadLetter]]:
    """Up to `letters_max` messages, in batches. Those of a run that dies come back when their time is over."""
    count = 0
    while count < deps.letters_max:
        batch = deps.letters.take(queue)
        if not batch:
            return
        count += len(batch)
        yield batch
