"""Each provider × each of its kinds × each failure, through the real use cases: the charge, the cost, and whether
another candidate is tried.

The result is kept in FALLBACKS.md beside this file, for people to read; the test fails when it differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.clock import system_clock
from atelier.generations.attempt import TokenReply, attempt
from atelier.generations.attempt_messages import AttemptFailed
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, InputAsset, Kind, Recipe
from atelier.generations.poll import poll
from atelier.generations.submit import Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.ledger.model import GrantSource
from atelier.ledger.post import grant
from atelier.provider_port import Input, Provider
from atelier.routing.circuit_breaker import Health, Scope
from atelier.routing.health_cache import HealthCache
from infra.simulators.kit.samples import sample_png
from infra.simulators.kit.server import Simulator
from tests.conftest import Tables
from tests.contracts.cases import (
    HANG,
    SILENCE_SECONDS_MAX,
    UNKNOWN_OUTCOME_ROWS,
    adapter,
    markers_by_row,
    run_simulator,
)
from tests.integration.world import FakeMedia, World
from tests.polling import wait_until

KEPT = Path(__file__).with_name("FALLBACKS.md")
# The model of each provider and kind in this table.
MODELS_BY_KIND = {
    "anthropic": {"text": "anthropic/claude-haiku-4-5", "page": "anthropic/claude-sonnet-5"},
    "custom": dict.fromkeys(("text", "page", "image", "audio"), "custom/llama"),
    "fal": {"image": "fal/flux-schnell", "video": "fal/wan-2.5"},
    "openai": {
        "image": "openai/gpt-image-2",
        "text": "openai/gpt-4o-mini",
        "page": "openai/gpt-5.4-mini",
        "audio": "openai/tts-1",
    },
    "replicate": {
        "image": "replicate/sdxl",
        "video": "replicate/stable-video-diffusion",
        "avatar": "replicate/sadtalker",
    },
    "stability": {
        "image": "stability/core",
        "upscale": "stability/upscale-fast",
        "audio": "stability/stable-audio-2.5",
    },
    "xai": {"image": "xai/grok-imagine-image", "text": "xai/grok-4.3", "video": "xai/grok-imagine-video"},
}
FILES = {
    "replicate/stable-video-diffusion": ("image",),
    "replicate/sadtalker": ("image", "audio"),
    "stability/upscale-fast": ("image",),
}
# Parameters that are required and have no default.
GIVEN = {("custom/llama", "audio"): {"voice": "alloy"}}
# Providers that can cancel a running job.
STOPPABLE = ("fal", "replicate")
MORE = {"nothing": "", "result cannot be had": "", "stopped by its creator": "run:hang"}
# A further candidate whose circuit is open: each row is one attempt, and shows whether a fallback would follow.
NEXT = "nobody/else"
HEAD = """# What becomes of a generation when its provider fails

Made by `pytest tests/contracts/test_fallback_matrix.py --write-fallbacks`, by submitting, attempting and finishing for
real, with the real adapters before the simulators; the test fails when this is no longer true. Each row is one attempt
with one model of each kind at its defaults, of which there is nobody else who could be asked just then; who takes no
more requests for now is waited for, and asked a second time. In the columns of the kinds: what the creator pays, of the
credits held, and what the provider bills for it as far as we know, in micro-USD, with where the figure comes from; the
operator bears it, also where another is tried. Where it is not known whether the work was begun, nobody else is tried,
and the credits come back at the deadline at the latest. A workspace's own endpoint (custom) costs no credits.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """The outcome of one failure; `goes_on`: another candidate is tried."""

    trouble: str
    ended: Generation
    goes_on: bool

    @property
    def outcome(self) -> tuple[str, str, str, str]:
        """The columns that are the same for most kinds."""
        failure = self.ended.failure.error_class if self.ended.failure else ""
        return self.trouble, self.ended.status.value, str(failure), "yes" if self.goes_on else "no"

    @property
    def price(self) -> str:
        """The credits charged of those held, and the operator's cost with its source."""
        ended = self.ended
        cost = f"{ended.cost_microusd:,} ({ended.cost_source})" if ended.cost_microusd else "0"
        return f"{ended.credits_charged} of {ended.credits_held}; {cost}"


