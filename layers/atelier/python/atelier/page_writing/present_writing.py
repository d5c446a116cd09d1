"""Answer requests about what is written for a site."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations.model import Generation
from atelier.page_writing.deps import WritingDeps
from atelier.page_writing.model import Writing
from atelier.page_writing.save_writing import save_writing, take_proposal
from atelier.page_writing.schemas import TakeRequest, WritingEnvelope, WritingRequest, writing_envelope

# What accepts a generation is a third of what this function would import, and most requests read.
if TYPE_CHECKING:
    from atelier.generations.create import CreateOptions
    from atelier.page_writing.order_writing import OrderDeps


@dataclass(frozen=True, slots=True)
class OrderedWriting:
    """The response to an order. generation: what it is written by. waited_seconds: as in CreatedGeneration."""

    view: WritingEnvelope
    generation: Generation
    replayed: bool
    waited_seconds: int | None


def order(
    deps: OrderDeps,
    saving: WritingDeps,
    caller: Caller,
    site_id: str,
    body: WritingRequest,
    now: datetime,
    options: CreateOptions,
) -> OrderedWriting:
    """Create the generation, and wait for its draft as long as the caller wants to. Raises what `order_writing`
    raises."""
    from atelier.generations.create import CreateOptions
    from atelier.page_writing.order_writing import order_writing

    seconds = body.wait if body.wait is not None else options.wait_seconds
    options = CreateOptions(options.idempotency_key, seconds)
    created = order_writing(deps, caller, body.wanted(site_id), now, options)
    writing, generation = _found(caller.workspace_id, site_id, created.generation.id, saving, now)
    waited = None if generation.is_open else seconds
    return OrderedWriting(writing_envelope(writing, generation), generation, created.replayed, waited)


def read_writing(
    deps: WritingDeps, workspace_id: str, site_id: str, generation_id: str, now: datetime
) -> WritingEnvelope:
    """What became of an order; its draft is saved now if the event of its end has not come yet. Raises NotFound."""
    return writing_envelope(*_found(workspace_id, site_id, generation_id, deps, now))


def take(
    deps: WritingDeps, caller: Caller, site_id: str, generation_id: str, body: TakeRequest, now: datetime
) -> WritingEnvelope:
    """Save a proposal. Raises NotFound, Conflict."""
    workspace_id = caller.workspace_id
    _, generation = _found(workspace_id, site_id, generation_id, deps, now)
    writing = take_proposal(workspace_id, generation_id, caller.user_id, body.base_version, deps=deps, now=now)
    return writing_envelope(writing, generation)


def _found(
    workspace_id: str, site_id: str, generation_id: str, deps: WritingDeps, now: datetime
) -> tuple[Writing, Generation]:
    writing = save_writing(workspace_id, generation_id, deps=deps, now=now)
    if writing is None or writing.order.site_id != site_id:
        raise NotFound
    return writing, deps.generations.get(workspace_id, generation_id)
