"""Dead letters, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dead_letters import SqsDeadLetters
from atelier.dead_letters.handle import DeadLetterDeps
from atelier.settings import DeadLetterQueues
from atelier.wiring import audit_log


@cache
def deps() -> DeadLetterDeps:
    """The dependencies of reading, repeating and dropping dead letters."""
    queues = DeadLetterQueues.read()
    return DeadLetterDeps(SqsDeadLetters(queues.dead(), queues.sources()), audit_log.events())
