"""Each provider × each failure, by the real use cases: who pays, what it costs, and whether another is tried.

What is found is kept beside this file, in FALLBACKS.md, for people to read; a table that is no longer true fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from atelier.aws.dynamodb.health import DynamoHealth
from atelier.clock import system_clock
from atelier.generations.attempt import attempt
from atelier.generations.cancel import cancel
from atelier.generations.model import Generation, Kind, Recipe
from atelier.generations.poll import poll
from atelier.generations.submit import Submission, submit
from atelier.generations.sweep import sweep
from atelier.providers._contract import ErrorClass, Provider
from atelier.routing.book import HealthBook
from atelier.routing.model import Health, Scope
from tests.adapters.world import World
from tests.conftest import Tables
from tests.contracts.cases import TROUBLE, UNANSWERED, adapter, standing_in
from tests.until import until

KEPT = Path(__file__).with_name("FALLBACKS.md")
FIRST = {
    "fal": "fal/flux-schnell",
    "openai": "openai/gpt-image-2",
    "replicate": "replicate/sdxl",
    "stability": "stability/core",
    "xai": "xai/grok-imagine-image",
}
# Who would be asked next, of those that the catalogue names after it.
NEXT = {"replicate": "stability"}
MORE = {"nothing": "", "result cannot be had": "", "stopped by its creator": "run:hang"}
HEAD = """# What becomes of a picture when its provider fails

Made by `pytest tests/contracts/test_fallback_matrix.py --write-fallbacks`, by submitting, attempting and finishing for
real, with the real adapters before the stand-ins; the test fails when this is no longer true. Each row is one attempt
with the provider's first model at its defaults. *Charged* is what its creator pays when nobody else can be tried, of
the credits held; *cost* is what the provider bills for it as far as we know, and where the figure comes from. Where it
is not known whether the work was begun, nobody else is tried, and the credits come back at the deadline at the latest.
Texts, films and sounds fail in the same classes (`test_providers.py`); a workspace's own endpoint costs no credits.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one failure came to."""

    trouble: str
    ended: Generation
    goes_on: bool

    def cells(self) -> tuple[str, ...]:
        ended = self.ended
        failure = ended.failure.error_class if ended.failure else None
        cost = "0" if not ended.cost_microusd else f"{ended.cost_microusd:,} ({ended.cost_source})"
        return (
            self.trouble,
            str(ended.status.value),
            str(failure.value) if isinstance(failure, ErrorClass) else str(failure or ""),
            "yes" if self.goes_on else "no",
            f"{ended.credits_charged} of {ended.credits_held}",
            cost,
        )


class NothingIsKnown(DynamoHealth):
    """Every provider is well at every attempt: one row has nothing to do with the next."""

    def read(self, workspace_id: str | None) -> Mapping[Scope, Health]:
        return {}


class Trial:
    """One generation in a workspace of its own, whose provider does as it is told."""

    def __init__(self, tables: Tables, provider_id: str, provider: Provider) -> None:
        enabled = frozenset({provider_id, NEXT.get(provider_id, provider_id)})
        self._world = World(tables, providers=enabled)
        known = NothingIsKnown()
        known.bind(tables.providers)
        self._world.book = HealthBook(known)
        self._providers: Mapping[str, Provider] = {provider_id: provider}
        if provider_id == "replicate":
            # What it was sent is found by when that was, on its own clock.
            self._world.now = system_clock()

    def begin(self, trouble: str, word: str, model: str) -> Generation:
        world = self._world
        recipe = Recipe(Kind.IMAGE, f"a lake [[{word}]]" if word else "a lake", model, None, {})
        world.media.broken = trouble == "result cannot be had"
        generation = submit(
            Submission(world.workspace_id, "usr_A", recipe),
            catalogue=world.catalogue,
            lifetime_max=timedelta(hours=2),
            wallets=world.wallets,
            generations=world.generations,
            keys=world.keys,
            budgets=world.projects,
            sources=world.assets,
            pause=lambda tries: None,
            now=world.now,
        ).generation
        self._to = replace(world.attempting, providers=self._providers)
        attempt(world.workspace_id, generation.id, "token", to=self._to)
        if trouble == "stopped by its creator" and not self._heard():
            cancel(world.workspace_id, generation.id, to=world.finishing, now=world.now)
        return generation

    def _heard(self) -> bool:
        return bool(self._world.execution.results or self._world.execution.lost)

    def goes_on(self, trouble: str, word: str) -> bool:
        """Whether another candidate is tried after this."""
        self.begin(trouble, word, "auto")
        self._wait(trouble)
        return bool(self._world.execution.lost)

    def end(self, trouble: str, word: str, model: str) -> Generation:
        """How it ends where there is nobody else."""
        world = self._world
        generation = self.begin(trouble, word, model)
        self._wait(trouble)
        if self._heard():
            ended = world.finish(generation)
        else:
            world.now = generation.deadline_at
            sweep(world.workspace_id, to=world.finishing, now=world.now)
            ended = world.get(generation)
        world.assert_sound()
        return ended

    def _wait(self, trouble: str) -> None:
        world = self._world

        def ask() -> bool:
            if not self._heard():
                poll(*world.execution.polls[-1], to=self._to)
            return self._heard()

        if self._heard():
            return
        if trouble in UNANSWERED and "replicate" not in self._providers:
            # Nobody can be asked: one question shows that it is not lost by asking, then only the deadline is left.
            ask()
            return
        until(ask)


