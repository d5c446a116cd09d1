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

from atelier.aws.dynamodb import connection, pause, transaction
from atelier.aws.dynamodb.generations import DynamoGenerations
from atelier.aws.dynamodb.health import DynamoHealth
from atelier.aws.dynamodb.idempotency import DynamoIdempotencyKeys
from atelier.aws.dynamodb.inbox import DynamoInbox
from atelier.aws.dynamodb.ledger import DynamoWallets, put_new_wallet
from atelier.aws.dynamodb.library import DynamoAssets
from atelier.aws.dynamodb.paces import DynamoPaces
from atelier.aws.dynamodb.projects import DynamoProjects
from atelier.generations.attempt import Attempting, attempt
from atelier.generations.finish import Finishing, finish
from atelier.generations.model import Attempt, Delivered, Generation, Kind, Recipe, Source, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.ports import InputUnusable, Lost, StoredOutput, UndeliverableMedia
from atelier.generations.quote import Quote
from atelier.generations.submit import Accepted, Submission, Submitting, submit
from atelier.ids import new_id
from atelier.ledger.model import Daily, Movement, Wallet, new_wallet
from atelier.ledger.post import Posting
from atelier.moderation.blocklist import SHIPPED
from atelier.moderation.model import Category, OutputWithheld, Policy
from atelier.moderation.prompts import PromptCheck
from atelier.pricing.catalogue import catalogue
from atelier.providers._contract import (
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
    Progress,
    Submitted,
    WebhookEvent,
)
from atelier.routing.book import HealthBook
from atelier.routing.choose import Routes
from atelier.routing.pace import Limit, Limits
from atelier.routing.places import Places
from tests.conftest import Tables

T = TypeVar("T")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DONE = Done((Output(data=b"bytes"),), {"predict_milliseconds": 2000})


@dataclass
class ScriptedProvider:
    """A provider with scripted answers that records the submitted jobs."""

    answers: list[Submitted] = field(default_factory=list[Submitted])
    progress: Progress = field(default_factory=Pending)
    resend_safe: bool = False
    submitted: list[Job] = field(default_factory=list[Job])
    cancelled: list[str] = field(default_factory=list[str])
    found: str | None = None
    webhook_reference: str = "r1"
    before_answer: Callable[[Job], None] = lambda job: None

    def submit(self, job: Job) -> Submitted:
        self.submitted.append(job)
        self.before_answer(job)
        return self.answers.pop(0) if self.answers else DONE

    def poll(self, reference: str, job: Job) -> Progress:
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
class Execution:
    """A fake of the workflow and the queue that records answers and messages."""

    started: list[str] = field(default_factory=list[str])
    results: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    lost: list[Lost] = field(default_factory=list[Lost])
    listening: bool = True
    polls: list[tuple[str, str, str, int]] = field(default_factory=list[tuple[str, str, str, int]])
    delays: list[int] = field(default_factory=list[int])
    turns: list[tuple[str, str | None, int]] = field(default_factory=list[tuple[str, str | None, int]])

    def start(self, workspace_id: str, generation_id: str, *, again: str | None = None) -> None:
        self.started.append(f"{generation_id}-{again}" if again else generation_id)

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        self.started.append(f"run {run_id}-{again}" if again else f"run {run_id}")

    def succeed(self, task_token: str, result: Mapping[str, Any]) -> bool:
        self.results.append(result)
        return self.listening

    def try_next(self, task_token: str, lost: Lost) -> bool:
        self.lost.append(lost)
        return self.listening

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, polls: int, delay_seconds: int
    ) -> None:
        self.polls.append((workspace_id, generation_id, attempt_id, polls))
        self.delays.append(delay_seconds)

    def try_later(
        self, workspace_id: str, generation_id: str, task_token: str, turn: str | None, delay_seconds: int
    ) -> None:
        self.turns.append((generation_id, turn, delay_seconds))

    def cancel(self, workspace_id: str, generation_id: str) -> None:
        self.polls.append((workspace_id, generation_id, "cancel", 0))


