"""A request refused by moderation costs nothing and leaves a note; a withheld result costs its creator nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import botocore.session
import pytest

from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.adapters.media.delivery import Delivery
from atelier.adapters.media.fetch import Fetcher
from atelier.adapters.media.keys import staging_key
from atelier.errors import IdempotencyMismatch, NotFound, PromptRefused, Unavailable
from atelier.generations.finish import finish
from atelier.generations.model import DeliveredFile, Generation, Kind, Recipe, Status
from atelier.generations.moderation_texts import prompt_failure
from atelier.generations.outcome import MODERATED_OUTPUT, Outcome
from atelier.generations.pipeline_run import PlanStageDeps, plan_stage
from atelier.generations.ports import OutputLocation
from atelier.generations.prompt_refusal import PREFIX as REFUSAL
from atelier.generations.submit import AcceptedGeneration, Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Category, OutputWithheld, Policy, Thumbnail
from atelier.moderation.outputs import OutputCheck
from atelier.moderation.ports import Findings
from atelier.moderation.prompts import PromptCheck
from atelier.provider_port import Accepted as Taken
from atelier.provider_port import Done, Output
from infra.simulators.kit.samples import sample_png, sample_video
from tests.conftest import Tables
from tests.integration.pipeline_world import PipelineWorld
from tests.integration.world import NOON, FakeMedia, World

REFUSED = "child porn"
TWO = Done((Output(data=b"one"), Output(data=b"two")), {"predict_milliseconds": 2000})


class Judge:
    """A moderation provider that returns the same finding for everything; `silent`: it never answers."""

    def __init__(self, *finding: Category, silent: bool = False) -> None:
        self.finding = None if silent else frozenset(finding)
        self.calls = 0

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        self.calls += 1
        return None if self.finding is None else tuple(self.finding for _ in texts)

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        self.calls += 1
        return self.finding


class Objects:
    """Objects in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, content_type: str) -> None:
        self.kept[key] = data

    def get(self, key: str, bytes_max: int) -> bytes:
        return self.kept[key]

    def get_deleted(self, key: str, bytes_max: int) -> bytes:
        raise NotFound


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables, providers=frozenset({"local", "replicate"}))
    made.refreshed()  # The daily grant is a separate write.
    return made


def ask(world: World, recipe: Recipe, key: str | None = None) -> AcceptedGeneration:
    return submit_generation(
        Submission(world.workspace_id, "usr_A", recipe, key),
        deps=world.submit_deps,
        now=world.now,
    )


def everything(aws: botocore.session.Session, tables: Tables) -> dict[str, object]:
    """All items of all tables, but for the notes that a request was refused."""
    dynamodb = aws.create_client("dynamodb")
    return {
        name: [item for item in dynamodb.scan(TableName=name)["Items"] if not item["sk"]["S"].startswith(REFUSAL)]
        for name in (tables.generations, tables.ledger, tables.requests)
    }


@pytest.mark.parametrize(
    ("recipe", "path"),
    [
        (Recipe(Kind.IMAGE, REFUSED), "prompt"),
        (Recipe(Kind.IMAGE, "a fox", negative_prompt=REFUSED), "negative_prompt"),
        (Recipe(Kind.TEXT, "a fox", parameters={"system": REFUSED}), "parameters.system"),
        (
            Recipe(
                Kind.TEXT,
                "a fox",
                parameters={
                    "messages": [
                        {"role": "user", "content": "hello"},
                        {"role": "user", "content": [{"type": "text", "text": REFUSED}]},
                    ]
                },
            ),
            "parameters.messages[1]",
        ),
    ],
    ids=["prompt", "negative prompt", "system", "messages"],
)
def test_a_refused_request_leaves_a_note_alone_and_costs_nothing(
    world: World, aws: botocore.session.Session, tables: Tables, recipe: Recipe, path: str
) -> None:
    before = everything(aws, tables)
    for key in (None, "k1"):
        with pytest.raises(PromptRefused) as refused:
            ask(world, recipe, key)
        assert refused.value.facts["fields"][0]["path"] == path
        assert refused.value.facts["category"] == "minors"
    assert everything(aws, tables) == before
    assert world.wallet().available == 50
    # Of the request nothing is kept but that it was refused; the text is not.
    refusals = world.refusals()
    assert [(each.kind, each.category) for each in refusals] == [(recipe.kind.value, "minors")] * 2
    assert REFUSED not in repr(refusals)


