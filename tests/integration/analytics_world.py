"""Two workspaces in which generations and runs end in every way, with the streams of what they write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import botocore.session

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.errors import AtelierError, PromptRefused
from atelier.generations.cancel import cancel
from atelier.generations.model import Attempt, AttemptStatus, Generation, Kind, Pipeline, Recipe
from atelier.generations.outcome import Outcome
from atelier.generations.pipeline_run import expire
from atelier.generations.pipelines import StageOptions, build_pipeline
from atelier.generations.ports import Filters, OutputLocation
from atelier.generations.submit import Submission, submit_generation
from atelier.ids import new_id
from atelier.ledger.model import GrantSource
from atelier.ledger.post import adjust, give_back, grant, revoke
from atelier.provider_port import Accepted, ErrorClass
from tests.counted import Rows, rows_of_records
from tests.embedded_aws import Tables
from tests.integration.pipeline_world import SMALL, PipelineWorld
from tests.table_streams import TableStream

Record = dict[str, Any]
BOTH = frozenset({"local", "replicate"})
OUTPUT = (OutputLocation(None, "https://replicate.delivery/out-0.png"),)
DONE = Outcome("succeeded", OUTPUT, {"predict_milliseconds": 2000, "tokens_input": 12})
LONG_PROMPT = "a lighthouse at dusk, waves below " * 30
IMAGE_STAGE = StageOptions("local/canvas", SMALL)
RUN_OPTIONS = {
    "talking_avatar": {"speech": StageOptions("local/voice"), "avatar": StageOptions("local/talker")},
    "image_to_video": {"image": IMAGE_STAGE, "video": StageOptions("local/film", {"duration_seconds": 3})},
    "enhanced_upscale": {
        "enhance": StageOptions("local/writer"),
        "image": IMAGE_STAGE,
        "upscale": StageOptions("local/enlarge"),
    },
}


class EndingsWorld(PipelineWorld):
    """One workspace. Each of `ENDINGS` makes one request and lets it end. `pause`: the time between two of them."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables, providers=BOTH)
        self.endings, self.pause = 0, timedelta(seconds=47)
        self.actor: tuple[str, str | None] = ("usr_A", None)
        self.grant_credits()

    def grant_credits(self) -> None:
        key = f"grant#test#{new_id('grt', self.now)}"
        grant(self.workspace_id, key, GrantSource.PURCHASE, 500, deps=self.post_deps, now=self.now)

    def end_one(self, name: str, user: str = "usr_A", token: str | None = None) -> None:
        """Let one request end as the entry of ENDINGS says; then a little time passes."""
        self.actor, self.endings = (user, token), self.endings + 1
        if self.refreshed().spendable(self.now) < 60:
            self.grant_credits()
        self.media.broken, self.media.withheld = False, frozenset()
        ENDINGS[name](self)
        self.now += self.pause

    def submitted(
        self, model: str = "local/canvas", *, prompt: str = "a lighthouse", reuse: bool = False
    ) -> Generation:
        recipe = Recipe(Kind.IMAGE, prompt, model, None, {**SMALL, "seed": 7})
        return self._submit(recipe, None, reuse=reuse)

    def submitted_run(self, name: str) -> Generation:
        pipeline = build_pipeline(name, RUN_OPTIONS[name], None)
        return self._submit(Recipe(pipeline.stages[-1].kind, "a lighthouse"), pipeline)

    def _submit(self, recipe: Recipe, pipeline: Pipeline | None, *, reuse: bool = False) -> Generation:
        user, token = self.actor
        submission = Submission(self.workspace_id, user, recipe, pipeline=pipeline, reuse=reuse, token_id=token)
        return submit_generation(submission, deps=self.submit_deps, now=self.now).generation

    def running(self, model: str = "replicate/sdxl", *, key: str | None = None, **options: Any) -> Generation:
        """A generation with an attempt at a provider that has not answered yet."""
        generation = self.submitted(model, **options)
        attempt_id = new_id("att", self.now)
        provider = model.partition("/")[0]
        attempt = Attempt(attempt_id, provider, model, AttemptStatus.SUBMITTING, self.now, key=key)
        begun = generation.with_attempt(attempt)
        self.generations.save_progress(generation, begun)
        self.now += timedelta(milliseconds=2_300)
        return begun

    def expired(self, **options: Any) -> Generation:
        generation = self.running(**options)
        self.now = generation.deadline_at
        return expire(generation, deps=self.finish_deps, now=self.now)

    def all_generations(self) -> list[Generation]:
        """All generations, runs and stages of the workspace."""
        page = self.generations.list(self.workspace_id, Filters(), None, 10_000)
        assert page.next_id is None
        return [each for one in page.generations for each in (one, *(self.stages(one) if one.pipeline else ()))]

    def rows_of_records(self) -> Rows:
        """What has to be counted of the workspace."""
        return rows_of_records(self.all_generations(), self.assert_sound(), self.refusals())


def _succeed(world: EndingsWorld) -> None:
    world.finish(world.running(), DONE)


def _succeed_locally(world: EndingsWorld) -> None:
    generation = world.submitted()
    world.attempt(generation)
    world.finish(generation)


def _succeed_with_a_long_prompt(world: EndingsWorld) -> None:
    world.finish(world.running(prompt=LONG_PROMPT), DONE)


