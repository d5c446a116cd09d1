"""Write transactions on the embedded AWS: which named parts failed, and what counts as a conflict."""

from __future__ import annotations

import pytest

from atelier.adapters.aws.dynamodb import ConditionsFailed, Item, TransactionConflict, retry_conflicts, transaction
from atelier.errors import Unavailable
from tests.conftest import Tables

PARTS = ("check", "delete", "save", "other save", "update")


class PartItem(Item):
    """An item without attributes of its own."""


@pytest.fixture(autouse=True)
def bound(tables: Tables) -> None:
    PartItem.bind(tables.library)


def write_parts(*failing: str) -> None:
    """One part of each kind, in another order than PynamoDB sends them; the conditions of `failing` do not hold."""
    for sk in ("check", "delete"):
        PartItem("pk", sk).save()
    exists, is_new = PartItem.pk.exists(), PartItem.pk.does_not_exist()
    with transaction() as write:
        write.update(PartItem("pk", "update"), [], exists if "update" in failing else is_new, part="update")
        for part in ("save", "other save"):
            write.save(PartItem("pk", part), exists if part in failing else is_new, part=part)
        write.save(PartItem("pk", "unconditional"))
        write.delete(PartItem("pk", "delete"), is_new if "delete" in failing else exists, part="delete")
        write.check(PartItem, "pk", "check", is_new if "check" in failing else exists, part="check")


def stored() -> set[str]:
    return {item.sk for item in PartItem.query("pk", consistent_read=True)}


@pytest.mark.parametrize("failing", [*((part,) for part in PARTS), ("check", "other save", "update")])
def test_a_failed_transaction_names_the_parts_whose_conditions_did_not_hold(failing: tuple[str, ...]) -> None:
    with pytest.raises(ConditionsFailed) as failure:
        write_parts(*failing)
    assert failure.value.parts == frozenset(failing)
    assert stored() == {"check", "delete"}


def test_a_transaction_whose_conditions_hold_is_written_whole() -> None:
    write_parts()
    assert stored() == {"check", "save", "other save", "update", "unconditional"}


def test_a_block_that_raises_writes_nothing() -> None:
    def write_and_fail() -> None:
        with transaction() as write:
            write.save(PartItem("pk", "save"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert stored() == set()


def test_a_condition_without_a_name_is_a_mistake_of_the_program() -> None:
    with pytest.raises(AssertionError), transaction() as write:
        write.save(PartItem("pk", "save"), PartItem.pk.does_not_exist())
    assert stored() == set()


def test_a_conflict_is_tried_again_until_it_is_unavailable() -> None:
    calls = list[int]()

    def write() -> int:
        calls.append(len(calls))
        if len(calls) < 3:
            raise TransactionConflict
        return len(calls)

    assert retry_conflicts(write, busy="Busy.", tries_max=3) == 3
    calls.clear()
    with pytest.raises(Unavailable, match="Busy"):
        retry_conflicts(write, busy="Busy.", tries_max=2)
