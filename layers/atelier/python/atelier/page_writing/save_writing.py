"""Save what a generation wrote for a site as a draft, once, however often this runs.

| the answer is | it becomes |
|---|---|
| a new page, or a translation with a path of its own | a page, under a key of the generation |
| a new section without a page | a part, under such a key |
| a page, or blocks of one | a version that names the generation, merged with what others have saved meanwhile |
| what others have changed too | a proposal: nothing is stored until a person takes it |

Each of these is a natural key, so a second delivery of the event, a crash and a reader who asks in the meantime find
what is there. A draft that was removed since is not made anew: the outcome is kept under a key of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from atelier.dataclass import dataclass
from atelier.errors import AtelierError, Conflict, NotFound, ValidationFailed
from atelier.generations.model import Generation, Status
from atelier.page_writing.deps import WritingDeps
from atelier.page_writing.model import Writing, WritingOrder, WritingState, order_of
from atelier.page_writing.prompt import WritingTask
from atelier.sites.check_page import rules_of
from atelier.sites.manage_parts import PartEdit, create_part
from atelier.sites.model import Part, PartKind
from atelier.sites.rules import Removal
from atelier.sites.sanitize import clean_content
from atelier.sites.save_page import PageEdit, create_page, save_page

if TYPE_CHECKING:
    from atelier.page_writing.apply_answer import WrittenDraft

PARTS_READ, VERSIONS_READ = 100, 50
PART_NAME_CHARACTERS_MAX = 60
GONE = "The site or the page was removed meanwhile."


@dataclass(frozen=True, slots=True)
class _Draft:
    """A draft with what is needed to save it."""

    draft: WrittenDraft
    removed: tuple[Removal, ...]
    is_cut: bool


def save_writing(workspace_id: str, generation_id: str, *, deps: WritingDeps, now: datetime) -> Writing | None:
    """What became of a generation's order; saves its draft if that was not done yet. None = the generation is for
    something else. Raises NotFound for an unknown generation, and Unavailable."""
    generation = deps.generations.get(workspace_id, generation_id)
    order = order_of(generation.purpose)
    if order is None:
        return None
    if generation.is_open:
        return Writing(WritingState.WRITING, order)
    if generation.status is not Status.SUCCEEDED:
        reason = generation.failure.message if generation.failure else "This was cancelled."
        return Writing(WritingState.FAILED, order, reason=reason)
    try:
        made = _make_draft(generation, order, deps, now)
        if isinstance(made, str):
            return Writing(WritingState.FAILED, order, reason=made)
        outcome = deps.sites.keys.find(workspace_id, _key(generation_id))
        saved = _of_outcome(order, outcome) if outcome else _save(generation, order, made, deps, now)
    except NotFound:
        return Writing(WritingState.FAILED, order, reason=GONE)
    except ValidationFailed as refused:
        return Writing(WritingState.FAILED, order, reason=_reason(refused))
    return replace(saved, removed=made.removed, left_out=made.draft.left_out, is_cut=made.is_cut)


def take_proposal(
    workspace_id: str, generation_id: str, user_id: str, base_version: int, *, deps: WritingDeps, now: datetime
) -> Writing:
    """Save a proposal as the newest version of its page, because a person wants it in place of what is there.
    base_version: the version that the person has seen. Raises NotFound, Conflict."""
    writing = save_writing(workspace_id, generation_id, deps=deps, now=now)
    if writing is None:
        raise NotFound
    if writing.state is not WritingState.PROPOSED or writing.content is None or writing.page_id is None:
        raise Conflict("This is no proposal (any more).", state=writing.state.value)
    order = writing.order
    head = deps.sites.pages.head(workspace_id, order.site_id, writing.page_id)
    content = replace(writing.content, path=head.path)
    edit = PageEdit(
        workspace_id, order.site_id, user_id, content, _note(order, writing), base_version, generation_id=generation_id
    )
    saved = save_page(writing.page_id, edit, deps=deps.sites, now=now)
    return _kept(workspace_id, generation_id, _on_page(order, writing.page_id, saved.page.version), deps)


def _make_draft(generation: Generation, order: WritingOrder, deps: WritingDeps, now: datetime) -> _Draft | str:
    """The draft of a generation's answer, or why there is none. Raises NotFound, ValidationFailed."""
    # Imported here, because most requests ask for what is not written yet.
    from atelier.page_writing.answer import UnreadableAnswer
    from atelier.page_writing.apply_answer import AnswerContext, Unusable, apply_answer, asset_ids
    from atelier.page_writing.read_answer import read_answer

    workspace_id, sites = generation.workspace_id, deps.sites
    answer = read_answer(deps.read_text(generation) or "")
    if isinstance(answer, UnreadableAnswer):
        return answer.message
    site = sites.sites.get(workspace_id, order.site_id)
    rules = rules_of(site, sites.quota_of(workspace_id, now).tier.site_scripts)
    content = None
    if order.page_id is not None:
        head = sites.pages.head(workspace_id, order.site_id, order.page_id)
        base = sites.pages.version(workspace_id, order.page_id, order.base_version or 1, now)
        newest = base or sites.pages.version(workspace_id, order.page_id, head.version, now)
        if newest is None:
            raise NotFound
        content = newest.content
    context = AnswerContext(
        generation.id,
        content,
        _parts(workspace_id, deps),
        frozenset(sites.assets.kept(workspace_id, asset_ids(answer))),
        rules.scripts,
    )
    draft = apply_answer(order, answer, context)
    if isinstance(draft, Unusable):
        return draft.message
    removed = clean_content(draft.content, rules)[1] if draft.content else ()
    before = content.blocks if content else ()
    written = {block.id for block in draft.content.blocks if block not in before} if draft.content else set[str]()
    removed = tuple(each for each in removed if each.block_id in written)
    return _Draft(draft, removed, answer.is_cut)


