"""Page writing, composed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from atelier.events.catalogue import GenerationEnded
from atelier.page_writing.deps import WritingDeps
from atelier.page_writing.save_writing import save_writing
from atelier.wiring import generations
from atelier.wiring.sites import site_deps

if TYPE_CHECKING:
    from atelier.generations.create import CreateOptions
    from atelier.http.request import Request
    from atelier.page_writing.order_writing import OrderDeps


def writing_deps() -> WritingDeps:
    """The dependencies of saving drafts."""
    return WritingDeps(generations.store(), generations.read_text, site_deps())


def order_deps(now: datetime) -> OrderDeps:
    """The dependencies of orders."""
    # Imported here, because what reads and saves drafts accepts no orders.
    from atelier.page_writing.order_writing import OrderDeps
    from atelier.wiring.generation_requests import create_deps

    return OrderDeps(create_deps(now), site_deps())


def options(request: Request[Any]) -> CreateOptions:
    """How the caller wants an order handled."""
    from atelier.generations.create import CreateOptions

    return CreateOptions(request.idempotency_key, request.wait_seconds)


def save(event: GenerationEnded, now: datetime) -> None:
    """Save what an ended generation wrote for a site."""
    save_writing(event.workspace_id, event.generation_id, deps=writing_deps(), now=now)
