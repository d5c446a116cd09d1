"""The generations table.

    pk wsp_…  sk gen_…                     a generation: state, attempts, delivered files; also the stages of a run
    pk wsp_…  sk request#gen_…             its recipe, if it is too large to be rewritten with each change of state
    pk wsp_…  sk quote#quo_…               a redeemed quote, with the generation that redeemed it
    pk wsp_…  sk reuse#<digest>            the generation whose result is reused for identical requests
    pk wsp_…  sk callback#gen_…#att_…      the task token to resume the execution of a waiting attempt

DynamoDB bills an update by the size of the whole item, so a long prompt is stored apart from the state that changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    CompactJSON,
    Item,
    failed_conditions,
    newest_page,
    pause_with_jitter,
    transaction,
)
from atelier.adapters.aws.dynamodb.ledger import put_hold, put_late_result, put_settlement
from atelier.adapters.aws.dynamodb.projects import put_reservations, put_spending
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound, Unavailable
from atelier.generations.model import (
    OPEN_STATUSES,
    Attempt,
    AttemptStatus,
    DeliveredFile,
    Failure,
    Generation,
    InputAsset,
    InputAssets,
    Kind,
    Pipeline,
    Recipe,
    Stage,
    Status,
)
from atelier.generations.ports import (
    Filters,
    GenerationChanged,
    GenerationExists,
    GenerationPage,
    QuoteRedeemed,
    TaskCallback,
)
from atelier.ids import floor_id
from atelier.ledger.model import HoldPlan, Movement, SettlementPlan
from atelier.ledger.ports import StaleWallet
from atelier.projects.model import month_of
from atelier.projects.ports import BudgetRefused

RECIPE_BYTES_INLINE_MAX = 360
CONFLICTS_MAX = 30


class GenerationItem(Item):
    """The state of one generation. Missing attributes have defaults; see `_generation`."""

    user_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    recipe = CompactJSON(null=True)
    candidates = CompactJSON()
    price_version = UnicodeAttribute()
    watermark = NumberAttribute()
    project_id = UnicodeAttribute(null=True)
    quote_id = UnicodeAttribute(null=True)
    budgets = CompactJSON(null=True)
    reserved_microusd = NumberAttribute(null=True)
    status = UnicodeAttribute()
    credits_held = NumberAttribute()
    credits_charged = NumberAttribute(null=True)
    created_at = UnicodeAttribute()
    deadline_at = UnicodeAttribute()
    started_at = UnicodeAttribute(null=True)
    completed_at = UnicodeAttribute(null=True)
    cancel_requested_at = UnicodeAttribute(null=True)
    progress = NumberAttribute(null=True)
    attempt_count = NumberAttribute()
    attempts = CompactJSON(null=True)
    provider = UnicodeAttribute(null=True)
    model = UnicodeAttribute(null=True)
    assets = CompactJSON(null=True)
    cost_microusd = NumberAttribute(null=True)
    cost_source = UnicodeAttribute(null=True)
    usage = CompactJSON(null=True)
    failure = CompactJSON(null=True)
    enhanced_prompt = UnicodeAttribute(null=True)
    reuse_key = UnicodeAttribute(null=True)
    reused_from = UnicodeAttribute(null=True)
    pipeline = UnicodeAttribute(null=True)
    parent_id = UnicodeAttribute(null=True)
    stage = UnicodeAttribute(null=True)
    finish_reason = UnicodeAttribute(null=True)


class RecipeItem(Item):
    """A recipe that is too large to be stored with the state."""

    recipe = CompactJSON()


class CallbackItem(Item):
    """The Step Functions task token of an attempt, and the provider's reference for its job."""

    task_token = UnicodeAttribute()
    reference = UnicodeAttribute(null=True)


class RedeemedQuoteItem(Item):
    """A redeemed quote; kept for ever."""

    generation_id = UnicodeAttribute()


class ReuseItem(Item):
    """The generation with the latest result of a request."""

    generation_id = UnicodeAttribute()