def _succeed_with_own_key(world: EndingsWorld) -> None:
    world.finish(world.running(key="key_1"), DONE)


def _fail(world: EndingsWorld) -> None:
    world.fail(world.running())


def _be_refused_before_anything_is_stored(world: EndingsWorld) -> None:
    with suppress(PromptRefused):
        world.submitted(prompt="child porn")


def _be_refused(world: EndingsWorld) -> None:
    world.finish(world.running(), Outcome("failed", error_class=ErrorClass.MODERATED_BILLED, message="No."))


def _be_withheld(world: EndingsWorld) -> None:
    world.media.withheld = frozenset({0})
    world.finish(world.running(), DONE)


def _succeed_second(world: EndingsWorld) -> None:
    generation = world.submitted("replicate/sdxl")
    item = GenerationItem(world.workspace_id, generation.id)
    item.update([GenerationItem.candidates.set(["replicate/sdxl", "local/canvas"])])
    world.replicate.answers = [Accepted("r1")]
    world.attempt(generation)
    world.media.broken = True
    world.finish(generation, DONE)
    world.media.broken = False
    world.attempt(generation)
    world.finish(generation)


def _cancel_unsent(world: EndingsWorld) -> None:
    cancel(world.workspace_id, world.submitted().id, deps=world.finish_deps, now=world.now)


def _cancel_running(world: EndingsWorld) -> None:
    generation = world.running()
    cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
    world.finish(generation, Outcome("cancelled", usage={"predict_milliseconds": 700}))


def _expire(world: EndingsWorld) -> None:
    world.expired()


def _expire_unsent(world: EndingsWorld) -> None:
    generation = world.submitted()
    world.now = generation.deadline_at
    expire(generation, deps=world.finish_deps, now=world.now)


def _succeed_late(world: EndingsWorld) -> None:
    generation = world.expired()
    world.now += timedelta(minutes=50)
    world.finish(generation, DONE)


def _fail_late(world: EndingsWorld) -> None:
    generation = world.expired()
    world.now += timedelta(minutes=1)
    world.fail(generation)


def _succeed_late_at_the_second_delivery(world: EndingsWorld) -> None:
    generation = world.expired()
    world.media.broken = True
    world.finish(generation, DONE)
    world.media.broken = False
    world.now += timedelta(minutes=70)
    world.finish(generation, replace(DONE, usage={"predict_milliseconds": 1000}))


def _reuse(world: EndingsWorld) -> None:
    world.finish(world.running(), DONE)
    assert world.submitted("replicate/sdxl", reuse=True).reused_from is not None


def _run(world: EndingsWorld) -> None:
    world.run_to_end(world.submitted_run("image_to_video"))


def _run_and_fail(world: EndingsWorld) -> None:
    run = world.submitted_run("talking_avatar")
    first = world.run_stage(world.next_stage(run))
    world.run_stage(world.next_stage(run, first), Outcome("failed", error_class=ErrorClass.CAPACITY, message="Full."))
    world.end_run(run)


def _run_with_a_refused_prompt(world: EndingsWorld) -> None:
    world.refuses = "soft light"
    run = world.submitted_run("enhanced_upscale")
    world.run_to_end(run)
    world.refuses = None


def _expire_run(world: EndingsWorld) -> None:
    run = world.submitted_run("image_to_video")
    world.run_stage(world.next_stage(run))
    world.now = run.deadline_at
    expire(world.get(run), deps=world.finish_deps, now=world.now)


def _cancel_run(world: EndingsWorld) -> None:
    run = world.submitted_run("image_to_video")
    world.run_stage(world.next_stage(run))
    cancel(world.workspace_id, run.id, deps=world.finish_deps, now=world.now)
    world.end_run(run)


def _take_back(world: EndingsWorld) -> None:
    number = world.endings
    deps, now = world.post_deps, world.now
    grant(world.workspace_id, f"grant#test#{number}", GrantSource.PURCHASE, 30, deps=deps, now=now)
    taken = revoke(
        world.workspace_id, f"revoke#test#{number}", f"grant#test#{number}", 20, "refund", deps=deps, now=now
    )
    assert taken == 20
    give_back(world.workspace_id, f"revoke#test#{number}", "won", deps=deps, now=now)
    adjust(world.workspace_id, f"adjust#test#{number}", -3, reason="r", by="usr_admin", deps=deps, now=now)


def _wait_a_day(world: EndingsWorld) -> None:
    world.now += timedelta(days=1)
    with suppress(AtelierError):
        world.refreshed()


ENDINGS: dict[str, Callable[[EndingsWorld], None]] = {
    name.removeprefix("_"): action
    for name, action in list(globals().items())
    if name.startswith("_") and getattr(action, "__annotations__", {}).get("world") == "EndingsWorld"
}


class Streams:
    """The streams of the generations and ledger tables, as the function that counts reads them."""

    def __init__(self, tables: Tables, aws: botocore.session.Session) -> None:
        dynamodb, read_streams = aws.create_client("dynamodb"), aws.create_client("dynamodbstreams")
        self._streams = [TableStream(dynamodb, read_streams, table) for table in (tables.generations, tables.ledger)]

    def new_records(self) -> Iterator[Record]:
        """The records of both since the last call."""
        for stream in self._streams:
            yield from stream.new_records()
