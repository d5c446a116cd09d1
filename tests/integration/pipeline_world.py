"""A test world for pipeline runs: it plays the state machine's part step by step, so that a test can stop anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.generations.finish import finish
from atelier.generations.model import DeliveredFile, Failure, Generation, Kind, Pipeline, Recipe, Status, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.pipeline_run import PlanStageDeps, finish_run, plan_stage, read_stages, resume
from atelier.generations.pipelines import PIPELINES, StageOptions, build_pipeline
from atelier.generations.ports import OutputLocation
from atelier.generations.quote import Quote
from atelier.generations.reuse import kept_in_library
from atelier.generations.submit import AcceptedGeneration, Submission, submit_generation
from tests.conftest import Tables
from tests.integration.world import FakeMedia, World

TYPES = {Kind.TEXT: ("text", "txt"), Kind.AUDIO: ("audio", "mp3"), Kind.VIDEO: ("video", "mp4")}
TYPES |= {Kind.AVATAR: ("video", "mp4"), Kind.PAGE: ("page", "html")}
SMALL = {"width": 512, "height": 512}
# The maximum credits of each pipeline's stages, with the local models and these parameters.
STAGE_OPTIONS: Mapping[str, dict[str, StageOptions]] = {
    "talking_avatar": {},
    "image_to_video": {
        "image": StageOptions(parameters=SMALL),
        "video": StageOptions(parameters={"duration_seconds": 3}),
    },
    "enhanced_upscale": {"image": StageOptions(parameters=SMALL)},
}
CREDITS = {"talking_avatar": (1, 6), "image_to_video": (1, 6), "enhanced_upscale": (1, 1, 2)}


class FakeTypedMedia(FakeMedia):
    """Media that deliver files of the requested kind."""

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        delivered = super().deliver(generation, number, output, hosts)
        type_, form = TYPES.get(generation.recipe.kind, ("image", "png"))
        return replace(delivered, id=asset_id(generation.id, number), type=type_, format=form)


class PipelineWorld(World):
    """A workspace with runs. `writes`: the text model's answer; `refuses`: what moderation refuses in a prompt."""

    def __init__(self, tables: Tables, *, providers: frozenset[str] = frozenset({"local"})) -> None:
        super().__init__(tables, providers=providers)
        self.media = FakeTypedMedia()
        self.writes = "a lighthouse, in soft light (procedural)"
        self.refuses: str | None = None

    def submit_pipeline(
        self,
        name: str,
        *,
        key: str | None = None,
        prompt: str = "a lighthouse",
        options: dict[str, StageOptions] | None = None,
        pipeline: Pipeline | None = None,
        enhance: bool = False,
        **beside: Any,
    ) -> AcceptedGeneration:
        """Submits a run."""
        pipeline = pipeline or build_pipeline(
            name, STAGE_OPTIONS[name] if options is None else options, None, enhance=enhance
        )
        return self.submit_recipe(Recipe(pipeline.stages[-1].kind, prompt), pipeline, key=key, **beside)

    def submit_recipe(
        self,
        recipe: Recipe,
        pipeline: Pipeline | None,
        *,
        key: str | None = None,
        project_id: str | None = None,
        quote: Quote | None = None,
        lifetime_max: timedelta = timedelta(hours=2),
        reuse: bool = False,
    ) -> AcceptedGeneration:
        return submit_generation(
            Submission(self.workspace_id, "usr_A", recipe, key, project_id, quote, pipeline, reuse),
            deps=replace(self.submit_deps, lifetime_max=lifetime_max),
            now=self.now,
        )

    def retry(self, run: Generation) -> AcceptedGeneration:
        """Retries a run as the API does."""
        earlier = self.get(run)
        pipeline = resume(earlier, self.stages(run), kept_in_library(self.workspace_id, self.assets))
        return self.submit_recipe(earlier.recipe, pipeline)

    def delete(self, asset_id: str) -> None:
        """Deletes a file from the library."""
        AssetItem(self.workspace_id, asset_id).delete()

    def archive(self, asset_id: str) -> None:
        """Archives a file of the library."""
        AssetItem(self.workspace_id, asset_id).update([AssetItem.archived_at.set("2026-11-20T12:00:00Z")])

    # ---- the state machine's part ------------------------------------------------------------------------------------

    def plan(self, run: Generation, after: Generation | None = None) -> Generation | None:
        def refusal(run: Generation, prompt: str) -> Failure | None:
            if self.refuses is None or self.refuses not in prompt:
                return None
            return Failure("MODERATED", "moderated", "This must not be made.")

        planning = PlanStageDeps(self.generations, lambda generation: self.writes, refusal)
        return plan_stage(self.workspace_id, run.id, after.id if after else None, deps=planning, now=self.now)

    def next_stage(self, run: Generation, after: Generation | None = None) -> Generation:
        stage = self.plan(run, after)
        assert stage is not None
        return stage

    def run_stage(self, stage: Generation, outcome: Outcome | None = None) -> Generation:
        """Attempts a stage and finishes it with the attempt's outcome, or with the given one."""
        self.attempt(stage)
        result = outcome or Outcome.from_data(self.execution.results[-1])
        return finish(self.workspace_id, stage.id, result, deps=self.finish_deps, now=self.now)

    def end_run(self, run: Generation) -> Generation:
        return finish_run(self.workspace_id, run.id, deps=self.finish_deps, now=self.now)

    def run_to_end(self, run: Generation) -> Generation:
        """Runs one execution from the run's present state until no stage is left."""
        after: Generation | None = None
        while stage := self.plan(run, after):
            after = self.run_stage(stage)
        return self.end_run(run)

    # ---- what is stored ----------------------------------------------------------------------------------------------

    def stages(self, run: Generation) -> list[Generation]:
        return read_stages(self.get(run), self.generations)

    def movement_kinds(self) -> Counter[str]:
        return Counter(movement.kind for movement in self.assert_sound())

    def assert_settled(self, run: Generation, status: Status, charged: int) -> Generation:
        """Asserts the run's status and charge, and that its hold ended once and nothing is held any more."""
        ended, kinds = self.get(run), self.movement_kinds()
        assert (ended.status, ended.credits_charged) == (status, charged)
        assert kinds["hold"] == kinds["settled"] + kinds["released"] + kinds["expired"] == 1
        assert (self.wallet().held, self.wallet().holds_open) == (0, 0)
        revenue = [entry.amount for each in self.movements() for entry in each.entries if entry.account == "revenue"]
        assert sum(revenue) == charged
        return ended


def stage_names(pipeline: str) -> list[str]:
    """The names of a pipeline's stages."""
    return [step.name for step in PIPELINES[pipeline]]
