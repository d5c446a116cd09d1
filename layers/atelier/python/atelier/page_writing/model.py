"""Page writing: what is ordered, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from atelier.dataclass import dataclass
from atelier.idempotency import fingerprint
from atelier.page_writing.prompt import WritingKind, WritingTask
from atelier.sites.model import PageContent
from atelier.sites.rules import Removal

# Distinguishes the purpose of these generations from any other one.
PURPOSE = "page_writing"


@dataclass(frozen=True, slots=True)
class WritingOrder:
    """What a generation writes for a site. page_id, base_version: the page as it was when the prompt was built; None =
    it becomes a new page, or a new part. block_id: the block that is written anew, or behind which a section goes.
    path: of a new page. language: a BCP 47 tag; None = the site's."""

    site_id: str
    kind: WritingKind
    task: WritingTask = WritingTask.WRITE
    page_id: str | None = None
    base_version: int | None = None
    block_id: str | None = None
    language: str | None = None
    path: str | None = None

    def purpose(self) -> dict[str, Any]:
        """The order as a generation stores it."""
        values = {
            "of": PURPOSE,
            "site": self.site_id,
            "kind": self.kind.value,
            "task": self.task.value,
            "page": self.page_id,
            "base": self.base_version,
            "block": self.block_id,
            "language": self.language,
            "path": self.path,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class WritingRequestFacts:
    """What a caller asks for. model: `provider/model`, or None = the deployment's choice. tokens_max: of the answer;
    None = the model's default."""

    order: WritingOrder
    request: str
    model: str | None = None
    tokens_max: int | None = None
    project_id: str | None = None
    quote_id: str | None = None

    def fingerprint(self) -> str:
        """A digest of the request alone: the same request is the same one after the page has changed."""
        order = replace(self.order, base_version=None).purpose()
        return fingerprint([order, self.request, self.model, self.tokens_max])


def order_of(purpose: Mapping[str, Any] | None) -> WritingOrder | None:
    """The order that a generation's purpose stores; None = it is for something else."""
    if purpose is None or purpose.get("of") != PURPOSE:
        return None
    return WritingOrder(
        purpose["site"],
        WritingKind(purpose["kind"]),
        WritingTask(purpose["task"]),
        purpose.get("page"),
        purpose.get("base"),
        purpose.get("block"),
        purpose.get("language"),
        purpose.get("path"),
    )


class WritingState(StrEnum):
    """WRITING: the generation is open. SAVED: its draft is a version of a page, or a part. PROPOSED: others have
    changed the same parts of the page meanwhile; a person may take it. FAILED: there is nothing to save."""

    WRITING = "writing"
    SAVED = "saved"
    PROPOSED = "proposed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Writing:
    """What became of an order. page_id and version, or part_id: where it was saved. content: what a proposal says; base
    of its comparison is the newest version of the page. conflicts: the blocks and fields that others changed too.
    removed: what the sanitiser took out; left_out: what else of the answer is not in the draft. reason: why it
    failed."""

    state: WritingState
    order: WritingOrder
    page_id: str | None = None
    version: int | None = None
    part_id: str | None = None
    content: PageContent | None = None
    conflicts: tuple[str, ...] = ()
    removed: tuple[Removal, ...] = ()
    left_out: tuple[str, ...] = ()
    is_cut: bool = False
    reason: str | None = None