class DynamoGenerations:
    """GenerationStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the generations' table."""
        for item in (GenerationItem, RecipeItem, CallbackItem, RedeemedQuoteItem, ReuseItem):
            item.bind(table_name)

    def open_with_hold(self, generation: Generation, opening: HoldPlan) -> None:
        try:
            with transaction() as write:
                _put_new(write, generation)
                put_hold(write, generation.workspace_id, opening)
                if generation.quote_id is not None:
                    redeemed = RedeemedQuoteItem(
                        generation.workspace_id, f"quote#{generation.quote_id}", generation_id=generation.id
                    )
                    write.save(redeemed, condition=RedeemedQuoteItem.pk.does_not_exist())
                put_reservations(
                    write,
                    generation.workspace_id,
                    generation.budgets,
                    generation.reserved_microusd,
                    month_of(generation.created_at),
                )
        except TransactWriteError as error:
            raise _opening_error(generation, _is_recipe_apart(generation), failed_conditions(error)) from error

    def write_final(self, generation: Generation) -> None:
        try:
            with transaction() as write:
                _put_new(write, generation)
                put_reservations(write, generation.workspace_id, generation.budgets, 0, month_of(generation.created_at))
        except TransactWriteError as error:
            failed = failed_conditions(error)
            if 0 in failed:
                raise GenerationExists from error
            if failed:
                raise BudgetRefused(generation.budgets[min(failed) - 1 - _is_recipe_apart(generation)]) from error
            raise

    def keep_result(self, workspace_id: str, reuse_key: str, generation_id: str) -> None:
        ReuseItem(workspace_id, f"reuse#{reuse_key}", generation_id=generation_id).save()

    def result_for(self, workspace_id: str, reuse_key: str) -> Generation | None:
        try:
            kept = ReuseItem.get(workspace_id, f"reuse#{reuse_key}", consistent_read=True)
            return self.get(workspace_id, kept.generation_id)
        except (DoesNotExist, NotFound):
            return None

    def begin_stage(self, run: Generation, run_after: Generation, stage: Generation) -> None:
        actions: list[Action] = [
            GenerationItem.status.set(run_after.status.value),
            GenerationItem.attempt_count.set(run_after.begun_count),
            GenerationItem.progress.set(run_after.progress),
        ]
        if run_after.started_at:
            actions.append(GenerationItem.started_at.set(rfc3339(run_after.started_at)))
        if run_after.enhanced_prompt is not None:
            actions.append(GenerationItem.enhanced_prompt.set(run_after.enhanced_prompt))
        condition = _open_condition(run.begun_count) & GenerationItem.cancel_requested_at.does_not_exist()
        for tries in range(CONFLICTS_MAX):
            try:
                with transaction() as write:
                    _put_new(write, stage)
                    write.update(GenerationItem(run.workspace_id, run.id), actions=actions, condition=condition)
            except TransactWriteError as error:
                if failed_conditions(error):
                    raise GenerationChanged from error
                pause_with_jitter(tries)
            else:
                return
        raise Unavailable("This run is changing quickly. Try again.")

    def close_with_ending(self, generation: Generation, ending: SettlementPlan) -> None:
        def put(write: TransactWrite) -> None:
            put_settlement(write, generation.workspace_id, ending)

        condition = _open_condition(generation.begun_count)
        self._close(generation, _final_actions(generation), condition, put, released=generation.reserved_microusd)

    def close_as_ended(self, generation: Generation) -> None:
        condition = _open_condition(generation.begun_count)
        released = generation.reserved_microusd
        self._close(generation, _final_actions(generation), condition, lambda write: None, released=released)

    def deliver_late(self, generation: Generation, movement: Movement) -> None:
        def put(write: TransactWrite) -> None:
            put_late_result(write, generation.workspace_id, movement)

        actions = [*_final_actions(generation), GenerationItem.failure.remove()]
        # The reservation was released when the generation expired.
        self._close(generation, actions, _expired_condition(generation), put, released=0)

    def book_late(self, generation: Generation) -> None:
        actions: list[Action] = [
            GenerationItem.attempts.set(_attempts_data(generation)),
            GenerationItem.cost_microusd.set(generation.cost_microusd),
            GenerationItem.cost_source.set(generation.cost_source),
        ]
        if generation.usage:
            actions.append(GenerationItem.usage.set(generation.usage))
        self._close(generation, actions, _expired_condition(generation), lambda write: None, released=0)

    @staticmethod
    def _close(
        generation: Generation,
        actions: list[Action],
        condition: Condition,
        add_parts: Callable[[TransactWrite], None],
        *,
        released: int,
    ) -> None:
        item = GenerationItem(generation.workspace_id, generation.id)
        for tries in range(CONFLICTS_MAX):
            try:
                with transaction() as write:
                    add_parts(write)
                    write.update(item, actions=actions, condition=condition)
                    put_spending(
                        write,
                        generation.workspace_id,
                        generation.budgets,
                        released=released,
                        spent=generation.cost_microusd - generation.counted_microusd,
                    )
            except TransactWriteError as error:
                if failed_conditions(error):
                    raise GenerationChanged from error
                pause_with_jitter(tries)  # A parallel write to the same wallet won; nothing was written.
            else:
                return
        raise Unavailable("The wallet is busy. Try again.")

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        try:
            item = GenerationItem.get(workspace_id, generation_id, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        return _generation(item, self._recipe(item))

    def list(self, workspace_id: str, filters: Filters, after_id: str | None, limit: int) -> GenerationPage:
        lowest = floor_id("gen", filters.created_from) if filters.created_from else "gen_"
        highest = floor_id("gen", filters.created_to) if filters.created_to else "gen_~"
        items, next_id = newest_page(
            GenerationItem,
            workspace_id,
            (lowest, highest),
            matching=_filter(filters),
            after=after_id,
            limit=limit,
            mostly_matching=filters == Filters(created_from=filters.created_from, created_to=filters.created_to),
        )
        return GenerationPage(tuple(_generation(item, self._recipe(item)) for item in items), next_id)

    def save_progress(self, before: Generation, after: Generation) -> None:
        actions: list[Action] = [
            GenerationItem.status.set(after.status.value),
            GenerationItem.attempt_count.set(after.begun_count),
            GenerationItem.attempts.set(_attempts_data(after)),
            GenerationItem.progress.set(after.progress),
        ]
        if after.attempt is not None:
            actions.append(GenerationItem.provider.set(after.attempt.provider))
            actions.append(GenerationItem.model.set(after.attempt.model))
        if after.started_at:
            actions.append(GenerationItem.started_at.set(rfc3339(after.started_at)))
        condition = _open_condition(before.begun_count)
        if after.cancel_requested_at and not before.cancel_requested_at:
            actions.append(GenerationItem.cancel_requested_at.set(rfc3339(after.cancel_requested_at)))
        elif before.cancel_requested_at is None:
            condition &= GenerationItem.cancel_requested_at.does_not_exist()
        try:
            GenerationItem(before.workspace_id, before.id).update(actions, condition=condition)
        except UpdateError as error:
            if error.cause_response_code in CONFLICT_CODES:
                raise GenerationChanged from error
            raise

    def save_callback(self, workspace_id: str, generation_id: str, callback: TaskCallback) -> None:
        CallbackItem(
            workspace_id,
            f"callback#{generation_id}#{callback.attempt_id}",
            task_token=callback.task_token,
            reference=callback.reference,
        ).save()

    def callback(self, workspace_id: str, generation_id: str, attempt_id: str) -> TaskCallback | None:
        try:
            item = CallbackItem.get(workspace_id, f"callback#{generation_id}#{attempt_id}", consistent_read=True)
        except DoesNotExist:
            return None
        return TaskCallback(attempt_id, item.task_token, item.reference)

    def open_since(self, workspace_id: str, created_after: datetime) -> list[Generation]:
        items = GenerationItem.query(
            workspace_id,
            GenerationItem.sk.between(floor_id("gen", created_after), "gen_~"),
            filter_condition=_not_a_stage_condition()
            & GenerationItem.status.is_in(*(status.value for status in OPEN_STATUSES)),
            consistent_read=True,
        )
        return [_generation(item, self._recipe(item)) for item in items]

    @staticmethod
    def _recipe(item: GenerationItem) -> dict[str, Any]:
        if item.recipe is not None:
            return item.recipe
        return RecipeItem.get(item.pk, f"request#{item.sk}", consistent_read=True).recipe


def _put_new(write: TransactWrite, generation: Generation) -> None:
    recipe = _recipe_data(generation)
    recipe_apart = _is_recipe_apart(generation)

    item = GenerationItem(
        generation.workspace_id,
        generation.id,
        user_id=generation.user_id,
        kind=generation.recipe.kind.value,
        recipe=None if recipe_apart else recipe,
        candidates=list(generation.candidates),
        price_version=generation.price_version,
        watermark=int(generation.watermark),
        project_id=generation.project_id,
        quote_id=generation.quote_id,
        budgets=list(generation.budgets) or None,
        reserved_microusd=generation.reserved_microusd or None,
        status=generation.status.value,
        credits_held=generation.credits_held,
        created_at=rfc3339(generation.created_at),
        deadline_at=rfc3339(generation.deadline_at),
        attempt_count=0,
        pipeline=generation.pipeline.name if generation.pipeline else None,
        parent_id=generation.parent_id,
        stage=generation.stage,
        reuse_key=generation.reuse_key,
        reused_from=generation.reused_from,
        enhanced_prompt=generation.enhanced_prompt,
        progress=generation.progress or None,
        assets=_assets_data(generation) or None,
        completed_at=rfc3339(generation.completed_at) if generation.completed_at else None,
        failure=_failure_data(generation.failure) if generation.failure else None,
    )

    write.save(item, condition=GenerationItem.pk.does_not_exist())
    if recipe_apart:
        write.save(RecipeItem(generation.workspace_id, f"request#{generation.id}", recipe=recipe))


def _is_recipe_apart(generation: Generation) -> bool:
    return len(json.dumps(_recipe_data(generation))) > RECIPE_BYTES_INLINE_MAX


def _final_actions(generation: Generation) -> list[Action]:
    actions: list[Action] = [
        GenerationItem.status.set(generation.status.value),
        GenerationItem.credits_charged.set(generation.credits_charged),
        GenerationItem.attempts.set(_attempts_data(generation)),
        GenerationItem.progress.set(generation.progress),
    ]

    if (generation.cost_microusd, generation.cost_source) != (0, "estimate"):
        # The default cost is not written, so that with a usual prompt the item stays below one write unit.
        actions.append(GenerationItem.cost_microusd.set(generation.cost_microusd))
        actions.append(GenerationItem.cost_source.set(generation.cost_source))

    if generation.completed_at:
        actions.append(GenerationItem.completed_at.set(rfc3339(generation.completed_at)))
    if generation.assets:
        actions.append(GenerationItem.assets.set(_assets_data(generation)))
    if generation.usage:
        actions.append(GenerationItem.usage.set(generation.usage))
    if generation.finish_reason:
        actions.append(GenerationItem.finish_reason.set(generation.finish_reason))
    if generation.failure:
        actions.append(GenerationItem.failure.set(_failure_data(generation.failure)))
    if generation.pipeline and generation.attempt:
        # A run gets the provider and model of its last stage, so that a listing can filter by them.
        actions.append(GenerationItem.provider.set(generation.attempt.provider))
        actions.append(GenerationItem.model.set(generation.attempt.model))
    return actions


def _opening_error(generation: Generation, recipe_apart: bool, failed: set[int]) -> Exception:
    """Why a generation and its hold were not written, from the positions of the parts whose conditions did not hold.

    Positions: 0 the generation, 1 its recipe (if apart), then the movement, the quote (if any), the wallet, and one for
    each budget."""
    quote = 3 if recipe_apart else 2
    wallet = quote + (generation.quote_id is not None)
    if 0 in failed:
        return GenerationExists()
    if quote in failed and quote < wallet and failed.isdisjoint(range(quote)):
        return QuoteRedeemed()
    refused_budgets = [name for place, name in enumerate(generation.budgets, wallet + 1) if place in failed]
    if refused_budgets and min(failed) > wallet:
        return BudgetRefused(refused_budgets[0])
    # Also when no condition failed: a parallel write to the same items won.
    return StaleWallet()


def _open_condition(begun: int) -> Condition:
    return GenerationItem.status.is_in(*(status.value for status in OPEN_STATUSES)) & (
        GenerationItem.attempt_count == begun
    )


def _expired_condition(before: Generation) -> Condition:
    """Condition: the generation is expired, and its cost is the one that was read, so that the difference to a new cost
    is counted once on the budgets."""
    cost = GenerationItem.cost_microusd
    counted = cost == before.counted_microusd
    return (GenerationItem.status == Status.EXPIRED.value) & (
        counted if before.counted_microusd else counted | cost.does_not_exist()
    )


def _not_a_stage_condition() -> Condition:
    """Condition: the item is not a stage of a run. Listings show a run as a whole."""
    return GenerationItem.parent_id.does_not_exist()


def _filter(filters: Filters) -> Condition:
    wanted = (
        (GenerationItem.status, filters.status),
        (GenerationItem.kind, filters.kind),
        (GenerationItem.provider, filters.provider),
        (GenerationItem.model, filters.model),
        (GenerationItem.project_id, filters.project_id),
    )
    condition = _not_a_stage_condition()
    for attribute, value in wanted:
        if value is not None:
            condition &= attribute == value
    return condition


def _recipe_data(generation: Generation) -> dict[str, Any]:
    recipe, pipeline = generation.recipe, generation.pipeline
    data: dict[str, Any] = {
        "prompt": recipe.prompt,
        "negative_prompt": recipe.negative_prompt,
        "model": recipe.model,
        "parameters": recipe.parameters,
        "character": recipe.character_id,
        "template": recipe.template_id,
        "inputs": _sources_data(recipe.inputs),
        "stages": list(map(_stage_data, pipeline.stages)) if pipeline else None,
    }
    return {name: value for name, value in data.items() if value is not None}


def _sources_data(inputs: InputAssets) -> dict[str, list[list[Any]]] | None:
    return {role: list(map(_source_data, sources)) for role, sources in inputs.items()} or None


def _source_data(source: InputAsset) -> list[Any]:
    measures = [source.width, source.height, source.duration_ms]
    return [source.asset_id, source.sha256, source.format, *(measures if any(measures) else ())]


def _sources(data: dict[str, list[list[Any]]]) -> InputAssets:
    return {role: tuple(InputAsset(*source) for source in sources) for role, sources in data.items()}


def _stage_data(stage: Stage) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": stage.name,
        "kind": stage.kind.value,
        "model": stage.model,
        "parameters": stage.parameters or None,
        "negative_prompt": stage.negative_prompt,
        "inputs": _sources_data(stage.inputs),
        "says": stage.says,
        "starts_from": stage.starts_from or None,
        "candidates": list(stage.candidates) or None,
        "credits_max": stage.credits_max,
        "made_by": stage.made_by,
    }
    return {name: value for name, value in data.items() if value is not None}