def test_a_refused_prompt_leaves_the_idempotency_key_usable(world: World) -> None:
    with pytest.raises(PromptRefused):
        world.submit(key="k1", prompt=REFUSED)
    accepted = world.submit(key="k1", prompt="a fox")
    assert not accepted.replayed
    with pytest.raises(PromptRefused):
        world.submit(key="k2", prompt=REFUSED)
    # A key that is bound to a generation raises the mismatch before the new body is moderated.
    with pytest.raises(IdempotencyMismatch):
        world.submit(key="k1", prompt=REFUSED)


def test_a_repeated_request_is_not_moderated_again(world: World) -> None:
    judge = Judge()
    world.moderation = PromptCheck(Policy(), DEFAULT_BLOCKLIST, lambda: judge)
    first = world.submit(key="k1")
    judge.finding = frozenset({Category.MINORS})
    again = world.submit(key="k1")
    assert (again.generation.id, again.replayed, judge.calls) == (first.generation.id, True, 1)
    with pytest.raises(PromptRefused):
        world.submit(key="k2")


def test_a_refusal_by_the_moderation_provider_leaves_a_note_alone(
    world: World, aws: botocore.session.Session, tables: Tables
) -> None:
    before = everything(aws, tables)
    world.moderation = PromptCheck(Policy(), DEFAULT_BLOCKLIST, lambda: Judge(Category.MINORS))
    with pytest.raises(PromptRefused):
        world.submit(key="k1")
    world.moderation = PromptCheck(Policy(unanswered="refuse"), DEFAULT_BLOCKLIST, lambda: Judge(silent=True))
    with pytest.raises(Unavailable):
        world.submit(key="k1")
    assert everything(aws, tables) == before
    world.moderation = PromptCheck(Policy(), DEFAULT_BLOCKLIST, lambda: Judge(silent=True))
    assert world.submit(key="k1").generation.status is Status.QUEUED


# ---- results ---------------------------------------------------------------------------------------------------------


def withheld(world: World, *numbers: int, n: int = 1) -> Generation:
    """A generation whose provider is done and whose results of these numbers will be withheld."""
    generation = world.submit(model="replicate/sdxl", n=n).generation
    world.replicate.answers = [TWO] if n == 2 else []
    world.attempt(generation)
    world.media.withheld = frozenset(numbers)
    return generation


def test_a_withheld_result_charges_no_credits_and_books_the_operators_cost(world: World) -> None:
    generation = withheld(world, 0)
    assert generation.credits_held > 0
    ended = world.finish(generation)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class, ended.credits_charged) == (Status.FAILED, MODERATED_OUTPUT, 0)
    assert (ended.cost_source, ended.usage) == ("usage", {"predict_milliseconds": 2000})
    assert ended.cost_microusd > 0
    assert ended.assets == ()
    assert ended.attempt is not None
    assert (ended.attempt.status, ended.attempt.error_class) == ("failed", MODERATED_OUTPUT)
    assert world.assets.list(world.workspace_id, None, None, 10).assets == ()
    assert [movement.kind for movement in world.assert_sound()] == ["released", "hold", "grant"]
    assert (world.wallet().available, world.wallet().held) == (50, 0)


def test_only_the_delivered_results_of_a_partly_withheld_generation_are_charged(world: World) -> None:
    whole = world.finish(withheld(world, n=2))
    part = world.finish(withheld(world, 1, n=2))
    assert (part.status, len(part.assets), part.cost_microusd) == (Status.SUCCEEDED, 1, whole.cost_microusd)
    assert part.assets[0].id != whole.assets[0].id
    assert part.credits_charged * 2 == whole.credits_charged
    none = world.finish(withheld(world, 0, 1, n=2))
    assert (none.status, none.credits_charged) == (Status.FAILED, 0)
    world.assert_sound()


class DyingOnce(DynamoGenerations):
    """Crashes before, or just after, the first settlement is written."""

    def __init__(self, *, after: bool) -> None:
        self._after = after
        self._died = False

    def close_with_ending(self, *end: Any) -> None:
        if self._after or self._died:
            super().close_with_ending(*end)
        if not self._died:
            self._died = True
            raise ConnectionError("died here")


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_a_crash_while_settling_a_withheld_result_ends_the_hold_once(world: World, after: bool) -> None:
    generation = withheld(world, 0)
    outcome = Outcome.from_data(world.execution.results[-1])
    dying = replace(world.finish_deps, generations=DyingOnce(after=after))
    with pytest.raises(ConnectionError):
        finish(world.workspace_id, generation.id, outcome, deps=dying, now=world.now)
    for _ in range(2):
        ended = finish(world.workspace_id, generation.id, outcome, deps=dying, now=world.now)
        assert ended.failure is not None
        assert (ended.status, ended.failure.error_class) == (Status.FAILED, MODERATED_OUTPUT)
    assert [movement.kind for movement in world.assert_sound()] == ["released", "hold", "grant"]


