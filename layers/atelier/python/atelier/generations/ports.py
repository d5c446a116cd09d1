"""The ports of generations: store, idempotency keys, workflow, queue, media and assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from atelier.dataclass import dataclass
from atelier.generations.attempt_messages import Poll, Slot, VisitCause
from atelier.generations.model import DeliveredFile, Generation, InputAsset
from atelier.ledger.model import HoldPlan, Movement, SettlementPlan
from atelier.provider_port import Input

if TYPE_CHECKING:
    from atelier.library.character import Character
    from atelier.library.template import Template


class GenerationExists(Exception):
    """A generation with this id is stored already."""


class QuoteRedeemed(Exception):
    """This quote was redeemed by another generation."""


class GenerationChanged(Exception):
    """The stored generation has changed since it was read, so the write failed: read it again."""


@dataclass(frozen=True, slots=True)
class GenerationPage:
    """One page of generations, newest first. `next_id` is the id to continue after; None = the last page."""

    generations: tuple[Generation, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a listing; None = any value."""

    status: str | None = None
    kind: str | None = None
    provider: str | None = None
    model: str | None = None
    project_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskCallback:
    """How to answer the execution that waits for an attempt: its task token (empty = none waits yet), and the
    provider's id of the job (None = not known yet). `outcome`: how the attempt ended, as the JSON values of an Outcome,
    when a visit without a token has stored it; None = not known yet."""

    attempt_id: str
    task_token: str
    reference: str | None
    outcome: Mapping[str, Any] | None = None


class GenerationStore(Protocol):
    """The store of generations. A write that moves credits contains the ledger's writes in the same transaction.

    `files` of an end are new results: the same transaction records them as assets, and counts their bytes. A file that
    is an asset already is not recorded again, so that later edits are kept."""

    def open_with_hold(self, generation: Generation, opening: HoldPlan) -> None:
        """Write the generation, its hold with the movement, its budget reservations, and the redemption of its quote.
        Raises GenerationExists, StaleWallet, QuoteRedeemed, or BudgetRefused."""
        ...

    def close_with_ending(
        self, generation: Generation, ending: SettlementPlan, files: Sequence[DeliveredFile] = ()
    ) -> None:
        """Write the final state, the end of the hold, and the spending of its budgets. Raises GenerationMoved when the
        generation is final already."""
        ...

    def close_as_ended(self, generation: Generation, files: Sequence[DeliveredFile] = ()) -> None:
        """Write the final state of a generation whose hold has ended already, or that has no hold (a stage). Raises
        GenerationMoved when the generation is final already."""
        ...

    def write_final(self, generation: Generation) -> None:
        """Write a generation that is final from the start and free. Raises GenerationExists, or BudgetRefused when its
        project does not exist or is archived."""
        ...

    def keep_result(self, workspace_id: str, reuse_key: str, generation_id: str) -> None:
        """Remember this generation as the result for identical requests, in place of an earlier one."""
        ...

    def result_for(self, workspace_id: str, reuse_key: str) -> Generation | None:
        """The generation that is remembered under a key, None = there is none."""
        ...

    def begin_stage(self, run: Generation, run_after: Generation, stage: Generation) -> None:
        """Write the next stage of an open run, and the run's new state `after`. Raises GenerationMoved when the stored
        run differs from `run`: it has ended, its cancellation is requested, or a parallel writer began the stage."""
        ...

    def deliver_late(self, generation: Generation, movement: Movement, files: Sequence[DeliveredFile] = ()) -> None:
        """Write the success of an expired generation, and the movement that books its cost as the operator's loss.
        Raises GenerationMoved when the generation is no longer expired."""
        ...

    def book_late(self, generation: Generation) -> None:
        """Write the real usage and cost of an expired generation, and how its attempt ended. Raises GenerationMoved
        when it is no longer expired, or a parallel writer has booked its cost."""
        ...

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        """Read a generation, with a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str, filters: Filters, after_id: str | None, limit: int) -> GenerationPage: ...

    def save_progress(self, before: Generation, after: Generation) -> None:
        """Write the attempts, status, progress or cancel request of an open generation. Raises GenerationMoved unless
        the stored generation is still the same as `before`."""
        ...

    def save_delay(self, generation: Generation, until: datetime, candidate: str | None) -> None:
        """Write until when a rate limit delays an open generation, and the candidate whose slot is reserved for then.
        Does nothing when it has ended meanwhile."""
        ...

    def save_callback(self, workspace_id: str, generation_id: str, callback: TaskCallback) -> TaskCallback:
        """Write what is known of it; what is not stays as it is stored. Returns it as it is stored now."""
        ...

    def save_outcome(
        self, workspace_id: str, generation_id: str, attempt_id: str, outcome: Mapping[str, Any]
    ) -> TaskCallback:
        """Write how an attempt ended, in its callback. Returns that as it is stored now."""
        ...

    def callback(self, workspace_id: str, generation_id: str, attempt_id: str) -> TaskCallback | None: ...

    def open_since(self, workspace_id: str, created_after: datetime) -> list[Generation]:
        """All open generations created after an instant, with a consistent read."""
        ...


class GenerationPlaces(Protocol):
    """In which workspace a generation is."""

    def workspace_of(self, generation_id: str) -> str | None:
        """The workspace of a generation or run that has an execution of its own; None when there is none (any more)."""
        ...


class Workflow(Protocol):
    """The workflow executions that drive generations and runs."""

    def start(
        self, workspace_id: str, generation_id: str, *, again: str | None = None, cause: VisitCause | None = None
    ) -> None:
        """Start the execution that is named after the generation; it is success when that exists already. `again` names
        the reason for a further execution, and there is at most one for each reason. `cause`: of its first visit."""
        ...

    def start_express(self, workspace_id: str, generation_id: str) -> None:
        """Start an Express execution, which attempts and finishes a generation whose provider answers at once. A second
        start may start a second one."""
        ...

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        """Start the execution of a run, in the same way. It continues from the run's stored state."""
        ...

    def succeed(self, task_token: str, result: Mapping[str, Any]) -> bool:
        """Answer a task token with a result. Returns False when no execution waits on the token any more."""
        ...

    def try_next(self, task_token: str, cause: VisitCause) -> bool:
        """Have the execution that waits on the token run its attempt step again, and pass it the cause. Returns False
        when no execution waits on the token any more."""
        ...


