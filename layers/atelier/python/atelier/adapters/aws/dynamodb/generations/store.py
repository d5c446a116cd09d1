"""GenerationStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    conditional,
    newest_page,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.generations.items import (
    CallbackItem,
    GenerationItem,
    RecipeItem,
    RedeemedQuoteItem,
    ReuseItem,
    attempts_data,
    decode_generation,
)
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import PromptRefusalItem
from atelier.adapters.aws.dynamodb.generations.transactions import (
    expired_condition,
    final_actions,
    open_condition,
    opening_error,
    put_new,
)
from atelier.adapters.aws.dynamodb.ledger.transactions import put_hold, put_late_result, put_settlement
from atelier.adapters.aws.dynamodb.library import asset_part, put_delivered
from atelier.adapters.aws.dynamodb.projects import budget_part, put_reservations, put_spending
from atelier.adapters.aws.dynamodb.usage import STORAGE, put_usage
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.generations.model import (
    OPEN_STATUSES,
    DeliveredFile,
    Generation,
    Status,
)
from atelier.generations.ports import (
    Filters,
    GenerationChanged,
    GenerationExists,
    GenerationPage,
    TaskCallback,
)
from atelier.ids import floor_id
from atelier.ledger.model import HoldPlan, Movement, SettlementPlan
from atelier.ledger.ports import StaleWallet
from atelier.projects.model import month_of
from atelier.projects.ports import BudgetRefused

CONFLICTS_MAX = 30


class DynamoGenerations:
    """GenerationStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the generations' table."""
        for item in (GenerationItem, RecipeItem, CallbackItem, RedeemedQuoteItem, ReuseItem, PromptRefusalItem):
            item.bind(table_name)

    def open_with_hold(self, generation: Generation, opening: HoldPlan) -> None:
        try:
            with transaction() as write:
                put_new(write, generation)
                put_hold(write, generation.workspace_id, opening)
                if generation.quote_id is not None:
                    redeemed = RedeemedQuoteItem(
                        generation.workspace_id, f"quote#{generation.quote_id}", generation_id=generation.id
                    )
                    write.save(redeemed, RedeemedQuoteItem.pk.does_not_exist(), part="quote")
                put_reservations(
                    write,
                    generation.workspace_id,
                    generation.budgets,
                    generation.reserved_microusd,
                    month_of(generation.created_at),
                )
        except ConditionsFailed as error:
            raise opening_error(generation, error.parts) from error
        except TransactionConflict as error:
            raise StaleWallet from error

    def write_final(self, generation: Generation) -> None:
        try:
            with transaction() as write:
                put_new(write, generation)
                put_reservations(write, generation.workspace_id, generation.budgets, 0, month_of(generation.created_at))
        except ConditionsFailed as error:
            if "generation" in error.parts:
                raise GenerationExists from error
            refused = next(name for name in generation.budgets if budget_part(name) in error.parts)
            raise BudgetRefused(refused) from error

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
        condition = open_condition(run.begun_count) & GenerationItem.cancel_requested_at.does_not_exist()

        def write_both() -> None:
            with transaction() as write:
                put_new(write, stage)
                write.update(GenerationItem(run.workspace_id, run.id), actions, condition, part="run")

        try:
            retry_conflicts(write_both, busy="This run is changing quickly. Try again.", tries_max=CONFLICTS_MAX)
        except ConditionsFailed as error:
            raise GenerationChanged from error

    def close_with_ending(
        self, generation: Generation, ending: SettlementPlan, files: Sequence[DeliveredFile] = ()
    ) -> None:
        def put(write: Transaction, new_bytes: int) -> None:
            put_settlement(write, generation.workspace_id, ending, delivered_bytes=new_bytes)

        condition, released = open_condition(generation.begun_count), generation.reserved_microusd
        self._close(generation, final_actions(generation), condition, put, released=released, files=files)

    def close_as_ended(self, generation: Generation, files: Sequence[DeliveredFile] = ()) -> None:
        def put(write: Transaction, new_bytes: int) -> None:
            # This end does not write the wallet, so the library counts.
            if new_bytes:
                put_usage(write, generation.workspace_id, STORAGE, new_bytes)

        condition, released = open_condition(generation.begun_count), generation.reserved_microusd
        self._close(generation, final_actions(generation), condition, put, released=released, files=files)

    def deliver_late(self, generation: Generation, movement: Movement, files: Sequence[DeliveredFile] = ()) -> None:
        def put(write: Transaction, new_bytes: int) -> None:
            put_late_result(write, generation.workspace_id, movement, delivered_bytes=new_bytes)

        actions = [*final_actions(generation), GenerationItem.failure.remove()]
        # The reservation was released when the generation expired.
        self._close(generation, actions, expired_condition(generation), put, released=0, files=files)

    def book_late(self, generation: Generation) -> None:
        actions: list[Action] = [
            GenerationItem.attempts.set(attempts_data(generation)),
            GenerationItem.cost_microusd.set(generation.cost_microusd),
            GenerationItem.cost_source.set(generation.cost_source),
        ]
        if generation.usage:
            actions.append(GenerationItem.usage.set(generation.usage))
        self._close(generation, actions, expired_condition(generation), lambda write, _: None, released=0)

    @staticmethod
    def _close(
        generation: Generation,
        actions: list[Action],
        condition: Condition,
        add_parts: Callable[[Transaction, int], None],
        *,
        released: int,
        files: Sequence[DeliveredFile] = (),
    ) -> None:
        """Write an end and its new files. add_parts(write, new_bytes): adds the parts of this kind of end; new_bytes:
        the size of the files that the transaction records."""
        item = GenerationItem(generation.workspace_id, generation.id)
        new_files = dict(enumerate(files))

        def write_all() -> None:
            with transaction() as write:
                add_parts(write, sum(file.size_bytes for file in new_files.values()))
                for number, file in new_files.items():
                    put_delivered(write, generation, number, file)
                write.update(item, actions, condition, part="generation")
                put_spending(
                    write,
                    generation.workspace_id,
                    generation.budgets,
                    released=released,
                    spent=generation.cost_microusd - generation.counted_microusd,
                )

        def write_patiently() -> None:
            # After a conflict, a parallel write to the same wallet has won and nothing of this one is written.
            retry_conflicts(write_all, busy="The wallet is busy. Try again.", tries_max=CONFLICTS_MAX)

        try:
            write_patiently()
        except ConditionsFailed as error:
            # Until 2026-11-29 the assets were recorded and counted before the end, by a write of their own.
            recorded = [number for number, file in new_files.items() if asset_part(file.id) in error.parts]
            if len(recorded) < len(error.parts):
                raise GenerationChanged from error
            for number in recorded:
                del new_files[number]
            try:
                write_patiently()
            except ConditionsFailed as again:
                raise GenerationChanged from again

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        try:
            item = GenerationItem.get(workspace_id, generation_id, consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        return decode_generation(item, self._recipe(item))

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
        return GenerationPage(tuple(decode_generation(item, self._recipe(item)) for item in items), next_id)

    def save_progress(self, before: Generation, after: Generation) -> None:
        actions: list[Action] = [
            GenerationItem.status.set(after.status.value),
            GenerationItem.attempt_count.set(after.begun_count),
            GenerationItem.attempts.set(attempts_data(after)),
            GenerationItem.progress.set(after.progress),
        ]
        if after.attempt is not None:
            actions.append(GenerationItem.provider.set(after.attempt.provider))
            actions.append(GenerationItem.model.set(after.attempt.model))
        if after.started_at:
            actions.append(GenerationItem.started_at.set(rfc3339(after.started_at)))
        condition = open_condition(before.begun_count)
        if after.cancel_requested_at and not before.cancel_requested_at:
            actions.append(GenerationItem.cancel_requested_at.set(rfc3339(after.cancel_requested_at)))
        elif before.cancel_requested_at is None:
            condition &= GenerationItem.cancel_requested_at.does_not_exist()
        item = GenerationItem(before.workspace_id, before.id)
        if not conditional(lambda: item.update(actions, condition=condition), CONFLICT_CODES):
            raise GenerationChanged

    def save_delay(self, generation: Generation, until: datetime, candidate: str | None) -> None:
        text = f"{rfc3339(until)} {candidate or ''}".rstrip()
        item = GenerationItem(generation.workspace_id, generation.id)
        condition = open_condition(generation.begun_count)
        conditional(lambda: item.update([GenerationItem.delayed.set(text)], condition=condition), CONFLICT_CODES)

    def save_callback(self, workspace_id: str, generation_id: str, callback: TaskCallback) -> TaskCallback:
        known = ((CallbackItem.task_token, callback.task_token), (CallbackItem.reference, callback.reference))
        actions: list[Action] = [attribute.set(value) for attribute, value in known if value]
        return _save_callback(workspace_id, generation_id, callback.attempt_id, actions)

    def save_outcome(
        self, workspace_id: str, generation_id: str, attempt_id: str, outcome: Mapping[str, Any]
    ) -> TaskCallback:
        return _save_callback(workspace_id, generation_id, attempt_id, [CallbackItem.outcome.set(dict(outcome))])

    def callback(self, workspace_id: str, generation_id: str, attempt_id: str) -> TaskCallback | None:
        try:
            item = CallbackItem.get(workspace_id, f"callback#{generation_id}#{attempt_id}", consistent_read=True)
        except DoesNotExist:
            return None
        return _decode_callback(attempt_id, item)

    def open_since(self, workspace_id: str, created_after: datetime) -> list[Generation]:
        items = GenerationItem.query(
            workspace_id,
            GenerationItem.sk.between(floor_id("gen", created_after), "gen_~"),
            filter_condition=_not_a_stage_condition()
            & GenerationItem.status.is_in(*(status.value for status in OPEN_STATUSES)),
            consistent_read=True,
        )
        return [decode_generation(item, self._recipe(item)) for item in items]

    def unfinished_of(self, workspace_id: str, project_id: str, expired_after: datetime) -> list[Generation]:
        """The open generations of a project, and those that have expired after an instant; a run without its stages
        (consistent read)."""
        # All ids: an id contains the time at which it was bound to an idempotency key, which may be long ago.
        expired = (GenerationItem.status == Status.EXPIRED.value) & (
            GenerationItem.deadline_at > rfc3339(expired_after)
        )
        is_open = GenerationItem.status.is_in(*(status.value for status in OPEN_STATUSES))
        items = GenerationItem.query(
            workspace_id,
            GenerationItem.sk.between("gen_", "gen_~"),
            filter_condition=_not_a_stage_condition() & (GenerationItem.project_id == project_id) & (is_open | expired),
            consistent_read=True,
        )
        return [decode_generation(item, self._recipe(item)) for item in items]

    @staticmethod
    def _recipe(item: GenerationItem) -> dict[str, Any]:
        if item.recipe is not None:
            return item.recipe
        return RecipeItem.get(item.pk, f"request#{item.sk}", consistent_read=True).recipe


def _save_callback(workspace_id: str, generation_id: str, attempt_id: str, actions: list[Action]) -> TaskCallback:
    item = CallbackItem(workspace_id, f"callback#{generation_id}#{attempt_id}")
    item.update(actions)  # It reads all that is stored now into the item.
    return _decode_callback(attempt_id, item)


def _decode_callback(attempt_id: str, item: CallbackItem) -> TaskCallback:
    return TaskCallback(attempt_id, item.task_token or "", item.reference, item.outcome)


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