def test_a_late_result_that_is_withheld_changes_nothing(world: World) -> None:
    world.replicate.answers = [Taken("r1")]
    generation = world.submit(model="replicate/sdxl").generation
    world.attempt(generation)
    world.now = generation.deadline_at
    assert sweep(world.workspace_id, deps=world.finish_deps, now=world.now) == 1
    expired = world.get(generation)
    world.media.withheld = frozenset({0})
    late = Outcome("succeeded", (OutputLocation(url="https://replicate.delivery/out-0.png"),))
    assert world.finish(generation, late) == expired
    assert [movement.kind for movement in world.assert_sound()] == ["expired", "hold", "grant"]


class Unjudged(FakeMedia):
    """Media whose moderation is unavailable."""

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        raise Unavailable("The result cannot be checked at the moment.")


def test_a_result_that_cannot_be_moderated_waits_and_expires_at_the_deadline(world: World) -> None:
    generation = withheld(world)
    judged, world.media = world.media, Unjudged()
    for _ in range(2):
        with pytest.raises(Unavailable):
            world.finish(generation)
    assert world.get(generation).is_open
    world.media = judged
    world.now = generation.deadline_at
    assert sweep(world.workspace_id, deps=world.finish_deps, now=world.now) == 1
    assert [movement.kind for movement in world.assert_sound()] == ["expired", "hold", "grant"]


def test_a_run_fails_at_a_withheld_stage_and_charges_only_earlier_stages(tables: Tables) -> None:
    world = PipelineWorld(tables)
    run = world.submit_pipeline("talking_avatar").generation
    speech = world.run_stage(world.next_stage(run))
    world.media.withheld = frozenset({0})
    avatar = world.run_stage(world.next_stage(run, speech))
    assert avatar.failure is not None
    assert (avatar.status, avatar.failure.error_class, avatar.credits_charged) == (Status.FAILED, MODERATED_OUTPUT, 0)
    assert world.plan(run, avatar) is None
    ended = world.end_run(run)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, MODERATED_OUTPUT)
    assert ended.credits_charged == speech.credits_charged > 0
    assert world.wallet().available == 50 - ended.credits_charged
    world.assert_sound()


def test_a_prompt_generated_by_a_run_is_moderated_before_use(tables: Tables) -> None:
    world = PipelineWorld(tables)
    check = PromptCheck(Policy(), DEFAULT_BLOCKLIST)
    run = world.submit_pipeline("enhanced_upscale").generation
    enhanced = world.run_stage(world.next_stage(run))
    planning = PlanStageDeps(world.generations, lambda made: REFUSED, lambda run, prompt: prompt_failure(prompt, check))
    assert plan_stage(world.workspace_id, run.id, enhanced.id, deps=planning, now=world.now) is None
    ended = world.end_run(run)
    assert ended.failure is not None
    assert (ended.status, ended.failure.error_class) == (Status.FAILED, "moderated")
    assert world.local.submitted[-1].kind == "text"
    world.assert_sound()


# ---- outputs before delivery -----------------------------------------------------------------------------------------


def made(kind: Kind) -> Generation:
    return Generation(
        id=new_id("gen", NOON),
        workspace_id=new_id("wsp", NOON),
        user_id="usr_A",
        recipe=Recipe(kind, "a fox"),
        candidates=("local/canvas",),
        price_version="1",
        watermark=True,
        credits_held=1,
        status=Status.RUNNING,
        created_at=NOON,
        deadline_at=NOON + timedelta(minutes=5),
    )


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.IMAGE, sample_png(96, 64, 1)),
        (Kind.VIDEO, sample_video(96, 64, 0.5, 1)),
        (Kind.TEXT, b"A story about child porn."),
        (Kind.PAGE, b"<!doctype html><html><body><p>child <b>porn</b></p></body></html>"),
    ],
    ids=["image", "film", "text", "page"],
)
def test_a_withheld_result_stays_only_at_its_staging_key(kind: Kind, data: bytes) -> None:
    store, generation = Objects(), made(kind)
    key = staging_key(generation.id, "att_1", 0)
    store.put(key, data, "application/octet-stream")
    judge = Judge(Category.MINORS)
    look = OutputCheck(Policy(), DEFAULT_BLOCKLIST, lambda: judge)
    with pytest.raises(OutputWithheld):
        Delivery(store, Fetcher(), inspect_output=look).deliver(generation, 0, OutputLocation(key=key), ())
    assert list(store.kept) == [key]
    judge.finding = frozenset()
    if kind in (Kind.IMAGE, Kind.VIDEO):
        Delivery(store, Fetcher(), inspect_output=look).deliver(generation, 0, OutputLocation(key=key), ())
        assert (len(store.kept), judge.calls) == (3, 2)