class AttemptQueue(Protocol):
    """The queue of delayed messages about attempts."""

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, poll: Poll, delay_seconds: int
    ) -> None: ...

    def resume_later(
        self, workspace_id: str, generation_id: str, task_token: str, slot: Slot | None, delay_seconds: int
    ) -> None:
        """After a delay, run the attempt step of a waiting task again, with the slot that is reserved for then."""
        ...

    def cancel(self, workspace_id: str, generation_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class OutputLocation:
    """Where an output of a provider is: at a staging key, at the provider's own URL, or in this process's memory
    (`data`), which never travels through the workflow."""

    key: str | None = None
    url: str | None = None
    data: bytes | None = None


class Media(Protocol):
    """The files of generations: the attempt step stages results, and the finish step processes and stores them."""

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        """Store the raw bytes of an output, and return the staging key. Calling it twice stores the bytes once."""
        ...

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        """Fetch (only from `hosts`), check, clean, watermark and store one output with its thumbnail. Raises
        UndeliverableMedia, or OutputWithheld by moderation; then nothing is stored."""
        ...

    def read_input(self, workspace_id: str, source: InputAsset) -> Input:
        """Read the bytes of an input file. Raises NotFound."""
        ...

    def prepare_mask(self, mask: Input, image: Input) -> Input:
        """The mask in the one form that providers get: a PNG of the image's size, transparent where the image is to
        change. Raises InputUnusable for a mask that changes nothing, or that has another shape."""
        ...


class InputUnusable(Exception):
    """An input file cannot be used for this generation. The text is safe to show to the caller."""


class UndeliverableMedia(Exception):
    """The provider's output cannot be fetched, or is not a valid file. The text is safe to show to the caller."""


class InvalidMedia(UndeliverableMedia):
    """The output was fetched, and its bytes are not a valid file of the expected type."""


class InputAssetStore(Protocol):
    """The library, as the source of input files."""

    def input_asset(self, workspace_id: str, asset_id: str, asset_type: str) -> InputAsset:
        """The asset as an input file. Raises NotFound when the workspace has no such asset of this type."""
        ...

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        """Whether an asset is in the library and not archived."""
        ...

    def counted_bytes(self, workspace_id: str) -> int:
        """What the library counts of the workspace's stored bytes (see `Wallet.stored_bytes`); files that were stored
        before there was a counter are included from the first upload or deletion on."""
        ...


class CharacterReads(Protocol):
    """The characters that requests name."""

    def get(self, workspace_id: str, character_id: str, /) -> Character:
        """Raises NotFound."""
        ...


class TemplateReads(Protocol):
    """The templates that requests run."""

    def get(self, workspace_id: str, template_id: str, /) -> Template:
        """Raises NotFound."""
        ...

    def count_use(self, workspace_id: str, template_id: str, /) -> None:
        """Count one use of a template. Does nothing when the template no longer exists."""
        ...
