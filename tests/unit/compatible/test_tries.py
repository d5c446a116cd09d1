"""An SDK's tries of one request come to one generation, and different requests to different ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from atelier.compatible.tries import RETRY_COUNT, Call, accepted
from atelier.generations.model import Generation, Kind, Recipe, Status
from atelier.generations.submit import Accepted
from tests.unit.compatible.test_answers import generation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class House:
    """Generations by the name of their request, and the names that requests go by."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.made: dict[str, Generation] = {}
        self.count = 0

    def remember(self, workspace_id: str, fingerprint: str, name: str, now: datetime) -> None:
        self.names[workspace_id + fingerprint] = name

    def recall(self, workspace_id: str, fingerprint: str, now: datetime) -> str | None:
        return self.names.get(workspace_id + fingerprint)

    def submit(self, name: str | None) -> Accepted:
        if name in self.made:
            return Accepted(self.made[name], replayed=True)
        self.count += 1
        made = replace(generation(), id=f"gen_{self.count}", status=Status.RUNNING)
        if name:
            self.made[name] = made
        return Accepted(made, replayed=False)

    def sent(self, count: str | None, *, key: str | None = None, prompt: str = "a fox", **facts: Any) -> str:
        headers = {} if count is None else {RETRY_COUNT: count}
        facts = {"workspace_id": "wsp_1", "user_id": "usr_1", "path": "chat/completions", **facts}
        call = Call(recipe=Recipe(Kind.TEXT, prompt), headers=headers, key=key, **facts)
        return accepted(call, self.submit, self, NOW).generation.id

    def ended(self, generation_id: str, status: Status) -> None:
        self.made = {
            name: replace(made, status=status) if made.id == generation_id else made for name, made in self.made.items()
        }


def test_a_retry_finds_what_its_first_try_began() -> None:
    house = House()
    assert [house.sent(count) for count in ("0", "1", "2")] == ["gen_1"] * 3
    house.ended("gen_1", Status.SUCCEEDED)
    assert house.sent("1") == "gen_1"


def test_the_same_said_twice_is_made_twice() -> None:
    house = House()
    assert [house.sent("0"), house.sent("0")] == ["gen_1", "gen_2"]
    assert house.sent("1") == "gen_2"


def test_nobody_elses_try_is_taken_for_one() -> None:
    house = House()
    first = house.sent("0")
    others = [
        house.sent("1", prompt="a wolf"),
        house.sent("1", path="responses"),
        house.sent("1", user_id="usr_2"),
        house.sent("1", workspace_id="wsp_2"),
    ]
    assert len({first, *others}) == 5


def test_after_a_failure_a_retry_is_made_anew() -> None:
    for status in (Status.FAILED, Status.CANCELLED, Status.EXPIRED):
        house = House()
        first = house.sent("0")
        house.ended(first, status)
        assert house.sent("1") == "gen_2"
        assert house.sent("2") == "gen_2"


def test_a_retry_whose_first_try_never_came_begins() -> None:
    house = House()
    assert [house.sent("1"), house.sent("2")] == ["gen_1"] * 2


def test_a_key_of_the_callers_own_goes_before_the_count() -> None:
    house = House()
    assert [house.sent("0", key="k"), house.sent("0", key="k"), house.sent("1", key="k")] == ["gen_1"] * 3
    house.ended("gen_1", Status.FAILED)
    assert house.sent("1", key="k") == "gen_1"
    assert house.sent("0", key="k", path="responses") == "gen_2"
    assert house.names == {}


def test_without_key_and_count_every_request_is_its_own() -> None:
    house = House()
    assert [house.sent(None), house.sent(None)] == ["gen_1", "gen_2"]
    assert house.names == {}
