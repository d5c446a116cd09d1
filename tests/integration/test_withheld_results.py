"""A result that moderation withholds comes into the queue of the platform's administrators."""

from __future__ import annotations

from dataclasses import replace

from atelier.adapters.aws.dynamodb.moderation_queue import DynamoModerationQueue
from atelier.generations.finish import finish
from atelier.generations.outcome import Outcome
from atelier.moderation.queue import FlagSource
from atelier.provider_port import Done, Output
from tests.embedded_aws import Tables
from tests.integration.world import World


def test_a_withheld_result_is_in_the_moderation_queue_once(tables: Tables) -> None:
    world, queue = World(tables, providers=frozenset({"local", "replicate"})), DynamoModerationQueue()
    world.refreshed()
    queue.bind(tables.generations)
    generation = world.submit(model="replicate/sdxl", n=2).generation
    world.replicate.answers = [Done((Output(data=b"one"), Output(data=b"two")), {"predict_milliseconds": 2000})]
    world.attempt(generation)
    world.media.withheld = frozenset({0})
    outcome, deps = Outcome.from_data(world.execution.results[-1]), replace(world.finish_deps, flags=queue)
    for _ in range(2):
        finish(world.workspace_id, generation.id, outcome, deps=deps, now=world.now)
    [item] = queue.page(None, 10, only_open=True).items
    assert (item.source, item.workspace_id, item.user_id) == (
        FlagSource.RESULT,
        world.workspace_id,
        generation.user_id,
    )
    assert (tuple(item.subject_ids), item.model, item.decision) == ((generation.id,), "replicate/sdxl", None)