def rows(tables: Tables, provider_id: str) -> list[Row]:
    """Everything that can become of a picture of this provider."""
    words = {name: by_provider[provider_id] for name, by_provider in TROUBLE.items() if provider_id in by_provider}
    with standing_in(provider_id) as stand_in:
        provider = adapter(provider_id, stand_in)
        found: list[Row] = []
        for trouble, word in (MORE | words).items():
            if trouble == "stopped by its creator" and provider_id not in ("fal", "replicate"):
                continue
            goes_on = Trial(tables, provider_id, provider).goes_on(trouble, word)
            found.append(
                Row(trouble, Trial(tables, provider_id, provider).end(trouble, word, FIRST[provider_id]), goes_on)
            )
    return found


def table(provider_id: str, found: list[Row]) -> str:
    """One provider's part of FALLBACKS.md."""
    heads = ("what goes wrong", "end", "class", "another is tried", "charged", "cost in micro-USD")
    lines = [heads, tuple("---" for _ in heads), *(row.cells() for row in found)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"\n## {provider_id}: `{FIRST[provider_id]}`\n\n{text}\n"


def kept(provider_id: str) -> str:
    """What FALLBACKS.md says of a provider."""
    parts = KEPT.read_text("utf-8").split("\n## ")
    return next((f"\n## {part.rstrip()}\n" for part in parts if part.startswith(f"{provider_id}: ")), "")


@pytest.fixture(scope="module")
def written(request: pytest.FixtureRequest) -> Iterator[dict[str, str] | None]:
    """Where tables are gathered that are to be written; None when they are compared."""
    if not request.config.getoption("--write-fallbacks", default=False):
        yield None
        return
    gathered = {name: kept(name) for name in FIRST}
    yield gathered
    KEPT.write_text(HEAD + "".join(gathered[name] for name in sorted(gathered)), "utf-8")


@pytest.mark.parametrize("provider_id", sorted(FIRST))
def test_what_becomes_of_each_failure_is_as_the_table_says(
    tables: Tables, provider_id: str, written: dict[str, str] | None
) -> None:
    found = rows(tables, provider_id)
    by_trouble = {row.trouble: row for row in found}
    for row in found:
        if row.trouble not in ("nothing", "stopped by its creator") and row.ended.status != "succeeded":
            assert row.ended.credits_charged == 0, row
        # What may be running somewhere is never begun a second time by trying another.
        assert not (row.goes_on and row.trouble in UNANSWERED), row
    for trouble in ("bad parameters", "refused for its content"):
        assert trouble not in by_trouble or not by_trouble[trouble].goes_on
    for trouble in ("wrong key", "no money left", "too many requests", "out of service", "model gone"):
        assert by_trouble[trouble].goes_on
    assert by_trouble["nothing"].ended.credits_charged > 0
    text = table(provider_id, found)
    print(text)
    if written is not None:
        written[provider_id] = text
    else:
        assert text == kept(provider_id), "write it anew: pytest tests/contracts --write-fallbacks"