@dataclass
class OneRow:
    """A health store for one row: the circuit of the next candidate is open, the others start healthy."""

    kept: dict[Scope, Health] = field(default_factory=dict[Scope, Health])

    def __post_init__(self) -> None:
        nobody, now = Scope(NEXT.partition("/")[0]), system_clock()
        self.kept[nobody] = Health(nobody, opened_at=now, cooldown_until=now + timedelta(days=365))

    def read(self, workspace_id: str | None) -> Mapping[Scope, Health]:
        return dict(self.kept)

    def get(self, scope: Scope) -> Health:
        return self.kept.get(scope, Health(scope))

    def replace(self, before: Health, after: Health) -> bool:
        self.kept[after.scope] = after
        return True


@dataclass
class Files(FakeMedia):
    """Input files that differ in each trial, and results that cannot be fetched when `broken`."""

    number: int = 0

    def read_input(self, workspace_id: str, source: InputAsset) -> Input:
        if source.asset_id == "audio":
            return Input(b"RIFF$\0\0\0WAVEfmt ", "audio/wav")
        return Input(sample_png(64, 64, self.number), "image/png")

    def input_asset(self, workspace_id: str, asset_id: str, asset_type: str) -> InputAsset:
        return InputAsset(asset_id, "0" * 64, "png")

    def counted_bytes(self, workspace_id: str) -> int:
        return 0


class Trial:
    """One generation in its own workspace, whose provider's simulator follows a marker."""

    numbers = count(1)

    def __init__(self, tables: Tables, provider_id: str, provider: Provider) -> None:
        self._world = World(tables, providers=frozenset({provider_id}))
        self._files = self._world.media = Files(number=next(self.numbers))
        self._world.book = HealthCache(OneRow())
        self._providers: Mapping[str, Provider] = {provider_id: provider}
        if provider_id == "replicate":
            # Replicate's `find` searches by creation time on the simulator's clock, which is the real one.
            self._world.now = system_clock()
        world = self._world
        world.refreshed()
        grant(world.workspace_id, "grant#trial", GrantSource.ADMIN, 1000, deps=world.post_deps, now=world.now)

    def row(self, trouble: str, kind: str, model: str) -> Row:
        """How the generation ends without another candidate, and whether another one would have been tried."""
        world = self._world
        self._files.broken = trouble == "result cannot be had"
        generation = self._begin(kind, model)
        self._attempt(generation)
        if trouble == "stopped by its creator" and not self._heard():
            cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now)
        self._wait(trouble)
        if not self._heard():
            world.now = generation.deadline_at
            sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
            ended = world.get(generation)
        else:
            if world.execution.failures:
                self._attempt(generation, world.execution.failures[-1])
            if world.execution.later_attempts:
                self._wait_for_turn(generation)
            ended = world.finish(generation)
            if ended.is_open:
                self._attempt(generation)
                ended = world.finish(generation)
        world.assert_sound()
        return Row(trouble, ended, bool(world.execution.failures or world.execution.started))

    def _begin(self, kind: str, model: str) -> Generation:
        world = self._world
        inputs = {role: (InputAsset(role),) for role in FILES.get(model, ())}
        generation = submit_generation(
            Submission(
                world.workspace_id,
                "usr_A",
                Recipe(Kind(kind), "a lake", model, None, GIVEN.get((model, kind), {}), inputs),
            ),
            deps=replace(world.submit_deps, input_asset_store=self._files),
            now=world.now,
        ).generation
        item = GenerationItem(world.workspace_id, generation.id)
        item.update([GenerationItem.candidates.set([*generation.candidates, NEXT])])
        self._to = replace(world.attempt_deps, providers=self._providers)
        return generation

    def _attempt(self, generation: Generation, cause: AttemptFailed | None = None) -> None:
        attempt(generation.workspace_id, generation.id, TokenReply("token", self._to), cause=cause, deps=self._to)

    def _wait_for_turn(self, generation: Generation) -> None:
        """After a 429, waits until the provider takes requests again and attempts once more."""
        world = self._world
        world.now += timedelta(seconds=world.execution.later_attempts[-1][2])
        tried = len(world.execution.polls)
        self._attempt(generation)
        if len(world.execution.polls) > tried:
            wait_until(lambda: world.execution.results or poll(*world.execution.polls[-1], deps=self._to))

    def _heard(self) -> bool:
        return bool(self._world.execution.results or self._world.execution.failures)

    def _wait(self, trouble: str) -> None:
        world = self._world

        def ask() -> bool:
            if not self._heard():
                poll(*world.execution.polls[-1], deps=self._to)
            return self._heard()

        if self._heard():
            return
        if trouble in UNKNOWN_OUTCOME_ROWS and "replicate" not in self._providers:
            # The provider has no list to find the job in: one poll shows that the outcome stays unknown.
            ask()
            return
        wait_until(ask)


