"""What generations need from outside: the store, the workflow, the queue, media, and the providers' inbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from atelier.frozen import dataclass
from atelier.generations.model import Delivered, Generation, Source
from atelier.ledger.model import Ending, Movement, Opening
from atelier.providers._contract import Input


class GenerationExists(Exception):
    """A generation with this id has been written before."""


class QuoteRedeemed(Exception):
    """Another generation has been written with this quote."""


class GenerationMoved(Exception):
    """The generation is no longer in the state that the write was planned on: read it again."""


@dataclass(frozen=True, slots=True)
class GenerationPage:
    """Newest first; `next_id` continues after the last."""

    generations: tuple[Generation, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a listing may ask for; None = any."""

    status: str | None = None
    kind: str | None = None
    provider: str | None = None
    model: str | None = None
    project_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """How to wake a waiting execution about one attempt: the task token, and the provider's reference once known."""

    attempt_id: str
    task_token: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """What the next visit of the attempt step is told: which attempt failed before it, why, and what it cost; or the
    turn that has come (`str` of a Turn)."""

    attempt_id: str
    error_class: str
    turn: str | None = None
    cost_microusd: int = 0
    cost_source: str = "estimate"

    def as_data(self) -> dict[str, Any]:
        """Plain JSON values, without those that say nothing."""
        data = {"attempt_id": self.attempt_id, "error_class": self.error_class, "turn": self.turn}
        cost = {"cost_microusd": self.cost_microusd, "cost_source": self.cost_source} if self.cost_microusd else {}
        return {name: value for name, value in (data | cost).items() if value is not None}


class GenerationStore(Protocol):
    """Generations. Writes that move credits carry the ledger's part in the same transaction."""

    def open_with_hold(self, generation: Generation, opening: Opening) -> None:
        """Write the generation, its hold, the hold's movement, its reservations, and that its quote is redeemed. Raises
        GenerationExists, StaleWallet, QuoteRedeemed, or BudgetRefused."""
        ...

    def close_with_ending(self, generation: Generation, ending: Ending) -> None:
        """Write the final state, the end of its hold, and what was spent. Raises GenerationMoved when it is final
        already."""
        ...

    def close_as_ended(self, generation: Generation) -> None:
        """Write the final state of a generation whose hold has ended already, or that has none of its own (a stage).
        Raises GenerationMoved when it is final already."""
        ...

    def record(self, generation: Generation) -> None:
        """Write a generation that is final from the start and costs nothing. Raises GenerationExists, or BudgetRefused
        for a project that there is not, or that takes nothing new."""
        ...

    def keep_result(self, workspace_id: str, reuse_key: str, generation_id: str) -> None:
        """Remember whose result serves identical requests: the latest one's."""
        ...

    def result_for(self, workspace_id: str, reuse_key: str) -> Generation | None:
        """The generation that is remembered under a key."""
        ...

    def begin_stage(self, run: Generation, after: Generation, stage: Generation) -> None:
        """Write the next stage of an open run, and the run as it is `after` that. Raises GenerationMoved when the run
        is no longer as it was seen: it has ended, is to be cancelled, or another has begun the stage."""
        ...

    def deliver_late(self, generation: Generation, movement: Movement) -> None:
        """Write the success of a generation that had expired, and the movement that says whose loss it is. Raises
        GenerationMoved when it is not expired any more."""
        ...

    def book_late(self, generation: Generation) -> None:
        """Write what a generation that has expired turns out to have used and cost, and how its attempt ended. Raises
        GenerationMoved when it is not expired any more, or another has booked meanwhile."""
        ...

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        """Consistent; raises NotFound."""
        ...

    def list(self, workspace_id: str, filters: Filters, after_id: str | None, limit: int) -> GenerationPage: ...

    def save_progress(self, before: Generation, after: Generation) -> None:
        """Write an open generation's attempts, status, progress or cancel request. Raises GenerationMoved unless it is
        still as `before` says."""
        ...

    def save_callback(self, workspace_id: str, generation_id: str, callback: Callback) -> None: ...

    def callback(self, workspace_id: str, generation_id: str, attempt_id: str) -> Callback | None: ...

    def open_since(self, workspace_id: str, created_after: datetime) -> list[Generation]:
        """All open generations made after an instant (consistent)."""
        ...


