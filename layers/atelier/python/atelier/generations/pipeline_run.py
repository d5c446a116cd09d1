"""Runs: one hold for several stages, each of them a generation that goes through the same attempt step.

A run can be killed anywhere and started again. Its stages have derived ids, so planning a stage twice writes it once; a
stage that has ended is not tried again; and the run ends once, settled with the sums of its stages. A stage begins in
one transaction with the run's count of stages, so a run that has ended, or whose cancellation is requested, begins no
further stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.generations import finish
from atelier.generations.finish import CloseDeps, close
from atelier.generations.model import (
    QUEUE_ALLOWANCE,
    DeliveredFile,
    Failure,
    Generation,
    InputAsset,
    Pipeline,
    Recipe,
    Stage,
    Status,
    stage_id,
)
from atelier.generations.pipelines import rewritten_prompt
from atelier.generations.ports import GenerationChanged, GenerationStore
from atelier.ledger.model import EndState
from atelier.ledger.plan_hold import plan_late_result
from atelier.provider_port import ErrorClass
from atelier.retrying import retrying
from atelier.telemetry import logger

TRIES_MAX = 10
RUN_BUSY = "This run is changing quickly. Try again."
LATE_FAILURE = Failure(
    "PROVIDER_FAILED",
    ErrorClass.UNKNOWN_OUTCOME,
    "This took longer than it may; stages that were delivered are charged, the other credits are back.",
)


@dataclass(frozen=True, slots=True)
class PlanStageDeps:
    """The dependencies of planning the next stage. text: reads the text that a generation delivered. refusal: the
    failure for a model-written prompt that moderation refuses, None = the prompt may be used."""

    generations: GenerationStore
    read_text: Callable[[Generation], str | None]
    prompt_failure: Callable[[Generation, str], Failure | None] = lambda run, prompt: None


# ---- pure decisions --------------------------------------------------------------------------------------------------


def stage_generation_id(run: Generation, number: int) -> str:
    """The id of a stage's generation, in this run or in the earlier run that has made the stage."""
    return pipeline_of(run).stages[number].made_by or stage_id(run.id, number)


def pipeline_of(run: Generation) -> Pipeline:
    """The pipeline of a run."""
    assert run.pipeline is not None, "only a run has stages"
    return run.pipeline


def next_stage_index(run: Generation, stage_generations: Sequence[Generation]) -> int | None:
    """The index of the stage to attempt now: the open one, else the next one while all stages have succeeded. None when
    there is none to attempt."""
    if stage_generations and stage_generations[-1].is_open:
        return len(stage_generations) - 1
    if (
        not run.is_open
        or run.cancel_requested_at
        or any(stage.status is not Status.SUCCEEDED for stage in stage_generations)
    ):
        return None
    return len(stage_generations) if len(stage_generations) < len(pipeline_of(run).stages) else None


def new_stage(
    run: Generation, number: int, stage_generations: Sequence[Generation], prompt: str, now: datetime
) -> Generation:
    """A new stage as a generation: with the files of earlier stages as inputs, and a share of the run's hold."""
    stage = pipeline_of(run).stages[number]
    return Generation(
        id=stage_id(run.id, number),
        workspace_id=run.workspace_id,
        user_id=run.user_id,
        token_id=run.token_id,
        recipe=Recipe(
            stage.kind,
            prompt,
            stage.model,
            stage.negative_prompt,
            stage.parameters,
            stage.inputs | {role: _stage_files(run, stage, role, stage_generations) for role in stage.starts_from},
        ),
        candidates=stage.candidates,
        price_version=run.price_version,
        watermark=run.watermark,
        credits_held=stage.credits_max,
        status=Status.QUEUED,
        created_at=now,
        deadline_at=run.deadline_at,
        project_id=run.project_id,
        parent_id=run.id,
        stage=stage.name,
        later_stages_seconds=int(_time_of_later_stages(run, number).total_seconds()),
    )


