"""The arithmetic of request units, against sizes worked out by hand."""

from __future__ import annotations

import pytest

from tests.bench.units import Index, Units, item_bytes, query_units, read_units, write_units

KEY = {"pk": {"S": "w"}, "sk": {"S": "g"}}  # 2 + 1 + 2 + 1 = 6 bytes


def sized(size: int) -> dict[str, dict[str, str]]:
    """An item of exactly `size` bytes."""
    return {**KEY, "x": {"S": "a" * (size - 7)}}


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "é"}, 2),
        ({"S": ""}, 0),
        ({"N": "7"}, 2),
        ({"N": "1700"}, 2),
        ({"N": "-1234.5"}, 5),
        ({"N": "0"}, 1),
        ({"B": "AAEC"}, 3),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["ab", "c"]}, 3),
        ({"NS": ["12", "345"]}, 5),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"BOOL": False}]}, 3 + 1 + 2 + 1 + 1),
        ({"M": {"k": {"S": "ab"}}}, 3 + 1 + 1 + 2),
    ],
)
def test_a_value_has_the_size_that_aws_documents(value: dict[str, object], size: int) -> None:
    assert item_bytes({"name": value}) == 4 + size


def test_a_write_costs_a_unit_per_started_kibibyte() -> None:
    assert [write_units(None, sized(size)).write for size in (7, 1024, 1025, 2048, 2049)] == [1, 1, 2, 2, 3]


def test_a_write_is_billed_by_the_larger_of_the_old_and_the_new_item() -> None:
    assert write_units(sized(3000), sized(10)) == write_units(sized(10), sized(3000)) == Units(write=3)


def test_a_refused_write_and_a_delete_of_nothing_still_cost() -> None:
    assert write_units(sized(1500), sized(1500)) == Units(write=2)
    assert write_units(None, None) == Units(write=1)


def test_a_read_costs_one_unit_per_started_4_kib_and_half_if_eventual() -> None:
    assert [read_units(sized(size), consistent=True).read for size in (7, 4096, 4097)] == [1, 1, 2]
    assert read_units(sized(4097), consistent=False) == Units(read=1)
    assert read_units(None, consistent=False) == Units(read=0.5)


def test_a_query_is_rounded_up_once_for_the_whole_page() -> None:
    assert query_units([sized(100)] * 40, consistent=False) == Units(read=0.5)
    assert query_units([sized(100)] * 41, consistent=False) == Units(read=1)
    assert query_units([], consistent=True) == Units(read=1)


def test_an_index_costs_only_when_its_entry_changes() -> None:
    index = Index(keys=("due",), table_keys=("pk", "sk"))
    plain, listed, moved = KEY, {**KEY, "due": {"S": "1"}}, {**KEY, "due": {"S": "2"}}
    costs = {
        "never in it": (plain, sized(9)),
        "added": (plain, listed),
        "removed": (listed, plain),
        "moved": (listed, moved),
        "unchanged": (listed, {**listed, "not projected": {"S": "x"}}),
    }
    counted = {name: write_units(before, after, [index]).write - 1 for name, (before, after) in costs.items()}
    assert counted == {"never in it": 0, "added": 1, "removed": 1, "moved": 2, "unchanged": 0}


def test_an_index_with_all_attributes_costs_at_any_change_of_the_item() -> None:
    index = Index(keys=("due",), table_keys=("pk", "sk"), projected=None)
    listed = {**KEY, "due": {"S": "1"}}
    assert write_units(listed, {**listed, "y": {"S": "x" * 1024}}, [index]) == Units(write=4)
