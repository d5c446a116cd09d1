"""Order a text for a site: check what is asked for, build the prompt, and accept or price the generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.errors import Forbidden, Unavailable, ValidationFailed
from atelier.generations.create import NO_OPTIONS, CreateDeps, CreatedGeneration, CreateOptions, accept
from atelier.generations.create_quote import quote_recipe
from atelier.generations.model import Kind, Recipe
from atelier.generations.quote_schemas import QuoteView
from atelier.page_writing.gather_facts import facts_of, rewrites_blocks
from atelier.page_writing.model import WritingOrder, WritingRequestFacts
from atelier.page_writing.prompt import WritingKind, WritingTask, write_prompt
from atelier.sites.deps import SiteDeps
from atelier.sites.model import BlockKind, PageContent, PartKind
from atelier.sites.save_page import read_page

GENERATE = "generations.create"
# The shortest limit of the models that write pages.
PROMPT_CHARACTERS_MAX = 32_000
PARTS_READ = 100
AUTO = "auto"
# What a model of the catalogue has that a deployment wants for sites before any other one.
PREFERRED = "site_pages"


@dataclass(frozen=True, slots=True)
class OrderDeps:
    """The dependencies of ordering."""

    create: CreateDeps
    sites: SiteDeps


def order_writing(
    deps: OrderDeps,
    caller: Caller,
    wanted: WritingRequestFacts,
    now: datetime,
    options: CreateOptions = NO_OPTIONS,
) -> CreatedGeneration:
    """Create the generation of an order. Raises Forbidden, NotFound for a site or page that the workspace does not
    have, ValidationFailed, and what `submit_generation` raises."""
    order, recipe = _prepare(deps, caller, wanted, now)
    key = f"write page {options.idempotency_key}" if options.idempotency_key else None

    def create(model: str) -> CreatedGeneration:
        accepted = accept(
            deps.create,
            caller,
            replace(recipe, model=model),
            key,
            now,
            project_id=wanted.project_id,
            quote_id=wanted.quote_id,
            purpose=order.purpose(),
        )
        if not options.wait_seconds:
            return CreatedGeneration(accepted.generation, accepted.replayed)
        generation = deps.create.wait(accepted.generation, options.wait_seconds, now)
        return CreatedGeneration(generation, accepted.replayed, None if generation.is_open else options.wait_seconds)

    model = _model(deps, wanted, now)
    try:
        return create(model)
    except Unavailable:
        if wanted.model is not None or model == AUTO:
            raise
        return create(AUTO)


def quote_writing(deps: OrderDeps, caller: Caller, wanted: WritingRequestFacts, now: datetime) -> QuoteView:
    """The price of an order, signed. Raises what `order_writing` raises before it accepts."""
    _, recipe = _prepare(deps, caller, wanted, now)
    return quote_recipe(deps.create, caller, replace(recipe, model=_model(deps, wanted, now)), now)


def _prepare(
    deps: OrderDeps, caller: Caller, wanted: WritingRequestFacts, now: datetime
) -> tuple[WritingOrder, Recipe]:
    """The order on the page as it is now, and its recipe."""
    if not caller.has_permission(GENERATE):
        raise Forbidden(f"This needs the permission {GENERATE} too.", permission=GENERATE)
    workspace_id, order = caller.workspace_id, wanted.order
    site = deps.sites.sites.get(workspace_id, order.site_id)
    content = None
    if order.page_id is not None:
        page = read_page(workspace_id, order.site_id, order.page_id, deps=deps.sites, now=now)
        content, order = page.content, replace(order, base_version=page.version)
    _check(order, wanted.request, content)
    lists = [deps.sites.parts.list(workspace_id, kind, None, PARTS_READ) for kind in PartKind]
    facts = facts_of(order, wanted.request, site, content, [part for page in lists for part in page.items])
    if rewrites_blocks(order) and not facts.blocks:
        raise ValidationFailed([{"path": "page_id", "message": "is of a page without blocks of its own"}])
    prompt = write_prompt(facts)
    if len(prompt) > PROMPT_CHARACTERS_MAX:
        message = f"makes a prompt of {len(prompt)} characters, and {PROMPT_CHARACTERS_MAX} can be read: name one block"
        raise ValidationFailed([{"path": "block_id" if order.page_id else "prompt", "message": message}])
    parameters = {} if wanted.tokens_max is None else {"max_tokens": wanted.tokens_max}
    return order, Recipe(Kind.PAGE, prompt, parameters=parameters, request_fingerprint=wanted.fingerprint())


def _check(order: WritingOrder, request: str, content: PageContent | None) -> None:
    fields: list[dict[str, str]] = []
    if order.task is WritingTask.WRITE and not request:
        fields.append({"path": "prompt", "message": "Field required"})
    if content is None and (order.task is not WritingTask.WRITE or order.kind is WritingKind.CONTENT):
        fields.append({"path": "page_id", "message": "is required: this works on a page that is there"})
    if order.task is WritingTask.TRANSLATE and order.language is None:
        fields.append({"path": "language", "message": "is required for a translation"})
    if order.path is not None and content is not None and order.task is not WritingTask.TRANSLATE:
        fields.append({"path": "path", "message": "is of a new page, and this page has one"})
    if order.block_id is not None and content is not None:
        block = next((each for each in content.blocks if each.id == order.block_id), None)
        if block is None:
            fields.append({"path": "block_id", "message": "is no block of the page"})
        elif block.kind is BlockKind.COMPONENT and rewrites_blocks(order):
            fields.append({"path": "block_id", "message": "uses a component or section, which is edited by itself"})
    if fields:
        raise ValidationFailed(fields)


def _model(deps: OrderDeps, wanted: WritingRequestFacts, now: datetime) -> str:
    """The model that was asked for; else the one that the catalogue prefers for sites, if this deployment has access
    to it; else whichever is enabled."""
    if wanted.model is not None:
        return wanted.model
    models = deps.create.submit.catalogue.models_for(Kind.PAGE, now.date())
    return next((model.id for model in models if PREFERRED in model.capabilities), AUTO)