def rows(tables: Tables, provider_id: str) -> dict[str, list[Row]]:
    """The rows of every failure of this provider, by kind."""
    found: dict[str, list[Row]] = {}
    with run_simulator(provider_id) as simulator:
        assert simulator is not None
        provider = adapter(provider_id, simulator)
        impatient = adapter(provider_id, simulator, answer_seconds_max=SILENCE_SECONDS_MAX)
        for kind, model in MODELS_BY_KIND[provider_id].items():
            words = MORE | markers_by_row(provider_id, kind)
            if provider_id not in STOPPABLE:
                del words["stopped by its creator"]
            found[kind] = [
                one_row(
                    tables,
                    provider_id,
                    impatient if word == HANG else provider,
                    simulator,
                    kind,
                    model,
                    trouble,
                    word,
                )
                for trouble, word in words.items()
            ]
    return found


def one_row(
    tables: Tables,
    provider_id: str,
    provider: Provider,
    simulator: Simulator,
    kind: str,
    model: str,
    trouble: str,
    word: str,
) -> Row:
    """One trial. The marker goes to the simulator directly, since not every model's request has a prompt."""
    if word:
        simulator.behave(word)
    begun = simulator.jobs_begun
    row = Trial(tables, provider_id, provider).row(trouble, kind, model)
    if word == HANG:
        # The time-out may end before the simulator has read the request and its marker.
        wait_until(lambda: simulator.jobs_begun > begun)
    return row


def table(provider_id: str, found: Mapping[str, list[Row]]) -> str:
    """One provider's section of FALLBACKS.md; failures that end alike for several kinds share one row."""
    kinds = MODELS_BY_KIND[provider_id]
    heads = ("what goes wrong", "end", "class", "another is tried", *(f"{kind}: `{kinds[kind]}`" for kind in kinds))
    prices: dict[tuple[str, ...], dict[str, str]] = {}
    for trouble in dict.fromkeys(row.trouble for each in found.values() for row in each):
        for kind, each in found.items():
            for row in each:
                if row.trouble == trouble:
                    prices.setdefault(row.outcome, {})[kind] = row.price
    lines = [heads, tuple("---" for _ in heads)]
    lines += [(*outcome, *(by_kind.get(kind, "") for kind in kinds)) for outcome, by_kind in prices.items()]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"\n## {provider_id}\n\n{text}\n"


def kept(provider_id: str) -> str:
    """The provider's section in FALLBACKS.md, or an empty string."""
    parts = KEPT.read_text("utf-8").split("\n## ")
    return next((f"\n## {part.rstrip()}\n" for part in parts if part.startswith(f"{provider_id}\n")), "")


@pytest.fixture(scope="module")
def written(request: pytest.FixtureRequest) -> Iterator[dict[str, str] | None]:
    """Collects the tables to be written, with --write-fallbacks; None when they are compared."""
    if not request.config.getoption("--write-fallbacks", default=False):
        yield None
        return
    gathered = {name: kept(name) for name in MODELS_BY_KIND}
    yield gathered
    KEPT.write_text(HEAD + "".join(gathered[name] for name in sorted(gathered)), "utf-8")


@pytest.mark.parametrize("provider_id", sorted(MODELS_BY_KIND))
def test_each_failures_outcome_equals_its_row_in_fallbacks_md(
    tables: Tables, provider_id: str, written: dict[str, str] | None
) -> None:
    found = rows(tables, provider_id)
    for kind, each in found.items():
        by_trouble = {row.trouble: row for row in each}
        for row in each:
            if row.trouble not in ("nothing", "stopped by its creator") and row.ended.status != "succeeded":
                assert row.ended.credits_charged == 0, (kind, row)
            # A job that may still be running is never followed by another candidate.
            assert not (row.goes_on and row.trouble in UNKNOWN_OUTCOME_ROWS), (kind, row)
        for trouble in ("bad parameters", "refused for its content"):
            assert trouble not in by_trouble or not by_trouble[trouble].goes_on
        for trouble in ("wrong key", "no money left", "too many requests", "out of service", "model gone"):
            assert by_trouble[trouble].goes_on
        assert by_trouble["result cannot be had"].goes_on
        assert (by_trouble["nothing"].ended.credits_charged > 0) == (provider_id != "custom")
    text = table(provider_id, found)
    print(text)
    if written is not None:
        written[provider_id] = text
    else:
        assert text == kept(provider_id), "write it anew: pytest tests/contracts --write-fallbacks"
