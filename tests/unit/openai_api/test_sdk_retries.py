"""Retries of one request lead to one generation, and different requests to different ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.generations.submit import AcceptedGeneration
from atelier.openai_api.ports import OrderEntry
from atelier.openai_api.sdk_retries import RESULT_KEPT, RETRY_COUNT, Call, Order, accept_once
from tests.unit.openai_api.test_responses import generation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class House:
    """Generations by the name of their request, and the names by the requests' fingerprints."""

    def __init__(self) -> None:
        self.names: dict[str, OrderEntry] = {}
        self.made: dict[str, Generation] = {}
        self.count = 0
        self.now = NOW

    def claim(
        self, workspace_id: str, fingerprint: str, name: str, now: datetime, *, instead_of: str | None = None
    ) -> OrderEntry:
        found = self.names.get(workspace_id + fingerprint)
        if found is None or found.name == instead_of:
            found = self.names[workspace_id + fingerprint] = OrderEntry(name)
        return found

    def mark_answered(self, workspace_id: str, fingerprint: str, name: str) -> None:
        if self.names[workspace_id + fingerprint].name == name:
            self.names[workspace_id + fingerprint] = OrderEntry(name, answered=True)

    def submit(self, name: str) -> AcceptedGeneration:
        if name in self.made:
            return AcceptedGeneration(self.made[name], replayed=True)
        self.count += 1
        self.made[name] = replace(generation(), id=f"gen_{self.count}", status=Status.RUNNING, completed_at=None)
        return AcceptedGeneration(self.made[name], replayed=False)

    def sent(self, count: str | None = None, *, key: str | None = None, prompt: str = "a fox", **facts: Any) -> str:
        return self.order(count, key=key, prompt=prompt, **facts)[1].generation.id

    def order(self, count: str | None, *, key: str | None, prompt: str, **facts: Any) -> tuple[Call, Order]:
        headers = {} if count is None else {RETRY_COUNT: count}
        facts = {"workspace_id": "wsp_1", "user_id": "usr_1", "path": "chat/completions", **facts}
        call = Call(recipe=Recipe(Kind.TEXT, prompt), headers=headers, key=key, **facts)
        return call, accept_once(call, self.submit, self, self.now)

    def read(self, count: str | None = None, prompt: str = "a fox") -> str:
        """Send the request and deliver its result."""
        call, order = self.order(count, key=None, prompt=prompt)
        self.mark_answered(call.workspace_id, call.fingerprint, order.name)
        return order.generation.id

    def ended(self, generation_id: str, status: Status) -> None:
        self.made = {
            name: replace(made, status=status, completed_at=self.now) if made.id == generation_id else made
            for name, made in self.made.items()
        }


REPEATS = [
    pytest.param(["0", "1", "2"], id="numbered"),
    pytest.param([None, None, None], id="not numbered"),
    pytest.param(["0", "0", "0"], id="numbered as if it were the first, by who repeats an SDK's call"),
]


@pytest.mark.parametrize("counts", REPEATS)
def test_a_repeated_request_joins_the_running_generation(counts: list[str | None]) -> None:
    house = House()
    assert [house.sent(count) for count in counts] == ["gen_1"] * 3


@pytest.mark.parametrize("counts", REPEATS)
def test_an_undelivered_result_is_returned_to_a_repeated_request(counts: list[str | None]) -> None:
    house = House()
    house.sent(counts[0])
    house.ended("gen_1", Status.SUCCEEDED)
    assert house.read(counts[1]) == "gen_1"
    house.now += RESULT_KEPT
    assert house.sent(counts[2]) == "gen_2"


def test_a_delivered_result_is_returned_only_to_a_numbered_retry() -> None:
    house = House()
    house.sent()
    house.ended("gen_1", Status.SUCCEEDED)
    assert house.read() == "gen_1"
    # The response may have been lost.
    assert house.sent("1") == "gen_1"
    assert house.sent() == "gen_2"
    assert house.sent("1") == "gen_2"


def test_only_the_callers_own_idempotency_key_creates_a_new_generation() -> None:
    house = House()
    assert [house.sent(), house.sent(key="second"), house.sent(key="third")] == ["gen_1", "gen_2", "gen_3"]
    assert house.sent() == "gen_1"
    house.ended("gen_1", Status.SUCCEEDED)
    assert [house.read(), house.sent(key="fourth"), house.sent()] == ["gen_1", "gen_4", "gen_4"]
    house = House()
    assert [house.sent(key="first"), house.sent()] == ["gen_1"] * 2
    house = House()
    keys = [f"stainless-{language}-retry-{number}" for number, language in enumerate(["node", "python"])]
    assert [house.sent(key=key) for key in keys] == ["gen_1"] * 2


def test_a_request_that_crashed_before_storing_leaves_its_key_to_the_retry() -> None:
    house = House()

    class Dies(House):
        def submit(self, name: str) -> AcceptedGeneration:
            raise ZeroDivisionError

    dies = Dies()
    dies.names = house.names
    with pytest.raises(ZeroDivisionError):
        dies.sent()
    [left] = house.names.values()
    assert house.sent() == "gen_1"
    assert list(house.made) == [left.name]


def test_a_retry_that_loses_the_race_joins_the_replacement_generation() -> None:
    house = House()
    house.sent()
    house.ended("gen_1", Status.FAILED)

    class Slower(House):
        def claim(self, *facts: Any, **more: Any) -> OrderEntry:
            # Another client repeats the request between this one's lookup and its claim.
            if more["instead_of"] is not None:
                house.sent()
            return house.claim(*facts, **more)

    slower = Slower()
    slower.made = house.made
    assert slower.sent() == "gen_2"
    assert house.count == 2


def test_requests_that_differ_are_not_retries_of_each_other() -> None:
    house = House()
    first = house.sent("0")
    others = [
        house.sent("1", prompt="a wolf"),
        house.sent("1", path="responses"),
        house.sent("1", user_id="usr_2"),
        house.sent("1", token_id="tok_2"),
        house.sent("1", project_id="prj_2"),
        house.sent("1", workspace_id="wsp_2"),
    ]
    assert len({first, *others}) == 7


def test_a_retry_after_a_failure_creates_a_new_generation() -> None:
    for status in (Status.FAILED, Status.EXPIRED):
        house = House()
        first = house.sent("0")
        house.ended(first, status)
        assert house.sent("1") == "gen_2"
        assert house.sent("2") == "gen_2"


@pytest.mark.parametrize("count", [None, "1"])
def test_a_retry_after_a_cancellation_returns_the_cancelled_generation(count: str | None) -> None:
    house = House()
    first = house.sent("0")
    house.ended(first, Status.CANCELLED)
    assert house.read(count) == first
    # A new request after the response that reported the cancellation begins a new generation.
    assert house.sent() == "gen_2"


def test_a_retry_whose_first_request_was_lost_creates_the_generation() -> None:
    house = House()
    assert [house.sent("1"), house.sent("2")] == ["gen_1"] * 2


def test_an_idempotency_key_takes_precedence_over_the_retry_count() -> None:
    house = House()
    assert [house.sent("0", key="k"), house.sent("0", key="k"), house.sent("1", key="k")] == ["gen_1"] * 3
    house.ended("gen_1", Status.FAILED)
    assert house.sent("1", key="k") == "gen_1"
    assert house.sent("0", key="k", path="responses") == "gen_2"
