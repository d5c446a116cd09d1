"""A workspace in the embedded DynamoDB with the real use cases; providers, workflow and media are fakes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3.response import HTTPResponse

from atelier.adapters.aws.dynamodb import audit_log, connection, pause_with_jitter, transaction
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import (
    DynamoPromptRefusals,
    PromptRefusalItem,
    decode_refusal,
)
from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.adapters.aws.dynamodb.health import DynamoHealth
from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.adapters.aws.dynamodb.inbox import DynamoInbox
from atelier.adapters.aws.dynamodb.ledger.items import wallet_item
from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.adapters.aws.dynamodb.library import DynamoAssets
from atelier.adapters.aws.dynamodb.projects import DynamoProjects
from atelier.adapters.aws.dynamodb.rate_limits import DynamoRateWindows
from atelier.catalogue.catalogue import catalogue
from atelier.clock import rfc3339
from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.attempt_deps import AttemptDeps
from atelier.generations.attempt_messages import AttemptFailed, Poll, Slot, VisitCause
from atelier.generations.express import Finish, visit_express
from atelier.generations.finish import FinishDeps, finish
from atelier.generations.model import Attempt, DeliveredFile, Generation, InputAsset, Kind, Recipe, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.ports import InputUnusable, OutputLocation, UndeliverableMedia
from atelier.generations.prompt_refusal import PREFIX as REFUSAL
from atelier.generations.prompt_refusal import PromptRefusal
from atelier.generations.quote import Quote
from atelier.generations.submit import AcceptedGeneration, Submission, SubmitDeps, submit_generation
from atelier.ids import new_id
from atelier.ledger.model import (
    SPENDING_PRIORITY,
    DailyCreditRule,
    Grant,
    GrantSource,
    Movement,
    Wallet,
    new_wallet,
)
from atelier.ledger.post import PostDeps
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Category, OutputWithheld, Policy
from atelier.moderation.prompts import PromptCheck
from atelier.provider_port import (
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    ListedModel,
    Output,
    Pending,
    PollOutcome,
    SubmitOutcome,
    WebhookEvent,
)
from atelier.routing.health_cache import HealthCache
from atelier.routing.rank_offers import Routes
from atelier.routing.rate_limit import ProviderRateLimits, RateLimit
from atelier.routing.rate_limiter import RateLimiter
from tests.conftest import Tables

T = TypeVar("T")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DONE = Done((Output(data=b"bytes"),), {"predict_milliseconds": 2000})


@dataclass
class ScriptedProvider:
    """A provider with scripted answers that records the submitted jobs."""

    answers: list[SubmitOutcome] = field(default_factory=list[SubmitOutcome])
    progress: PollOutcome = field(default_factory=Pending)
    resend_safe: bool = False
    submitted: list[Job] = field(default_factory=list[Job])
    cancelled: list[str] = field(default_factory=list[str])
    found: str | None = None
    webhook_reference: str = "r1"
    before_answer: Callable[[Job], None] = lambda job: None

    def submit(self, job: Job) -> SubmitOutcome:
        self.submitted.append(job)
        self.before_answer(job)
        return self.answers.pop(0) if self.answers else DONE

    def poll(self, reference: str, job: Job) -> PollOutcome:
        return self.progress

    def cancel(self, reference: str) -> CancelResult:
        self.cancelled.append(reference)
        self.progress = Cancelled({"predict_milliseconds": 1000})
        return CancelResult.CANCELLED

    def find(self, job: Job) -> str | None:
        return self.found

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        return WebhookEvent("e1", self.webhook_reference, self.progress)

    def check(self) -> Failed | None:
        return None

    def models(self) -> tuple[ListedModel, ...] | None:
        return None


@dataclass
class FakeWorkflow:
    """A fake of the workflow and the queue that records answers and messages."""

    started: list[str] = field(default_factory=list[str])
    results: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    causes: list[VisitCause] = field(default_factory=list[VisitCause])
    listening: bool = True
    polls: list[tuple[str, str, str, Poll]] = field(default_factory=list[tuple[str, str, str, Poll]])
    delays: list[int] = field(default_factory=list[int])
    later_attempts: list[tuple[str, Slot | None, int]] = field(default_factory=list[tuple[str, Slot | None, int]])

    @property
    def failures(self) -> list[AttemptFailed]:
        """The failed attempts after which the next candidate was to be tried."""
        return [cause for cause in self.causes if isinstance(cause, AttemptFailed)]

    def start(
        self, workspace_id: str, generation_id: str, *, again: str | None = None, cause: VisitCause | None = None
    ) -> None:
        self.started.append(f"{generation_id}-{again}" if again else generation_id)
        if cause is not None:
            self.causes.append(cause)

    def start_express(self, workspace_id: str, generation_id: str) -> None:
        self.started.append(f"express {generation_id}")

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        self.started.append(f"run {run_id}-{again}" if again else f"run {run_id}")

    def succeed(self, task_token: str, result: Mapping[str, Any]) -> bool:
        self.results.append(result)
        return self.listening

    def try_next(self, task_token: str, cause: VisitCause) -> bool:
        self.causes.append(cause)
        return self.listening

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, poll: Poll, delay_seconds: int
    ) -> None:
        self.polls.append((workspace_id, generation_id, attempt_id, poll))
        self.delays.append(delay_seconds)

    def resume_later(
        self, workspace_id: str, generation_id: str, task_token: str, slot: Slot | None, delay_seconds: int
    ) -> None:
        self.later_attempts.append((generation_id, slot, delay_seconds))

    def cancel(self, workspace_id: str, generation_id: str) -> None:
        self.polls.append((workspace_id, generation_id, "cancel", Poll()))


@dataclass
class FakeMedia:
    """A media store that stores nothing. `broken`: every output is undeliverable. `withheld`: the numbers of the
    outputs that moderation withholds. `staged`, `delivered`: what was asked of it, in order."""

    broken: bool = False
    withheld: frozenset[int] = frozenset()
    staged: list[str] = field(default_factory=list[str])
    delivered: list[OutputLocation] = field(default_factory=list[OutputLocation])

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        self.staged.append(f"staging/{generation_id}/{attempt_id}/{number}")
        return self.staged[-1]

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        self.delivered.append(output)
        if self.broken:
            raise UndeliverableMedia("The provider's result could not be fetched.")
        if number in self.withheld:
            raise OutputWithheld(Category.MINORS)
        return DeliveredFile(asset_id(generation.id, number), "image", "0" * 64, "png", 5, 512, 512, has_thumbnail=True)

    def read_input(self, workspace_id: str, source: InputAsset) -> Input:
        return Input(source.asset_id.encode(), f"image/{source.format}")

    def prepare_mask(self, mask: Input, image: Input) -> Input:
        if mask == image:
            raise InputUnusable("The mask changes nothing.")
        return Input(b"%b of %b" % (mask.data, image.data), "image/png")


class World:
    """One workspace with its stores, fakes and use cases. `now` is a virtual clock, which tests set."""

    def __init__(self, tables: Tables, *, providers: frozenset[str] = frozenset({"local"})) -> None:
        self.now = NOON
        self.workspace_id = new_id("wsp", NOON)
        self.wallets, self.generations = DynamoWallets(), DynamoGenerations()
        self.keys, self.inbox, self.assets = DynamoIdempotencyKeys(), DynamoInbox(), DynamoAssets()
        self.wallets.bind(tables.ledger)
        self.generations.bind(tables.generations)
        self.keys.bind(tables.requests)
        self.inbox.bind(tables.inbox)
        self.assets.bind(tables.library)

        self.projects = DynamoProjects()
        self.projects.bind(tables.library)
        audit_log.bind(tables.audit)
        self.catalogue = catalogue(providers)
        self.health = DynamoHealth()
        self.health.bind(tables.providers)
        self.book = HealthCache(self.health)
        paces = DynamoRateWindows()
        paces.bind(tables.providers)
        self.limits: dict[str, RateLimit] = {}
        self.places = RateLimiter(paces, ProviderRateLimits({}, self.limits), pause_with_jitter)
        self.own: dict[str, ScriptedProvider] = {}

        self.execution, self.media = FakeWorkflow(), FakeMedia()
        # In place of the end within a visit of an Express execution.
        self.finish_within: Finish | None = None
        self.moderation = PromptCheck(Policy(), DEFAULT_BLOCKLIST)
        self.local, self.replicate = ScriptedProvider(resend_safe=True), ScriptedProvider()
        self.stability = ScriptedProvider()
        with transaction() as write:
            put_new_wallet(write, new_wallet(self.workspace_id, "free", NOON))

    @property
    def submit_deps(self) -> SubmitDeps:
        return SubmitDeps(
            catalogue=self.catalogue,
            lifetime_max=timedelta(hours=2),
            wallets=self.wallets,
            generations=self.generations,
            keys=self.keys,
            budgets=self.projects,
            input_asset_store=self.assets,
            pause=lambda tries: None,
            moderation=self.moderation,
            refusals=DynamoPromptRefusals(),
        )

    def refusals(self) -> list[PromptRefusal]:
        """The requests of the workspace that moderation refused."""
        items = PromptRefusalItem.query(
            self.workspace_id, PromptRefusalItem.sk.startswith(REFUSAL), consistent_read=True
        )
        return [decode_refusal(item) for item in items]

    def submit(
        self,
        *,
        key: str | None = None,
        prompt: str = "a lighthouse",
        model: str = "auto",
        project_id: str | None = None,
        quote: Quote | None = None,
        routes: Routes | None = None,
        **parameters: int,
    ) -> AcceptedGeneration:
        recipe = Recipe(Kind.IMAGE, prompt, model, None, {"width": 512, "height": 512, **parameters})
        return submit_generation(
            Submission(self.workspace_id, "usr_A", recipe, key, project_id, quote),
            deps=replace(self.submit_deps, routes_of_wallet=None if routes is None else lambda wallet: routes),
            now=self.now,
        )

    def get(self, generation: Generation) -> Generation:
        return self.generations.get(self.workspace_id, generation.id)

    @property
    def attempt_deps(self) -> AttemptDeps:
        def webhook_url(generation: Generation, attempt: Attempt) -> str:
            return f"https://example.test/{attempt.id}"

        return AttemptDeps(
            generations=self.generations,
            catalogue=self.catalogue,
            providers={"local": self.local, "replicate": self.replicate, "stability": self.stability},
            workflow=self.execution,
            queue=self.execution,
            media=self.media,
            inbox=self.inbox,
            webhook_url=webhook_url,
            poll_seconds=5,
            clock=lambda: self.now,
            health=self.book,
            rate_limiter=self.places,
            own_provider=lambda workspace_id, provider, key_id: self.own.get(key_id),
        )

    @property
    def finish_deps(self) -> FinishDeps:
        return FinishDeps(self.generations, self.wallets, self.catalogue, self.media, self.execution)

    @property
    def post_deps(self) -> PostDeps:
        def daily(name: str) -> DailyCreditRule:
            tier = self.catalogue.tier(name)
            return DailyCreditRule(tier.daily_credits, tier.daily_reset)

        return PostDeps(self.wallets, daily, lambda tries: None)

    def wallet(self) -> Wallet:
        """The wallet as it is stored; reading it books nothing."""
        return self.wallets.wallet(self.workspace_id)

    def refreshed(self) -> Wallet:
        return self.post_deps.refreshed_wallet(self.workspace_id, self.now)

    def attempt(self, generation: Generation, *, cause: VisitCause | None = None) -> None:
        deps = self.attempt_deps
        attempt(self.workspace_id, generation.id, TokenReply("token", deps), cause=cause, deps=deps)

    def visit_express(
        self, generation: Generation, *, started_at: datetime | None = None, deps: AttemptDeps | None = None
    ) -> None:
        """One visit of an Express execution, which began at `started_at`; None = now."""
        ids = {"workspace_id": self.workspace_id, "generation_id": generation.id}
        task = {**ids, "started_at": rfc3339(started_at or self.now)}
        visit_express(task, finish=self.finish_within or self.finish_now, deps=deps or self.attempt_deps)

    def finish_now(self, workspace_id: str, generation_id: str, outcome: Outcome) -> Generation:
        return finish(workspace_id, generation_id, outcome, deps=self.finish_deps, now=self.now)

    def finish(self, generation: Generation, outcome: Outcome | None = None) -> Generation:
        result = outcome or Outcome.from_data(self.execution.results[-1])
        return finish(self.workspace_id, generation.id, result, deps=self.finish_deps, now=self.now)

    def fail(self, generation: Generation) -> Generation:
        return self.finish(generation, Outcome("failed", error_class=ErrorClass.TRANSIENT, message="It broke."))

    def movements(self) -> list[Movement]:
        """All movements of the statement, newest first."""
        found: list[Movement] = []
        page = self.wallets.movements(self.workspace_id, None, 100)
        found.extend(page.movements)
        while page.next_key:
            page = self.wallets.movements(self.workspace_id, page.next_key, 100)
            found.extend(page.movements)
        return found

    def assert_sound(self, wallet: Wallet | None = None) -> list[Movement]:
        """Asserts the ledger's invariants in this wallet: its counters are the sums of its entries. Returns its
        movements, newest first. `wallet`: the wallet as it is now, if it was read already."""
        wallet, movements = wallet or self.wallet(), self.movements()
        entries = [entry for movement in movements for entry in movement.entries]
        accounts = ("available", "held", "debt")
        sums = {account: sum(e.amount for e in entries if e.account == account) for account in accounts}
        assert sum(entry.amount for entry in entries) == 0
        assert (wallet.available, wallet.held, wallet.debt) == (sums["available"], sums["held"], -sums["debt"])
        assert wallet.available >= 0
        assert wallet.debt >= 0
        assert wallet.available == sum(grant.remaining for grant in wallet.grants)
        assert wallet.held == sum(grant.held for grant in wallet.grants)
        assert wallet.written == len(movements)
        for grant in wallet.grants:
            of_grant = [e for e in entries if e.grant_id == grant.id]
            assert grant.remaining == sum(e.amount for e in of_grant if e.account == "available")
            assert grant.held == sum(e.amount for e in of_grant if e.account == "held")
        kinds = [movement.kind for movement in movements]
        ended = sum(kinds.count(kind) for kind in ("settled", "released", "expired"))
        assert wallet.holds_open == kinds.count("hold") - ended
        return movements


def stock(world: World, count: int, expires_at: datetime | None = None) -> None:
    """Stores the wallet with `count` more promotional grants of one credit. They have no movements, because so many
    would take long to write."""
    wallet = world.wallet()
    source = GrantSource.PROMO
    promotions = tuple(
        Grant(new_id("grt", NOON), source, 1, 1, 0, SPENDING_PRIORITY[source], NOON, expires_at) for _ in range(count)
    )
    wallet_item(replace(wallet, grants=wallet.grants + promotions, available=wallet.available + count)).save()


def run_concurrently(count: int, call: Callable[[int], T]) -> list[T | Exception]:
    """Runs `call` in `count` threads from one barrier; returns what each returned or raised."""
    barrier = threading.Barrier(count)

    def one(number: int) -> T | Exception:
        barrier.wait()
        try:
            return call(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


TRANSACTION_CONFLICT = (
    b'{"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "Transaction cancelled",'
    b' "CancellationReasons": [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]}'
)
SINGLE_CONFLICT = (
    b'{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",'
    b' "Message": "Transaction is ongoing for the item"}'
)


@contextmanager
def client_event_hook(event: str, call: Callable[..., object]) -> Iterator[None]:
    """Within the block, `call` is the first handler of this botocore event on the process's DynamoDB client."""
    events = connection().client.meta.events
    events.register_first(event, call)
    try:
        yield
    finally:
        events.unregister(event, call)


@contextmanager
def failing_operation(operation: str, body: bytes) -> Iterator[None]:
    """Within the block, each DynamoDB `operation` of this process is answered with this error and never sent. The fault
    is put in at the client's event hook, as an answer from the wire."""

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw(body))

    def raw(content: bytes) -> HTTPResponse:
        return HTTPResponse(BytesIO(content), preload_content=False)

    with client_event_hook(f"before-send.dynamodb.{operation}", answer):
        yield


@contextmanager
def before_first_request(
    act: Callable[[], object], operation: str = "TransactWriteItems", about: str = ""
) -> Iterator[None]:
    """Calls `act` just before this thread's first request of this kind is sent that has `about` in its body."""
    waiting, here = [act], threading.get_ident()

    def first(params: dict[str, Any], **_: Any) -> None:
        if waiting and threading.get_ident() == here and about in str(params["body"]):
            waiting.pop()()

    with client_event_hook(f"before-call.dynamodb.{operation}", first):
        yield
    assert not waiting, "no such request was sent"