def _stage(data: dict[str, Any]) -> Stage:
    converted: dict[str, Any] = {
        "kind": Kind(data["kind"]),
        "inputs": _sources(data.get("inputs", {})),
        "candidates": tuple(data.get("candidates", ())),
    }
    return Stage(**{**data, **converted})


def _recipe(kind: str, data: dict[str, Any]) -> Recipe:
    return Recipe(
        Kind(kind),
        data["prompt"],
        data["model"],
        data.get("negative_prompt"),
        data["parameters"],
        _sources(data.get("inputs", {})),
        data.get("character"),
        data.get("template"),
    )


def _attempts_data(generation: Generation) -> list[dict[str, Any]]:
    # Each attempt stores its model, whose prefix is the provider; `provider` and `model` of the item are those of the
    # latest attempt. If an ended generation has a single attempt, the cost is stored with the generation only.
    listed_attempts = generation.attempts[len(generation.attempts) == 1 and not generation.is_open :]
    priced_attempts = [attempt for attempt in listed_attempts if attempt.cost_microusd]
    return [
        {
            "id": attempt.id,
            "model": attempt.model,
            "status": attempt.status.value,
            "started_at": rfc3339(attempt.started_at),
            **({"ended_at": rfc3339(attempt.ended_at)} if attempt.ended_at else {}),
            **({"error_class": attempt.error_class} if attempt.error_class else {}),
            **({"key": attempt.key} if attempt.key else {}),
            **({"cost": [attempt.cost_microusd, attempt.cost_source]} if attempt in priced_attempts else {}),
        }
        for attempt in generation.attempts
    ]


