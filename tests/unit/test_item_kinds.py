"""Each kind of stored items has its place in an export of everything, and its fate in an erasure."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from datetime import UTC, datetime

from pynamodb.attributes import JSONAttribute

import atelier.adapters.aws.dynamodb as stores
from atelier.adapters.aws.dynamodb import Item
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem
from atelier.exports.whole_export import WholeExport
from atelier.exports.whole_sections import readme
from atelier.item_kinds import KINDS, USER, WORKSPACE, Fate, kind_of
from tests.embedded_aws import table_definitions

# Attributes with such a word in their name are secrets, or made from secrets.
SECRET_WORDS = {"cipher", "digest", "digests", "hash", "key", "kid", "nonce", "record", "rotations", "sealed", "secret"}
SECRET_WORDS |= {"token"}
# Those that are none: ids, a public key, and the natural keys of movements.
HARMLESS = {"token_id", "public_key", "key"}

# Another view of an item of a class that has a row: a user's item as an index has it.
VIEWS = {"DirectoryEntry"}


def item_classes() -> dict[str, type[Item]]:
    """All classes of the product's stored items, by name. Other tests in this process may define items of their own."""
    for module in pkgutil.walk_packages(stores.__path__, f"{stores.__name__}."):
        importlib.import_module(module.name)
    found, rest = list[type[Item]](), [Item]
    while rest:
        subclasses = rest.pop().__subclasses__()
        found += subclasses
        rest += subclasses
    products = (each for each in found if each.__module__.startswith("atelier."))
    return {each.__name__: each for each in products if each is not IdentityItem}


def test_items_of_other_tests_do_not_count() -> None:
    class PartItem(Item):
        """Has the name of a class of the product."""

    assert item_classes()["PartItem"] is not PartItem


def test_each_class_of_stored_items_has_a_decision() -> None:
    missing = item_classes().keys() - {kind.item for kind in KINDS} - VIEWS
    assert not missing, f"say in atelier/item_kinds.py what an export and an erasure do with {sorted(missing)}"
    assert {kind.item for kind in KINDS} <= item_classes().keys()


def test_each_table_has_kinds() -> None:
    tables = {kind.table for kind in KINDS}
    assert tables == set(table_definitions())


def test_what_is_left_out_of_an_export_or_stays_after_an_erasure_has_a_reason() -> None:
    for kind in KINDS:
        assert kind.file or kind.why, kind
        assert kind.fate in (Fate.DELETED, Fate.EXPIRES, Fate.NOBODYS) or kind.why, kind


def test_no_two_kinds_have_the_same_keys_or_the_same_file() -> None:
    keys = Counter((kind.table, kind.pk, kind.sk) for kind in KINDS if kind.item != "ReservedEmailItem")
    assert [key for key, count in keys.items() if count > 1] == []
    files = Counter(kind.file for kind in KINDS if kind.file)
    assert [file for file, count in files.items() if count > 1] == []


def test_only_partitions_of_workspaces_and_users_are_exported() -> None:
    assert {kind.pk for kind in KINDS if kind.file} == {WORKSPACE, USER}


def test_no_attribute_with_a_secret_is_exported() -> None:
    classes = item_classes()
    for kind in KINDS:
        for name in classes[kind.item].get_attributes() if kind.file else ():
            is_secret = not SECRET_WORDS.isdisjoint(name.split("_")) and name not in HARMLESS
            assert not is_secret or name in kind.without, f"{kind.item}.{name} looks like a secret"


def test_attributes_of_json_are_exported_as_json() -> None:
    classes = item_classes()
    for kind in KINDS:
        attributes = classes[kind.item].get_attributes().values() if kind.file else ()
        stored = {str(each.attr_name) for each in attributes if isinstance(each, JSONAttribute)}
        wanted = stored - set(kind.without)
        assert wanted <= set(kind.json), f"{kind.item}: {wanted - set(kind.json)}"


def test_the_longest_keys_decide_the_kind() -> None:
    found = [
        kind_of("providers", *keys) for keys in (("wsp_1", "own#wishes"), ("health#wsp_1", "local#k"), ("health", "a"))
    ]
    assert [kind and (kind.item, kind.fate) for kind in found] == [
        ("PreferencesItem", Fate.DELETED),
        ("HealthItem", Fate.DELETED),
        ("HealthItem", Fate.NOBODYS),
    ]
    assert kind_of("providers", "else", "x") is None


def test_the_readme_names_what_is_left_out() -> None:
    text = readme(WholeExport("exp_1", "wsp_1", "usr_1", True, datetime(2026, 11, 29, tzinfo=UTC)))
    assert "account/sessions.ndjson: digest, rotations" in text
    assert "device#" in text
    assert "usr_1" in text
    assert "device#" not in readme(WholeExport("exp_1", "wsp_1", "usr_1", False, datetime(2026, 11, 29, tzinfo=UTC)))