class IdempotencyKeys(Protocol):
    """Binds a caller's key to one id and one fingerprint, for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        """The id bound to the key: `new_id` the first time, later the one of then. Raises IdempotencyMismatch."""
        ...

    def find(self, workspace_id: str, key: str) -> str | None:
        """The id bound to the key, None while there is none. Consistent; binds nothing."""
        ...


class Workflow(Protocol):
    """The executions that coordinate generations."""

    def start(self, workspace_id: str, generation_id: str, *, again: str | None = None) -> None:
        """Start the execution named as the generation; an existing one is success. `again` names what a further one is
        needed for; there is at most one for each name."""
        ...

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        """Start the execution of a run, in the same way: it goes on where the run stands."""
        ...

    def succeed(self, task_token: str, result: Mapping[str, Any]) -> bool:
        """Answer a waiting task; False when nobody waits on this token any more."""
        ...

    def try_next(self, task_token: str, lost: Lost) -> bool:
        """Tell a waiting task that an attempt failed and the next candidate is to be tried, or that the turn has come
        that it waited for; False when nobody waits any more."""
        ...


class AttemptQueue(Protocol):
    """Delayed messages about attempts."""

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, polls: int, delay_seconds: int
    ) -> None: ...

    def try_later(
        self, workspace_id: str, generation_id: str, task_token: str, turn: str | None, delay_seconds: int
    ) -> None:
        """Have a waiting task try again, with the turn that is kept for it then."""
        ...

    def cancel(self, workspace_id: str, generation_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """A provider's output that finish can reach: a staging key, or the provider's own URL."""

    key: str | None = None
    url: str | None = None


class Media(Protocol):
    """Result bytes: staged by the attempt, processed and kept by finish."""

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        """Store raw bytes; returns the staging key. The same call twice stores once."""
        ...

    def deliver(self, generation: Generation, number: int, output: StoredOutput, hosts: tuple[str, ...]) -> Delivered:
        """Fetch (only from `hosts`), check, clean, watermark and store one output with its thumbnail. Raises
        UndeliverableMedia, or OutputWithheld: then nothing is stored."""
        ...

    def input(self, workspace_id: str, source: Source) -> Input:
        """The bytes of a file that the work starts from. Raises NotFound."""
        ...

    def mask(self, mask: Input, picture: Input) -> Input:
        """A mask in the one form that providers are given: a PNG of the picture's size, see-through where it is to
        change. Raises InputUnusable for one that changes nothing, or is of another shape."""
        ...


class InputUnusable(Exception):
    """A file that the work starts from cannot be used for it. The text is safe to show."""


class UndeliverableMedia(Exception):
    """The provider's output cannot be fetched, or is not what it should be. The text is safe to show."""


class UnusableMedia(UndeliverableMedia):
    """Its bytes are there, and are not what they should be."""


class AssetStore(Protocol):
    """The library's side of a delivery."""

    def record(self, generation: Generation, delivered: Delivered, number: int) -> None:
        """Write the asset unless it is there already; edits made since stay."""
        ...


class SourceAssets(Protocol):
    """Where the files are that a generation may start from."""

    def source(self, workspace_id: str, asset_id: str, asset_type: str) -> Source:
        """An asset of the workspace and of this type, as a source. Raises NotFound."""
        ...

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        """Whether an asset is in the library, and not archived."""
        ...


class WebhookInbox(Protocol):
    """Webhooks as they came, kept before they are answered."""

    def keep(
        self,
        provider: str,
        attempt_id: str,
        event_id: str,
        address: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        """Store one webhook; False when it is there already. `address` says which generation it belongs to."""
        ...

    def find(self, provider: str, attempt_id: str) -> list[KeptWebhook]:
        """All webhooks kept for an attempt."""
        ...


@dataclass(frozen=True, slots=True)
class KeptWebhook:
    """A stored webhook: raw bytes and headers, with the time they came."""

    headers: dict[str, str]
    body: bytes
    received_at: datetime
