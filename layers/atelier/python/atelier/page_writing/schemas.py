"""HTTP schemas of page writing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from atelier.generations.model import Generation
from atelier.lazy_model import LazyModel
from atelier.page_writing.model import Writing, WritingOrder, WritingRequestFacts
from atelier.page_writing.prompt import WritingKind, WritingTask
from atelier.sites.schemas import ContentView, RemovalView, content_fields, removal_views

KindOfWriting = Literal["page", "section", "content", "layout"]
TaskOfWriting = Literal["write", "improve", "translate", "seo"]
StateOfWriting = Literal["writing", "saved", "proposed", "failed"]
SiteId = Annotated[str, Field(pattern=r"^sit_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
PageId = Annotated[str, Field(pattern=r"^pag_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
ProjectOfWriting = Annotated[str, Field(pattern=r"^prj_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class WritingRequest(LazyModel):
    """`kind`: a whole page, one section, other texts in the blocks that are there, or a layout of the site's parts.
    `task`: something new, or a template: `improve` the page's blocks (or `block_id`), `translate` them into `language`
    (with a `path`: as a new page), `seo` for title and description. Without `page_id` a page becomes a new one, and a
    section a part. `model`: `provider/model`. `max_tokens`: of the answer, for models that have that parameter. `wait`:
    seconds to wait for the draft, as `Prefer: wait` does."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: KindOfWriting
    task: TaskOfWriting = "write"
    prompt: Annotated[str, Field(max_length=8000, examples=["A page for my bakery in Leipzig"])] = ""
    page_id: PageId | None = None
    block_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$")] | None = None
    path: (
        Annotated[
            str,
            StringConstraints(
                max_length=200, pattern=r"^/(?:[a-z0-9]+(?:[-_][a-z0-9]+)*(?:/[a-z0-9]+(?:[-_][a-z0-9]+)*)*)?$"
            ),
        ]
        | None
    ) = None
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    max_tokens: Annotated[int, Field(ge=16, le=128_000)] | None = None
    project_id: ProjectOfWriting | None = None
    quote_id: Annotated[str, Field(max_length=2048, pattern=r"^[A-Za-z0-9_.\-]+$")] | None = None
    wait: Annotated[int, Field(ge=0, le=25)] | None = None

    def wanted(self, site_id: str) -> WritingRequestFacts:
        """What is asked for."""
        order = WritingOrder(
            site_id,
            WritingKind(self.kind),
            WritingTask(self.task),
            self.page_id,
            None,
            self.block_id,
            self.language,
            self.path,
        )
        return WritingRequestFacts(order, self.prompt, self.model, self.max_tokens, self.project_id, self.quote_id)


class GeneratePageRequest(WritingRequest):
    """The same for a site that the body names."""

    site_id: SiteId
    kind: KindOfWriting = "page"


class TakeRequest(LazyModel):
    """`base_version`: the newest version of the page that you have seen; the proposal takes its place."""

    model_config = ConfigDict(extra="forbid")

    base_version: Annotated[int, Field(ge=1, le=10**9)]


class WritingView(LazyModel):
    """`state`: `writing` while the generation is open; `saved` as `version` of `page_id`, or as `part_id`; `proposed`
    when others have changed the same parts meanwhile (`conflicts`): `proposal` is the page as it would be; `failed`
    with a `reason`. `removed`: what pages must not contain and was taken out. `left_out`: what else of the answer is
    not in the draft. `is_cut`: the answer ended in the middle."""

    generation_id: str
    site_id: str
    state: StateOfWriting
    kind: KindOfWriting
    task: TaskOfWriting
    page_id: str | None
    version: int | None
    part_id: str | None
    proposal: ContentView | None
    conflicts: list[str]
    removed: list[RemovalView]
    left_out: list[str]
    is_cut: bool
    reason: str | None
    model: str | None
    credits_held: int
    credits_charged: int
    usage: dict[str, int]


class WritingEnvelope(LazyModel):
    writing: WritingView


def writing_envelope(writing: Writing, generation: Generation) -> WritingEnvelope:
    order, content = writing.order, writing.content
    view = WritingView(
        generation_id=generation.id,
        site_id=order.site_id,
        state=writing.state.value,
        kind=order.kind.value,
        task=order.task.value,
        page_id=writing.page_id or order.page_id,
        version=writing.version,
        part_id=writing.part_id,
        proposal=None if content is None else ContentView(**content_fields(content)),
        conflicts=list(writing.conflicts),
        removed=removal_views(writing.removed),
        left_out=list(writing.left_out),
        is_cut=writing.is_cut,
        reason=writing.reason,
        model=generation.attempt.model if generation.attempt else None,
        credits_held=generation.credits_held,
        credits_charged=generation.credits_charged,
        usage=dict(generation.usage),
    )
    return WritingEnvelope(writing=view)
