"""The contract of the provider key store, kept by the adapters in memory and on DynamoDB; data keys from KMS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import botocore.session
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from atelier.aws.clients import client
from atelier.aws.dynamodb.credentials import DynamoProviderKeys
from atelier.aws.kms import KmsDataKeys
from atelier.credentials.model import (
    KEYS_PER_WORKSPACE_MAX,
    USE_NOTED_EVERY,
    KeyNameTaken,
    KeyRemoved,
    KeyTest,
    ProviderKey,
    Served,
    TooManyKeys,
    UnreadableKey,
    Wish,
)
from atelier.credentials.ports import KeyExists, ProviderKeys
from atelier.credentials.record import KMS, context
from atelier.credentials.vault import Vault
from atelier.errors import NotFound
from atelier.ids import new_id
from tests.embedded_aws import create_tables, forget_wiring
from tests.unit.credentials.fakes import (
    CREDENTIALS,
    KEY_ID,
    NOW,
    PLACE,
    USER,
    WORKSPACE,
    HeldSecret,
    InMemoryProviderKeys,
)

STRANGER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
LATER = NOW + timedelta(seconds=3)


@pytest.fixture(params=["memory", "moto", "emulator"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderKeys]:
    if request.param == "memory":
        yield InMemoryProviderKeys()
    elif request.param == "emulator":
        DynamoProviderKeys.bind(request.getfixturevalue("tables").providers)
        yield DynamoProviderKeys()
    else:
        with mock_aws():
            forget_wiring()
            made = create_tables(botocore.session.get_session().create_client("dynamodb"), monkeypatch)
            DynamoProviderKeys.bind(made.providers)
            yield DynamoProviderKeys()
        forget_wiring()


def key(name: str = "first", *, key_id: str = KEY_ID, provider: str = "openai", minutes: int = 0) -> ProviderKey:
    at = NOW + timedelta(minutes=minutes)
    return ProviderKey(key_id, WORKSPACE, USER, provider, name, "last", b"\x01 sealed", "0011223344556677", at)


def another(name: str, minutes: int = 1, provider: str = "openai") -> ProviderKey:
    return key(name, key_id=new_id("key", NOW + timedelta(minutes=minutes)), provider=provider, minutes=minutes)


def test_a_key_is_found_as_it_was_added(store: ProviderKeys) -> None:
    plain = key()
    custom = replace(
        another("Grüße", provider="custom"),
        base_url="https://models.example.com/v1",
        models=(Served("a", "text"),),
    )
    for added in (plain, custom):
        store.add(added)
        assert store.get(WORKSPACE, added.id) == added
    assert store.own(WORKSPACE).keys == tuple(sorted((plain, custom), key=lambda each: each.id))
    assert store.own(STRANGER).keys == ()
    with pytest.raises(NotFound):
        store.get(STRANGER, plain.id)


def test_a_key_is_added_once(store: ProviderKeys) -> None:
    store.add(key())
    with pytest.raises(KeyExists):
        store.add(key())
    with pytest.raises(KeyNameTaken):
        store.add(another("first"))
    store.add(another("first", provider="anthropic"))
    assert len(store.own(WORKSPACE).keys) == 2


def test_there_are_no_more_keys_than_a_workspace_may_have(store: ProviderKeys) -> None:
    for number in range(KEYS_PER_WORKSPACE_MAX):
        store.add(another(f"key {number}", minutes=number))
    with pytest.raises(TooManyKeys):
        store.add(another("one more", minutes=99))
    store.remove(store.own(WORKSPACE).keys[0], NOW)
    store.add(another("one more", minutes=99))
    assert len(store.own(WORKSPACE).keys) == KEYS_PER_WORKSPACE_MAX


def test_a_removed_key_leaves_its_name_and_never_comes_back(store: ProviderKeys) -> None:
    store.add(key())
    store.remove(key(), NOW)
    with pytest.raises(NotFound):
        store.get(WORKSPACE, KEY_ID)
    with pytest.raises(NotFound):
        store.remove(key(), NOW)
    with pytest.raises(KeyRemoved):
        store.add(key())
    store.add(another("first"))
    assert [each.name for each in store.own(WORKSPACE).keys] == ["first"]


def test_nothing_brings_back_a_key_that_was_removed_meanwhile(store: ProviderKeys) -> None:
    store.add(key())
    store.remove(key(), NOW)
    store.note_use(WORKSPACE, KEY_ID, NOW)
    store.note_test(WORKSPACE, KEY_ID, KeyTest(NOW))
    assert not store.reseal(key(), replace(key(), record=b"x"))
    with pytest.raises(NotFound):
        store.switch(WORKSPACE, KEY_ID, is_active=False)
    assert store.own(WORKSPACE).keys == ()


def test_a_use_is_written_when_the_last_one_is_an_hour_ago(store: ProviderKeys) -> None:
    store.add(key())
    for at in (NOW, LATER, NOW + USE_NOTED_EVERY - timedelta(milliseconds=1)):
        store.note_use(WORKSPACE, KEY_ID, at)
        assert store.get(WORKSPACE, KEY_ID).last_used_at == NOW
    store.note_use(WORKSPACE, KEY_ID, NOW + USE_NOTED_EVERY)
    assert store.get(WORKSPACE, KEY_ID).last_used_at == NOW + USE_NOTED_EVERY


def test_the_latest_test_is_kept(store: ProviderKeys) -> None:
    store.add(key())
    for test in (KeyTest(NOW, "auth"), KeyTest(LATER)):
        store.note_test(WORKSPACE, KEY_ID, test)
        assert store.get(WORKSPACE, KEY_ID).last_test == test


def test_a_key_is_switched(store: ProviderKeys) -> None:
    store.add(key())
    for is_active in (False, False, True):
        store.switch(WORKSPACE, KEY_ID, is_active=is_active)
        assert store.get(WORKSPACE, KEY_ID) == replace(key(), is_active=is_active)


def test_wishes_are_replaced_as_a_whole(store: ProviderKeys) -> None:
    store.add(key())
    first = [Wish("openai", enabled=False, priority=3, own_key_id=KEY_ID), Wish("local")]
    store.wish(WORKSPACE, first)
    assert store.own(WORKSPACE).wishes == {wish.provider: wish for wish in first}
    store.wish(WORKSPACE, [Wish("fal")])
    assert store.own(WORKSPACE).wishes == {"fal": Wish("fal")}
    store.wish(WORKSPACE, [])
    assert store.own(WORKSPACE).wishes == {}
    assert store.own(WORKSPACE).keys == (key(),)


def test_what_a_key_sealed_is_found_until_it_is_sealed_anew(store: ProviderKeys) -> None:
    store.add(key())
    store.add(replace(another("second"), sealed_by="ffeeddccbbaa9988"))
    assert list(store.sealed_by(key().sealed_by)) == [(WORKSPACE, KEY_ID)]
    after = replace(key(), record=b"\x01 sealed anew", sealed_by="ffeeddccbbaa9988")
    assert store.reseal(key(), after)
    assert store.get(WORKSPACE, KEY_ID) == after
    assert list(store.sealed_by(key().sealed_by)) == []
    # A stale writer does not undo the new encryption.
    assert not store.reseal(key(), key())
    assert store.get(WORKSPACE, KEY_ID) == after


def test_a_rotation_is_claimed_by_one_and_for_some_minutes(store: ProviderKeys) -> None:
    assert store.claim_rotation("0011", NOW)
    assert not store.claim_rotation("0011", NOW + timedelta(minutes=5))
    assert store.claim_rotation("2233", NOW)
    assert store.claim_rotation("0011", NOW + timedelta(minutes=5, seconds=1))


# ---- parallel calls --------------------------------------------------------------------------------------------------


@pytest.fixture
def dynamo(request: pytest.FixtureRequest) -> DynamoProviderKeys:
    DynamoProviderKeys.bind(request.getfixturevalue("tables").providers)
    return DynamoProviderKeys()


def at_once(calls: list[Callable[[], None]]) -> list[str]:
    """Runs the calls in parallel; the name of the exception that each raised, or an empty string."""
    barrier, ends = threading.Barrier(len(calls)), [""] * len(calls)

    def run(place: int) -> None:
        barrier.wait()
        try:
            calls[place]()
        except Exception as error:
            ends[place] = type(error).__name__

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_of_many_who_take_one_name_one_has_it(dynamo: DynamoProviderKeys) -> None:
    keys = [another("first", minutes=number) for number in range(12)]
    ends = at_once([lambda each=each: dynamo.add(each) for each in keys])
    assert sorted(ends) == [""] + ["KeyNameTaken"] * 11
    assert len(dynamo.own(WORKSPACE).keys) == 1


def test_parallel_additions_do_not_pass_the_bound(dynamo: DynamoProviderKeys) -> None:
    for number in range(KEYS_PER_WORKSPACE_MAX - 3):
        dynamo.add(another(f"key {number}", minutes=number))
    more = [another(f"more {number}", minutes=100 + number) for number in range(10)]
    ends = at_once([lambda each=each: dynamo.add(each) for each in more])
    assert sorted(ends) == [""] * 3 + ["TooManyKeys"] * 7
    assert len(dynamo.own(WORKSPACE).keys) == KEYS_PER_WORKSPACE_MAX


def test_a_key_is_removed_by_one_of_many(dynamo: DynamoProviderKeys) -> None:
    dynamo.add(key())
    ends = at_once([lambda: dynamo.remove(key(), NOW)] * 8)
    assert sorted(ends) == [""] + ["NotFound"] * 7
    # The removal was counted once: the maximum is unchanged.
    for number in range(KEYS_PER_WORKSPACE_MAX):
        dynamo.add(another(f"key {number}", minutes=number))
    with pytest.raises(TooManyKeys):
        dynamo.add(another("one more", minutes=99))


# ---- KMS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kms(aws: botocore.session.Session) -> KmsDataKeys:
    return KmsDataKeys(aws.create_client("kms").create_key()["KeyMetadata"]["Arn"])


def test_kms_opens_a_data_key_with_the_facts_that_it_was_made_with(kms: KmsDataKeys) -> None:
    facts = context(PLACE, KMS, kms.kid)
    plain, wrapped = kms.new(facts)
    assert len(plain) == 32
    assert plain not in wrapped
    assert kms.unwrap(wrapped, facts) == plain
    assert kms.new(facts)[0] != plain
    for name in facts:
        with pytest.raises(UnreadableKey):
            kms.unwrap(wrapped, {**facts, name: "another"})


def test_a_record_of_another_kms_key_is_refused(kms: KmsDataKeys) -> None:
    other = KmsDataKeys(client("kms").create_key()["KeyMetadata"]["Arn"])
    assert other.kid != kms.kid
    record = Vault(HeldSecret(), kms).seal(CREDENTIALS, PLACE).record
    for changed in (record, record[:1] + other.kid + record[9:]):
        with pytest.raises(UnreadableKey):
            Vault(HeldSecret(), other).open(changed, PLACE)


def test_a_vault_on_kms_asks_it_once_for_each_record(kms: KmsDataKeys) -> None:
    vault = Vault(HeldSecret(), kms)
    record = vault.seal(CREDENTIALS, PLACE).record
    asked: list[str] = []
    client("kms").meta.events.register("before-call.kms", lambda model, **_: asked.append(model.name))
    for _ in "123":
        assert vault.open(record, PLACE) == CREDENTIALS
    assert asked == ["Decrypt"]


def test_a_kms_key_that_is_switched_off_says_nothing_against_the_record(kms: KmsDataKeys) -> None:
    facts = context(PLACE, KMS, kms.kid)
    _, wrapped = kms.new(facts)
    client("kms").disable_key(KeyId=kms.arn)
    with pytest.raises(ClientError):
        kms.unwrap(wrapped, facts)
