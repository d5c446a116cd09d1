"""The measured size of an input image and length of an audio result decide the output's size and the price."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from atelier.adapters.aws.dynamodb.library import DynamoAssets
from atelier.errors import NotFound, QuoteExpired, ValidationFailed
from atelier.generations.finish import finish
from atelier.generations.model import (
    Attempt,
    AttemptStatus,
    DeliveredFile,
    Generation,
    InputAsset,
    Kind,
    Recipe,
    Status,
    asset_id,
)
from atelier.generations.outcome import Outcome
from atelier.generations.ports import OutputLocation
from atelier.generations.quote import QuoteInput, quote
from atelier.generations.submit import Submission, resolve_inputs, submit_generation
from atelier.ids import new_id
from tests.conftest import Tables
from tests.integration.pipeline_world import PipelineWorld
from tests.integration.world import FakeMedia, World
from tests.recorded_assets import record_asset

SPEECH = "openai/gpt-4o-mini-tts"


@dataclass
class Sounds(FakeMedia):
    """Media that deliver every output as audio of one length."""

    milliseconds: int = 0

    def deliver(
        self, generation: Generation, number: int, output: OutputLocation, hosts: tuple[str, ...]
    ) -> DeliveredFile:
        return DeliveredFile(
            asset_id(generation.id, number), "audio", "0" * 64, "mp3", 5, duration_ms=self.milliseconds
        )


def spoken(tables: Tables, prompt: str, milliseconds: int, **usage: int) -> Generation:
    """A finished speech generation for which the provider reported this `usage`."""
    world = World(tables, providers=frozenset({"openai"}))
    world.media = Sounds(milliseconds=milliseconds)
    submission = Submission(world.workspace_id, "usr_A", Recipe(Kind.AUDIO, prompt, SPEECH))
    accepted = submit_generation(submission, deps=world.submit_deps, now=world.now).generation
    begun = Attempt(new_id("att", world.now), "openai", SPEECH, AttemptStatus.SUBMITTING, world.now)
    world.generations.save_progress(accepted, accepted.with_attempt(begun))
    outcome = Outcome("succeeded", (OutputLocation(key="made"),), usage)
    return finish(world.workspace_id, accepted.id, outcome, deps=world.finish_deps, now=world.now)


def test_a_speech_without_reported_usage_is_charged_by_its_measured_length(tables: Tables) -> None:
    prompt = "灯塔的灯在黄昏时点亮。" * 40
    made = spoken(tables, prompt, 110_000)
    assert (made.status, made.cost_source, made.usage) == (Status.SUCCEEDED, "usage", {"output_milliseconds": 110_000})
    assert made.cost_microusd == pytest.approx(2310 * 12 + 560, abs=60)
    assert 3 <= made.credits_charged < made.credits_held
    longer = spoken(tables, prompt, 3_000_000)
    assert (longer.credits_charged, longer.credits_held) == (made.credits_held, made.credits_held)
    counted = spoken(tables, prompt, 110_000, tokens_input=300, tokens_output=1000)
    assert counted.cost_microusd == 12_180


def test_a_video_made_from_an_earlier_stage_has_the_size_of_its_image(tables: Tables) -> None:
    world = PipelineWorld(tables)
    run = world.run_to_end(world.submit_pipeline("image_to_video").generation)
    _, video = world.stages(run)
    assert video.recipe.inputs["image"][0].width == 512
    assert video.recipe.parameters["size"] == "auto"
    parameters = world.local.submitted[-1].parameters
    assert (parameters["width"], parameters["height"]) == (512, 512)


def still(world: World, width: int, height: int) -> str:
    """An image of this size in the workspace's library; its asset id."""
    owner = world.submit().generation
    made = DeliveredFile(
        asset_id(owner.id, width), "image", f"{width:064}", "png", 5, width, height, has_thumbnail=True
    )
    record_asset(owner, made, 0)
    return made.id


def test_an_image_edit_is_quoted_and_held_at_the_size_of_its_input(tables: Tables) -> None:
    world = World(tables)
    small, large = still(world, 600, 1200), still(world, 1600, 1600)
    recipe = Recipe(Kind.IMAGE, "make it night", inputs={"image": (InputAsset(small),)})
    seen, _ = resolve_inputs(world.workspace_id, recipe, None, world.assets)
    promise, _ = quote(world.workspace_id, QuoteInput.of(seen), catalogue=world.catalogue, now=world.now)
    assert promise.credits_max == 3
    made = submit_generation(
        Submission(world.workspace_id, "usr_A", recipe, quote=promise), deps=world.submit_deps, now=world.now
    ).generation
    assert made.credits_held == 3
    assert {"size": "auto", "width": 600, "height": 1200}.items() <= made.recipe.parameters.items()
    assert world.get(made).recipe == made.recipe
    # A quote is for one input image: another image has another price.
    other = replace(recipe, inputs={"image": (InputAsset(large),)})
    with pytest.raises(ValidationFailed):
        submit_generation(
            Submission(world.workspace_id, "usr_A", other, quote=promise), deps=world.submit_deps, now=world.now
        )


def test_a_quote_without_its_input_files_size_has_expired(tables: Tables) -> None:
    world = World(tables)
    recipe = Recipe(Kind.IMAGE, "make it night", inputs={"image": (InputAsset(still(world, 600, 1200)),)})
    unmeasured, _ = quote(world.workspace_id, QuoteInput.of(recipe), catalogue=world.catalogue, now=world.now)
    submission = Submission(world.workspace_id, "usr_A", recipe, "order-1", quote=unmeasured)
    with pytest.raises(QuoteExpired):
        submit_generation(submission, deps=world.submit_deps, now=world.now)
    # For another request the quote is invalid, whether or not the file was measured.
    with pytest.raises(ValidationFailed):
        submit_generation(
            replace(submission, recipe=replace(recipe, prompt="make it day")), deps=world.submit_deps, now=world.now
        )
    assert world.wallet().holds_open == 1


class Gone(DynamoAssets):
    """A library in which every file is missing."""

    def input_asset(self, workspace_id: str, asset_id: str, asset_type: str) -> InputAsset:
        raise NotFound


def test_a_repeated_request_is_replayed_even_when_its_input_file_is_gone(tables: Tables) -> None:
    world = World(tables)
    recipe = Recipe(Kind.IMAGE, "make it night", inputs={"image": (InputAsset(still(world, 64, 64)),)})
    submission = Submission(world.workspace_id, "usr_A", recipe, "order-1")
    first = submit_generation(submission, deps=world.submit_deps, now=world.now)
    later = replace(world.submit_deps, input_asset_store=Gone())
    again = submit_generation(submission, deps=later, now=world.now)
    assert (again.replayed, again.generation.id) == (True, first.generation.id)
    with pytest.raises(ValidationFailed) as refused:
        submit_generation(replace(submission, idempotency_key="order-2"), deps=later, now=world.now)
    assert refused.value.facts["fields"][0]["path"] == "parameters.image_asset_id"