def _save(generation: Generation, order: WritingOrder, made: _Draft, deps: WritingDeps, now: datetime) -> Writing:
    workspace_id, draft = generation.workspace_id, made.draft
    if draft.content is None:
        return _kept(workspace_id, generation.id, _save_part(generation, order, made, deps, now), deps)
    if order.page_id is None or (order.task is WritingTask.TRANSLATE and order.path is not None):
        return _kept(workspace_id, generation.id, _save_new_page(generation, order, made, deps, now), deps)
    found = _saved_version(generation, order.page_id, order.base_version or 1, deps, now)
    if found is not None:
        return _kept(workspace_id, generation.id, _on_page(order, order.page_id, found), deps)
    try:
        saved = save_page(order.page_id, _edit(generation, order, made), deps=deps.sites, now=now)
    except Conflict as conflict:
        names = [*conflict.facts.get("blocks", ()), *conflict.facts.get("fields", ()), *conflict.facts.get("moved", ())]
        proposal = Writing(WritingState.PROPOSED, order, page_id=order.page_id, content=draft.content)
        return replace(proposal, conflicts=tuple(names))
    return _kept(workspace_id, generation.id, _on_page(order, order.page_id, saved.page.version), deps)


def _save_new_page(
    generation: Generation, order: WritingOrder, made: _Draft, deps: WritingDeps, now: datetime
) -> Writing:
    """A new page at its path, or at one with the generation's last letters when another page has that. Which one was
    chosen is kept before anything is stored there."""
    edit = replace(_edit(generation, order, made), base_version=None, idempotency_key=_key(generation.id))
    other_key = f"{_key(generation.id)} other path"
    other_path = f"{edit.content.path.rstrip('/')}/{generation.id[-6:].lower()}"
    other_edit = replace(edit, content=replace(edit.content, path=other_path), idempotency_key=other_key)
    if deps.sites.keys.find(generation.workspace_id, other_key) is None:
        try:
            saved = create_page(edit, deps=deps.sites, now=now)
            return _on_page(order, saved.page.id, saved.page.version)
        except ValidationFailed as refused:
            if [field["path"] for field in refused.facts["fields"]] != ["path"]:
                raise
            deps.sites.keys.reserve(generation.workspace_id, other_key, "", other_path)
    saved = create_page(other_edit, deps=deps.sites, now=now)
    return _on_page(order, saved.page.id, saved.page.version)


def _save_part(generation: Generation, order: WritingOrder, made: _Draft, deps: WritingDeps, now: datetime) -> Writing:
    edit = PartEdit(
        generation.workspace_id,
        generation.user_id,
        PartKind.SECTION,
        f"Section {generation.id[-6:]}",
        made.draft.html,
        css=made.draft.css,
        note=_note(order, made),
        idempotency_key=_key(generation.id),
    )
    saved = create_part(edit, deps=deps.sites, now=now)
    return Writing(WritingState.SAVED, order, part_id=saved.part.id, version=saved.part.version)


def _saved_version(
    generation: Generation, page_id: str, base_version: int, deps: WritingDeps, now: datetime
) -> int | None:
    """The version of a page that a generation has written; None = there is none."""
    before: int | None = None
    while True:
        page = deps.sites.pages.versions(generation.workspace_id, page_id, before, VERSIONS_READ, now)
        for version in page.items:
            if version.generation_id == generation.id:
                return version.number
        before = page.next_number
        if before is None or before <= base_version:
            return None


def _edit(generation: Generation, order: WritingOrder, made: _Draft) -> PageEdit:
    assert made.draft.content is not None
    return PageEdit(
        generation.workspace_id,
        order.site_id,
        generation.user_id,
        made.draft.content,
        _note(order, made),
        order.base_version,
        generation_id=generation.id,
    )


def _parts(workspace_id: str, deps: WritingDeps) -> dict[str, Part]:
    pages = [deps.sites.parts.list(workspace_id, kind, None, PARTS_READ) for kind in PartKind]
    return {part.id: part for page in pages for part in page.items}


def _key(generation_id: str) -> str:
    return f"writing {generation_id}"


def _kept(workspace_id: str, generation_id: str, writing: Writing, deps: WritingDeps) -> Writing:
    """Keep where a draft was saved."""
    outcome = f"{writing.page_id or writing.part_id} {writing.version}"
    deps.sites.keys.reserve(workspace_id, _key(generation_id), "", outcome)
    return writing


def _of_outcome(order: WritingOrder, outcome: str) -> Writing:
    id, _, version = outcome.partition(" ")
    if id.startswith("pag_"):
        return _on_page(order, id, int(version))
    return Writing(WritingState.SAVED, order, part_id=id, version=int(version))


def _on_page(order: WritingOrder, page_id: str, version: int) -> Writing:
    return Writing(WritingState.SAVED, order, page_id=page_id, version=version)


def _note(order: WritingOrder, made: _Draft | Writing) -> str:
    """The note of the version: what was done, and what is missing from the answer."""
    from atelier.page_writing.apply_answer import removed_words

    done = order.task.value if order.task is not WritingTask.WRITE else f"write {order.kind.value}"
    missing = removed_words([*(each.what for each in made.removed)])
    return f"AI: {done}" + (f"; taken out: {missing}" if missing else "")


def _reason(refused: AtelierError) -> str:
    fields = refused.facts.get("fields", ())
    return "The draft cannot be saved: " + "; ".join(f"{each['path']} {each['message']}" for each in fields[:5])