def _assets_data(generation: Generation) -> list[dict[str, Any]]:
    """The stored form of delivered files. The most frequent values, type image and a thumbnail, are not written."""
    return [
        {
            "id": asset.id,
            "sha256": asset.sha256,
            "format": asset.format,
            "size_bytes": asset.size_bytes,
            **({"type": asset.type} if asset.type != "image" else {}),
            **({"width": asset.width, "height": asset.height} if asset.width else {}),
            **({"duration_ms": asset.duration_ms} if asset.duration_ms is not None else {}),
            **({} if asset.has_thumbnail else {"has_thumbnail": False}),
        }
        for asset in generation.assets
    ]


def _asset(data: dict[str, Any]) -> DeliveredFile:
    with_defaults: dict[str, Any] = {"type": "image", "has_thumbnail": True, **data}
    return DeliveredFile(**with_defaults)


def _failure_data(failure: Failure) -> dict[str, str]:
    data = {"code": failure.code, "error_class": failure.error_class, "message": failure.message}
    optional = {"provider_code": failure.provider_code, "category": failure.category}
    return data | {name: value for name, value in optional.items() if value}


def _time(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None


def _generation(item: GenerationItem, recipe: dict[str, Any]) -> Generation:
    attempts: list[dict[str, Any]] = item.attempts or []
    assets: list[dict[str, Any]] = item.assets or []
    failure: dict[str, str] | None = item.failure

    cost = int(item.cost_microusd or 0), item.cost_source or "estimate"
    single_cost = cost if len(attempts) == 1 else (0, "estimate")

    return Generation(
        id=item.sk,
        workspace_id=item.pk,
        user_id=item.user_id,
        recipe=_recipe(item.kind, recipe),
        candidates=tuple(item.candidates),
        price_version=item.price_version,
        watermark=bool(item.watermark),
        credits_held=int(item.credits_held),
        status=Status(item.status),
        created_at=parse_rfc3339(item.created_at),
        deadline_at=parse_rfc3339(item.deadline_at),
        project_id=item.project_id,
        quote_id=item.quote_id,
        budgets=tuple(item.budgets or ()),
        reserved_microusd=int(item.reserved_microusd or 0),
        counted_microusd=int(item.cost_microusd or 0),
        progress=int(item.progress or 0),
        credits_charged=int(item.credits_charged or 0),
        cost_microusd=int(item.cost_microusd or 0),
        cost_source=item.cost_source or "estimate",
        usage=item.usage or {},
        attempts=tuple(
            Attempt(
                attempt["id"],
                attempt["model"].partition("/")[0],
                attempt["model"],
                AttemptStatus(attempt["status"]),
                parse_rfc3339(attempt["started_at"]),
                _time(attempt.get("ended_at")),
                attempt.get("error_class"),
                attempt.get("key"),
                *attempt.get("cost", single_cost),
            )
            for attempt in attempts
        ),
        assets=tuple(_asset(asset) for asset in assets),
        failure=Failure(**failure) if failure else None,
        cancel_requested_at=_time(item.cancel_requested_at),
        started_at=_time(item.started_at),
        completed_at=_time(item.completed_at),
        pipeline=Pipeline(item.pipeline, tuple(map(_stage, recipe["stages"]))) if item.pipeline else None,
        stages_begun=int(item.attempt_count) if item.pipeline else 0,
        enhanced_prompt=item.enhanced_prompt,
        reuse_key=item.reuse_key,
        reused_from=item.reused_from,
        parent_id=item.parent_id,
        stage=item.stage,
        finish_reason=item.finish_reason,
    )
