"""Parts of transactions that write generations, and the conditions they share."""

from __future__ import annotations

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import Transaction
from atelier.adapters.aws.dynamodb.generations.items import (
    GenerationItem,
    RecipeItem,
    assets_data,
    attempts_data,
    failure_data,
    is_recipe_apart,
    recipe_data,
)
from atelier.adapters.aws.dynamodb.projects import budget_part
from atelier.clock import rfc3339
from atelier.generations.model import (
    OPEN_STATUSES,
    Generation,
    Status,
)
from atelier.generations.ports import (
    GenerationExists,
    QuoteRedeemed,
)
from atelier.ledger.ports import StaleWallet
from atelier.projects.ports import BudgetRefused


def put_new(write: Transaction, generation: Generation) -> None:
    """Add a new generation to a transaction: its state, and its recipe if that is stored apart. Part: "generation"."""
    recipe = recipe_data(generation)
    recipe_apart = is_recipe_apart(generation)

    item = GenerationItem(
        generation.workspace_id,
        generation.id,
        user_id=generation.user_id,
        token_id=generation.token_id,
        kind=generation.recipe.kind.value,
        express=int(generation.starts_express) or None,
        recipe=None if recipe_apart else recipe,
        candidates=list(generation.candidates),
        price_version=generation.price_version,
        watermark=int(generation.watermark),
        project_id=generation.project_id,
        webhook_url=generation.webhook_url,
        purpose=generation.purpose,
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
        later_stages_seconds=generation.later_stages_seconds or None,
        reuse_key=generation.reuse_key,
        reused_from=generation.reused_from,
        enhanced_prompt=generation.enhanced_prompt,
        progress=generation.progress or None,
        assets=assets_data(generation) or None,
        completed_at=rfc3339(generation.completed_at) if generation.completed_at else None,
        failure=failure_data(generation.failure) if generation.failure else None,
    )

    write.save(item, GenerationItem.pk.does_not_exist(), part="generation")
    if recipe_apart:
        write.save(RecipeItem(generation.workspace_id, f"request#{generation.id}", recipe=recipe))


def final_actions(generation: Generation) -> list[Action]:
    """The changes of an item whose generation has ended."""
    actions: list[Action] = [
        GenerationItem.status.set(generation.status.value),
        GenerationItem.credits_charged.set(generation.credits_charged),
        GenerationItem.attempts.set(attempts_data(generation)),
        GenerationItem.progress.set(generation.progress),
    ]

    if (generation.cost_microusd, generation.cost_source) != (0, "estimate"):
        # The default cost is not written, so that with a usual prompt the item stays below one write unit.
        actions.append(GenerationItem.cost_microusd.set(generation.cost_microusd))
        actions.append(GenerationItem.cost_source.set(generation.cost_source))

    if generation.completed_at:
        actions.append(GenerationItem.completed_at.set(rfc3339(generation.completed_at)))
    if generation.assets:
        actions.append(GenerationItem.assets.set(assets_data(generation)))
    if generation.usage:
        actions.append(GenerationItem.usage.set(generation.usage))
    if generation.finish_reason:
        actions.append(GenerationItem.finish_reason.set(generation.finish_reason))
    if generation.failure:
        actions.append(GenerationItem.failure.set(failure_data(generation.failure)))
    if generation.pipeline and generation.attempt:
        # A run gets the provider and model of its last stage, so that a listing can filter by them.
        actions.append(GenerationItem.provider.set(generation.attempt.provider))
        actions.append(GenerationItem.model.set(generation.attempt.model))
    return actions


def opening_error(generation: Generation, failed: frozenset[str]) -> Exception:
    """Why a generation and its hold were not written. `failed`: the parts whose conditions did not hold."""
    if "generation" in failed:
        return GenerationExists()
    if "quote" in failed and "movement" not in failed:
        return QuoteRedeemed()
    refused_budgets = [name for name in generation.budgets if budget_part(name) in failed]
    if refused_budgets and failed.isdisjoint({"movement", "quote", "wallet"}):
        return BudgetRefused(refused_budgets[0])
    return StaleWallet()


def open_condition(begun: int) -> Condition:
    """Condition: the generation is open, and has begun this number of attempts."""
    return GenerationItem.status.is_in(*(status.value for status in OPEN_STATUSES)) & (
        GenerationItem.attempt_count == begun
    )


def expired_condition(before: Generation) -> Condition:
    """Condition: the generation is expired, and its cost is the one that was read, so that the difference to a new cost
    is counted once on the budgets."""
    cost = GenerationItem.cost_microusd
    counted = cost == before.counted_microusd
    return (GenerationItem.status == Status.EXPIRED.value) & (
        counted if before.counted_microusd else counted | cost.does_not_exist()
    )