def _time_of_later_stages(run: Generation, number: int) -> timedelta:
    """The time that the stages after this one may take: each waits for its turn and runs as long as it may."""
    later = pipeline_of(run).stages[number + 1 :]
    return sum((QUEUE_ALLOWANCE + timedelta(seconds=stage.run_seconds_max) for stage in later), timedelta())


def _stage_files(
    run: Generation, stage: Stage, role: str, stage_generations: Sequence[Generation]
) -> tuple[InputAsset, ...]:
    asset = _stage_named(run, stage.starts_from[role], stage_generations).assets[0]
    input_asset = InputAsset(asset.id, asset.sha256, asset.format, asset.width, asset.height, asset.duration_ms)
    return (*stage.inputs.get(role, ()), input_asset)


def _stage_named(run: Generation, name: str, stage_generations: Sequence[Generation]) -> Generation:
    names = [stage.name for stage in pipeline_of(run).stages]
    return stage_generations[names.index(name)]


def advance(run: Generation, number: int, now: datetime) -> Generation:
    """The run after the stage with this index has begun."""
    return replace(
        run,
        status=Status.RUNNING,
        stages_begun=number + 1,
        progress=max(run.progress, 100 * number // len(pipeline_of(run).stages)),
        started_at=run.started_at or now,
    )


def conclude(run: Generation, stage_generations: Sequence[Generation], now: datetime) -> Generation | None:
    """The run in its final state, with the sums of its stages; None while a stage is open or still to be made. Stages
    of an earlier run are not charged again."""
    if any(stage.is_open for stage in stage_generations):
        return None
    run = bill_run(run, stage_generations)
    failed_stage = next((stage for stage in stage_generations if stage.status is not Status.SUCCEEDED), None)
    if failed_stage is None and len(stage_generations) == len(pipeline_of(run).stages):
        return run.as_succeeded(stage_generations[-1].assets, run.credits_charged, now)
    if failed_stage is not None:
        failure = LATE_FAILURE if failed_stage.status is Status.EXPIRED else failed_stage.failure
        return run.as_ended(failed_stage.status, run.credits_charged, failure, now)
    return run.as_ended(Status.CANCELLED, run.credits_charged, None, now) if run.cancel_requested_at else None


def bill_run(run: Generation, stage_generations: Sequence[Generation]) -> Generation:
    """The run with the sums of its own stages: usage, cost, and credits, of which never more than it holds."""
    own_stages = [stage for stage in stage_generations if stage.parent_id == run.id]
    usage: Counter[str] = Counter()
    for stage in own_stages:
        usage.update(stage.usage)
    # The cost source of the run is the least reliable one of its stages.
    sources = {stage.cost_source for stage in own_stages if stage.attempts} or {"estimate"}
    return replace(
        run,
        attempts=tuple(attempt for stage in own_stages for attempt in stage.attempts),
        credits_charged=min(sum(stage.credits_charged for stage in own_stages), run.credits_held),
        cost_microusd=sum(stage.cost_microusd for stage in own_stages),
        cost_source=next(source for source in ("estimate", "usage", "provider") if source in sources),
        usage=dict(usage),
    )


def resume(
    run: Generation, stage_generations: Sequence[Generation], is_kept: Callable[[DeliveredFile], bool]
) -> Pipeline:
    """The pipeline for the retry of a run. After a success all stages are made again; after a failure the stages that
    were delivered before it are kept, as long as `is_kept` says so of each of their files."""
    kept_stages: list[Generation] = []
    if run.status is not Status.SUCCEEDED:
        delivered = takewhile(lambda stage: stage.status is Status.SUCCEEDED, stage_generations)
        kept_stages = list(takewhile(lambda stage: all(map(is_kept, stage.assets)), delivered))
    stages = tuple(
        replace(
            stage,
            candidates=(),
            credits_max=0,
            run_seconds_max=0,
            made_by=kept_stages[number].id if number < len(kept_stages) else None,
        )
        for number, stage in enumerate(pipeline_of(run).stages)
    )
    return replace(pipeline_of(run), stages=stages)


# ---- actions ---------------------------------------------------------------------------------------------------------


def read_stages(run: Generation, generations: GenerationStore) -> list[Generation]:
    """The generations of a run's stages that exist so far, in order."""
    stage_generations: list[Generation] = []
    for number, stage in enumerate(pipeline_of(run).stages):
        if stage.made_by is None and number >= run.stages_begun:
            break
        try:
            stage_generations.append(generations.get(run.workspace_id, stage_generation_id(run, number)))
        except NotFound:
            break
    return stage_generations


def run_plan_step(task: Mapping[str, Any], *, deps: PlanStageDeps, now: datetime) -> dict[str, str | None]:
    """The workflow's plan step. task: {workspace_id, run_id, generation_id: the stage just attempted, or None}. Returns
    the input of the next states: the same with the stage to attempt now, or None; `lost`: no attempt of it has failed
    yet."""
    workspace_id, run_id = task["workspace_id"], task["run_id"]
    stage = plan_stage(workspace_id, run_id, task["generation_id"], deps=deps, now=now)
    logger.info("planned", workspace_id=workspace_id, run_id=run_id, stage=stage.stage if stage else None)
    return {
        "workspace_id": workspace_id,
        "run_id": run_id,
        "lost": None,
        "generation_id": stage.id if stage else None,
    }


def plan_stage(
    workspace_id: str, run_id: str, after: str | None, *, deps: PlanStageDeps, now: datetime
) -> Generation | None:
    """The stage to attempt now, which is written if it is new; None when there is none to attempt. after: the id of the
    stage that was just attempted. If that stage is still open, its outcome is unknown: polls or the deadline end it.
    Raises Unavailable when parallel writers win every time."""

    def attempt() -> Generation | None:
        run = deps.generations.get(workspace_id, run_id)
        stage_generations = read_stages(run, deps.generations)
        number = next_stage_index(run, stage_generations)
        if number is None:
            return None
        if number < len(stage_generations):
            return None if stage_generations[number].id == after else stage_generations[number]
        prompt, run_after = _stage_prompt(run, number, stage_generations, deps), advance(run, number, now)
        stage = new_stage(run, number, stage_generations, prompt, now)
        if pipeline_of(run).stages[number].says is not None and run.enhanced_prompt is None:
            # The run shows the enhanced prompt as soon as it is used. If moderation refuses the prompt, the stage is
            # written as failed, before any attempt.
            run_after = replace(run_after, enhanced_prompt=prompt)
            failure = deps.prompt_failure(run, prompt)
            stage = stage.as_ended(Status.FAILED, 0, failure, now) if failure else stage
        # It fails when a parallel writer was first or our own write had succeeded: the next attempt reads the stage.
        deps.generations.begin_stage(run, run_after, stage)
        return stage if stage.is_open else None

    return retrying(attempt, on=GenerationChanged, busy=RUN_BUSY, tries_max=TRIES_MAX)


def _stage_prompt(run: Generation, number: int, stage_generations: Sequence[Generation], deps: PlanStageDeps) -> str:
    stage = pipeline_of(run).stages[number]
    if stage.says is None:
        return run.recipe.prompt
    if run.enhanced_prompt is not None:
        return run.enhanced_prompt
    return rewritten_prompt(run.recipe.prompt, deps.read_text(_stage_named(run, stage.says, stage_generations)) or "")


def finish_run(workspace_id: str, run_id: str, *, deps: CloseDeps, now: datetime) -> Generation:
    """Bring a run to the final state that follows from its stages, and settle its hold. A run with stages still to come
    stays as it is; an expired run still takes the result of its last stage, free. Safe to repeat."""
    run = deps.generations.get(workspace_id, run_id)
    stage_generations = read_stages(run, deps.generations)
    if run.status is Status.EXPIRED:
        return _finish_late(run, stage_generations, deps, now)
    ended = conclude(run, stage_generations, now) if run.is_open else None
    if ended is not None and ended.status is Status.SUCCEEDED and run.reuse_key is not None:
        deps.generations.keep_result(workspace_id, run.reuse_key, run_id)
    return run if ended is None else close(ended, _end_state(ended), deps, now)


def _end_state(ended: Generation) -> EndState:
    if ended.status is Status.SUCCEEDED or ended.credits_charged:
        return EndState.SETTLED
    return EndState.EXPIRED if ended.status is Status.EXPIRED else EndState.RELEASED


def _finish_late(
    run: Generation, stage_generations: Sequence[Generation], deps: CloseDeps, now: datetime
) -> Generation:
    complete = len(stage_generations) == len(pipeline_of(run).stages) and all(
        stage.status is Status.SUCCEEDED for stage in stage_generations
    )
    if not complete or run.cancel_requested_at is not None:
        return _book_late(run, stage_generations, deps)
    # The credits charged at the expiry stay as they are. The late stage is the operator's loss, which was booked with
    # the stage itself.
    delivered = replace(bill_run(run, stage_generations), credits_charged=run.credits_charged)
    delivered = delivered.as_succeeded(stage_generations[-1].assets, run.credits_charged, now)
    try:
        deps.generations.deliver_late(delivered, plan_late_result(run.id, 0, finish.end_facts(delivered), now))
    except GenerationChanged:
        return deps.generations.get(run.workspace_id, run.id)
    return delivered


def _book_late(run: Generation, stage_generations: Sequence[Generation], deps: CloseDeps) -> Generation:
    """Book the real cost of the stages of an expired run."""
    booked = replace(bill_run(run, stage_generations), credits_charged=run.credits_charged)
    if (booked.cost_microusd, booked.cost_source) == (run.cost_microusd, run.cost_source):
        return run
    try:
        deps.generations.book_late(booked)
    except GenerationChanged:
        return deps.generations.get(run.workspace_id, run.id)
    return booked


def expire(generation: Generation, *, deps: CloseDeps, now: datetime) -> Generation:
    """End a generation that has passed its deadline. For a run, first the open stage expires, then the run, which is
    charged for the stages that were delivered."""
    if generation.pipeline is None:
        return finish.expire_generation(generation, deps=deps, now=now)
    run = generation
    for _ in range(TRIES_MAX):
        stage_generations = read_stages(run, deps.generations)
        if stage_generations and stage_generations[-1].is_open:
            stage_generations[-1] = finish.expire_generation(stage_generations[-1], deps=deps, now=now)
        if not any(stage.is_open for stage in stage_generations):
            ended = conclude(run, stage_generations, now) or bill_run(run, stage_generations)
            if ended.is_open:
                ended = ended.as_ended(Status.EXPIRED, ended.credits_charged, LATE_FAILURE, now)
            closed = close(ended, _end_state(ended), deps, now)
            if not closed.is_open:
                return closed
        # A stage, or an attempt of a stage, has begun in parallel: read again.
        run = deps.generations.get(run.workspace_id, run.id)
        if not run.is_open:
            return run
    return run


def cancel_stage(run: Generation, *, generations: GenerationStore, now: datetime) -> None:
    """Cancel the open stage of a run: at once when nothing was sent to a provider, else by a cancel request. Raises
    Unavailable when parallel writers win every time."""

    def attempt() -> None:
        stage_generations = read_stages(run, generations)
        if not stage_generations or not stage_generations[-1].is_open or stage_generations[-1].cancel_requested_at:
            return
        stage = stage_generations[-1]
        if stage.attempts:
            generations.save_progress(stage, replace(stage, cancel_requested_at=now))
        else:
            generations.close_as_ended(stage.as_ended(Status.CANCELLED, 0, None, now))

    retrying(attempt, on=GenerationChanged, busy=RUN_BUSY, tries_max=TRIES_MAX)