@dataclass
class MemoryMedia:
    """A media store that stores nothing. `broken`: every output is undeliverable. `withheld`: the numbers of the
    outputs that moderation withholds."""

    broken: bool = False
    withheld: frozenset[int] = frozenset()

    def stage(self, generation_id: str, attempt_id: str, number: int, data: bytes) -> str:
        return f"staging/{generation_id}/{attempt_id}/{number}"

    def deliver(self, generation: Generation, number: int, output: StoredOutput, hosts: tuple[str, ...]) -> Delivered:
        if self.broken:
            raise UndeliverableMedia("The provider's result could not be fetched.")
        if number in self.withheld:
            raise OutputWithheld(Category.MINORS)
        return Delivered(asset_id(generation.id, number), "image", "0" * 64, "png", 5, 512, 512, has_thumbnail=True)

    def input(self, workspace_id: str, source: Source) -> Input:
        return Input(source.asset_id.encode(), f"image/{source.format}")

    def mask(self, mask: Input, picture: Input) -> Input:
        if mask == picture:
            raise InputUnusable("The mask changes nothing.")
        return Input(b"%b of %b" % (mask.data, picture.data), "image/png")


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
        self.catalogue = catalogue(providers)
        self.health = DynamoHealth()
        self.health.bind(tables.providers)
        self.book = HealthBook(self.health)
        paces = DynamoPaces()
        paces.bind(tables.providers)
        self.limits: dict[str, Limit] = {}
        self.places = Places(paces, Limits({}, self.limits), pause)
        self.own: dict[str, ScriptedProvider] = {}

        self.execution, self.media = Execution(), MemoryMedia()
        self.moderation = PromptCheck(Policy(), SHIPPED)
        self.local, self.replicate = ScriptedProvider(resend_safe=True), ScriptedProvider()
        with transaction() as write:
            put_new_wallet(write, new_wallet(self.workspace_id, "free", NOON))

    @property
    def submitting(self) -> Submitting:
        return Submitting(
            catalogue=self.catalogue,
            lifetime_max=timedelta(hours=2),
            wallets=self.wallets,
            generations=self.generations,
            keys=self.keys,
            budgets=self.projects,
            sources=self.assets,
            pause=lambda tries: None,
            moderation=self.moderation,
        )

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
    ) -> Accepted:
        recipe = Recipe(Kind.IMAGE, prompt, model, None, {"width": 512, "height": 512, **parameters})
        return submit(
            Submission(self.workspace_id, "usr_A", recipe, key, project_id, quote),
            to=replace(self.submitting, routes=None if routes is None else lambda wallet: routes),
            now=self.now,
        )

    def get(self, generation: Generation) -> Generation:
        return self.generations.get(self.workspace_id, generation.id)

    @property
    def attempting(self) -> Attempting:
        def webhook_url(generation: Generation, attempt: Attempt) -> str:
            return f"https://example.test/{attempt.id}"

        return Attempting(
            generations=self.generations,
            catalogue=self.catalogue,
            providers={"local": self.local, "replicate": self.replicate},
            workflow=self.execution,
            queue=self.execution,
            media=self.media,
            inbox=self.inbox,
            webhook_url=webhook_url,
            poll_seconds=5,
            clock=lambda: self.now,
            health=self.book,
            places=self.places,
            own_provider=lambda workspace_id, provider, key_id: self.own.get(key_id),
        )

    @property
    def finishing(self) -> Finishing:
        return Finishing(self.generations, self.wallets, self.catalogue, self.media, self.assets, self.execution)

    @property
    def posting(self) -> Posting:
        def daily(name: str) -> Daily:
            tier = self.catalogue.tier(name)
            return Daily(tier.daily_credits, tier.daily_reset)

        return Posting(self.wallets, daily, lambda tries: None)

    def wallet(self) -> Wallet:
        """The wallet as it is stored; reading it books nothing."""
        return self.wallets.wallet(self.workspace_id)

    def refreshed(self) -> Wallet:
        return self.posting.wallet(self.workspace_id, self.now)

    def attempt(self, generation: Generation, *, lost: Lost | None = None) -> None:
        attempt(self.workspace_id, generation.id, "token", lost=lost, to=self.attempting)

    def finish(self, generation: Generation, outcome: Outcome | None = None) -> Generation:
        result = outcome or Outcome.from_data(self.execution.results[-1])
        return finish(self.workspace_id, generation.id, result, to=self.finishing, now=self.now)

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

    def assert_sound(self) -> list[Movement]:
        """Asserts the ledger's invariants in this wallet: its counters are the sums of its entries. Returns its
        movements, newest first."""
        wallet, movements = self.wallets.wallet(self.workspace_id), self.movements()
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


def at_once(count: int, call: Callable[[int], T]) -> list[T | Exception]:
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
def hearing(event: str, call: Callable[..., object]) -> Iterator[None]:
    """Within the block, `call` is the first handler of this botocore event on the process's DynamoDB client."""
    events = connection().client.meta.events
    events.register_first(event, call)
    try:
        yield
    finally:
        events.unregister(event, call)


@contextmanager
def answering(operation: str, body: bytes) -> Iterator[None]:
    """Within the block, each DynamoDB `operation` of this process is answered with this error and never sent. The fault
    is put in at the client's event hook, as an answer from the wire."""

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw(body))

    def raw(content: bytes) -> HTTPResponse:
        return HTTPResponse(BytesIO(content), preload_content=False)

    with hearing(f"before-send.dynamodb.{operation}", answer):
        yield


@contextmanager
def meanwhile(act: Callable[[], object], operation: str = "TransactWriteItems") -> Iterator[None]:
    """Calls `act` just before this thread's first write of this kind is sent."""
    waiting, here = [act], threading.get_ident()

    def first(**_: Any) -> None:
        if waiting and threading.get_ident() == here:
            waiting.pop()()

    with hearing(f"before-call.dynamodb.{operation}", first):
        yield
    assert not waiting, "nothing was written"
