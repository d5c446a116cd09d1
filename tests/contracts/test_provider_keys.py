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

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import audit_log
from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys, PreferencesItem
from atelier.adapters.aws.kms import KmsDataKeys
from atelier.errors import NotFound
from atelier.ids import new_id
from atelier.provider_keys.envelope import KMS, encryption_context
from atelier.provider_keys.model import (
    KEYS_PER_WORKSPACE_MAX,
    USE_STORED_EVERY,
    CustomModel,
    KeyNameTaken,
    KeyRemoved,
    KeyTest,
    ProviderKey,
    ProviderPreference,
    TooManyKeys,
    UnreadableKey,
)
from atelier.provider_keys.ports import KeyExists, PreferencesChanged, ProviderKeys
from atelier.provider_keys.vault import Vault
from tests.embedded_aws import Tables, clear_wiring_caches, create_tables
from tests.unit.provider_keys.fakes import (
    CREDENTIALS,
    KEY_ID,
    NOW,
    SEAL_CONTEXT,
    USER,
    WORKSPACE,
    FakeMasterSecret,
    InMemoryProviderKeys,
)

STRANGER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
LATER = NOW + timedelta(seconds=3)


@pytest.fixture(params=["memory", "moto", "emulator"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderKeys]:
    if request.param == "memory":
        yield InMemoryProviderKeys()
    elif request.param == "emulator":
        bind(request.getfixturevalue("tables"))
        yield DynamoProviderKeys()
    else:
        with mock_aws():
            clear_wiring_caches()
            dynamodb = botocore.session.get_session().create_client("dynamodb")
            bind(create_tables(dynamodb, monkeypatch, only=("providers", "audit")))
            yield DynamoProviderKeys()
        clear_wiring_caches()


def bind(tables: Tables) -> None:
    DynamoProviderKeys.bind(tables.providers)
    audit_log.bind(tables.audit)


def key(name: str = "first", *, key_id: str = KEY_ID, provider: str = "openai", minutes: int = 0) -> ProviderKey:
    at = NOW + timedelta(minutes=minutes)
    return ProviderKey(key_id, WORKSPACE, USER, provider, name, "last", b"\x01 sealed", "0011223344556677", at)


def another(name: str, minutes: int = 1, provider: str = "openai") -> ProviderKey:
    return key(name, key_id=new_id("key", NOW + timedelta(minutes=minutes)), provider=provider, minutes=minutes)


def test_an_added_key_is_read_back_unchanged(store: ProviderKeys) -> None:
    plain = key()
    custom = replace(
        another("Grüße", provider="custom"),
        base_url="https://models.example.com/v1",
        models=(CustomModel("a", "text"),),
    )
    for added in (plain, custom):
        store.add(added)
        assert store.get(WORKSPACE, added.id) == added
    assert store.read_workspace(WORKSPACE).keys == tuple(sorted((plain, custom), key=lambda each: each.id))
    assert store.read_workspace(STRANGER).keys == ()
    with pytest.raises(NotFound):
        store.get(STRANGER, plain.id)


def test_a_key_is_added_once(store: ProviderKeys) -> None:
    store.add(key())
    with pytest.raises(KeyExists):
        store.add(key())
    with pytest.raises(KeyNameTaken):
        store.add(another("first"))
    store.add(another("first", provider="anthropic"))
    assert len(store.read_workspace(WORKSPACE).keys) == 2


def test_a_workspace_has_a_maximum_number_of_keys(store: ProviderKeys) -> None:
    for number in range(KEYS_PER_WORKSPACE_MAX):
        store.add(another(f"key {number}", minutes=number))
    with pytest.raises(TooManyKeys):
        store.add(another("one more", minutes=99))
    store.remove(store.read_workspace(WORKSPACE).keys[0], NOW)
    store.add(another("one more", minutes=99))
    assert len(store.read_workspace(WORKSPACE).keys) == KEYS_PER_WORKSPACE_MAX


def test_a_removed_key_frees_its_name_and_cannot_be_added_again(store: ProviderKeys) -> None:
    store.add(key())
    store.remove(key(), NOW)
    with pytest.raises(NotFound):
        store.get(WORKSPACE, KEY_ID)
    with pytest.raises(NotFound):
        store.remove(key(), NOW)
    with pytest.raises(KeyRemoved):
        store.add(key())
    store.add(another("first"))
    assert [each.name for each in store.read_workspace(WORKSPACE).keys] == ["first"]


def test_writes_to_a_concurrently_removed_key_do_not_recreate_it(store: ProviderKeys) -> None:
    store.add(key())
    store.remove(key(), NOW)
    store.record_use(WORKSPACE, KEY_ID, NOW)
    store.record_test(WORKSPACE, KEY_ID, KeyTest(NOW))
    assert not store.replace_record(key(), replace(key(), record=b"x"))
    with pytest.raises(NotFound):
        store.set_active(WORKSPACE, KEY_ID, is_active=False)
    assert store.read_workspace(WORKSPACE).keys == ()


def test_a_keys_use_is_written_at_most_once_an_hour(store: ProviderKeys) -> None:
    store.add(key())
    for at in (NOW, LATER, NOW + USE_STORED_EVERY - timedelta(milliseconds=1)):
        store.record_use(WORKSPACE, KEY_ID, at)
        assert store.get(WORKSPACE, KEY_ID).last_used_at == NOW
    store.record_use(WORKSPACE, KEY_ID, NOW + USE_STORED_EVERY)
    assert store.get(WORKSPACE, KEY_ID).last_used_at == NOW + USE_STORED_EVERY


def test_the_latest_key_test_is_stored(store: ProviderKeys) -> None:
    store.add(key())
    for test in (KeyTest(NOW, "auth"), KeyTest(LATER)):
        store.record_test(WORKSPACE, KEY_ID, test)
        assert store.get(WORKSPACE, KEY_ID).last_test == test


def test_a_key_is_switched_off_and_on(store: ProviderKeys) -> None:
    store.add(key())
    for is_active in (False, False, True):
        store.set_active(WORKSPACE, KEY_ID, is_active=is_active)
        assert store.get(WORKSPACE, KEY_ID) == replace(key(), is_active=is_active)


def test_provider_preferences_are_replaced_as_a_whole(store: ProviderKeys) -> None:
    store.add(key())
    first = [ProviderPreference("openai", enabled=False, priority=3, own_key_id=KEY_ID), ProviderPreference("local")]
    store.save_preferences(WORKSPACE, first)
    assert store.read_workspace(WORKSPACE).preferences == {preference.provider: preference for preference in first}
    store.save_preferences(WORKSPACE, [ProviderPreference("fal")])
    assert store.read_workspace(WORKSPACE).preferences == {"fal": ProviderPreference("fal")}
    store.save_preferences(WORKSPACE, [])
    assert store.read_workspace(WORKSPACE).preferences == {}
    assert store.read_workspace(WORKSPACE).keys == (key(),)


def test_of_two_changes_of_the_same_preferences_one_is_stored(store: ProviderKeys) -> None:
    assert store.read_workspace(WORKSPACE).version == 0
    for version in (0, 1):
        store.save_preferences(WORKSPACE, [ProviderPreference("fal")], version=version)
        with pytest.raises(PreferencesChanged):
            store.save_preferences(WORKSPACE, [ProviderPreference("openai")], version=version)
        assert store.read_workspace(WORKSPACE).version == version + 1
    store.save_preferences(WORKSPACE, [ProviderPreference("local")])
    found = store.read_workspace(WORKSPACE)
    assert (set(found.preferences), found.version) == ({"local"}, 3)


def test_records_encrypted_with_a_root_key_are_listed_until_they_are_reencrypted(store: ProviderKeys) -> None:
    store.add(key())
    store.add(replace(another("second"), sealed_by="ffeeddccbbaa9988"))
    assert list(store.list_sealed_by(key().sealed_by)) == [(WORKSPACE, KEY_ID)]
    after = replace(key(), record=b"\x01 sealed anew", sealed_by="ffeeddccbbaa9988")
    assert store.replace_record(key(), after)
    assert store.get(WORKSPACE, KEY_ID) == after
    assert list(store.list_sealed_by(key().sealed_by)) == []
    # A stale writer does not undo the new encryption.
    assert not store.replace_record(key(), key())
    assert store.get(WORKSPACE, KEY_ID) == after


def test_a_rotation_is_claimed_by_one_caller_for_five_minutes(store: ProviderKeys) -> None:
    assert store.claim_rotation("0011", NOW)
    assert not store.claim_rotation("0011", NOW + timedelta(minutes=5))
    assert store.claim_rotation("2233", NOW)
    assert store.claim_rotation("0011", NOW + timedelta(minutes=5, seconds=1))


def test_preferences_of_an_earlier_build_have_the_version_zero(dynamo: DynamoProviderKeys) -> None:
    PreferencesItem(WORKSPACE, "own#wishes", preferences='[["fal", false, 3, null, false]]').save()
    found = dynamo.read_workspace(WORKSPACE)
    assert (found.preferences["fal"].enabled, found.version) == (False, 0)
    dynamo.save_preferences(WORKSPACE, [ProviderPreference("local")], version=0)
    assert dynamo.read_workspace(WORKSPACE).version == 1


# ---- parallel calls --------------------------------------------------------------------------------------------------


@pytest.fixture
def dynamo(request: pytest.FixtureRequest) -> DynamoProviderKeys:
    bind(request.getfixturevalue("tables"))
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


def test_parallel_additions_with_one_name_add_one_key(dynamo: DynamoProviderKeys) -> None:
    keys = [another("first", minutes=number) for number in range(12)]
    ends = at_once([lambda each=each: dynamo.add(each) for each in keys])
    assert sorted(ends) == [""] + ["KeyNameTaken"] * 11
    assert len(dynamo.read_workspace(WORKSPACE).keys) == 1


def test_parallel_additions_do_not_pass_the_bound(dynamo: DynamoProviderKeys) -> None:
    for number in range(KEYS_PER_WORKSPACE_MAX - 3):
        dynamo.add(another(f"key {number}", minutes=number))
    more = [another(f"more {number}", minutes=100 + number) for number in range(10)]
    ends = at_once([lambda each=each: dynamo.add(each) for each in more])
    assert sorted(ends) == [""] * 3 + ["TooManyKeys"] * 7
    assert len(dynamo.read_workspace(WORKSPACE).keys) == KEYS_PER_WORKSPACE_MAX


def test_parallel_removals_remove_and_count_a_key_once(dynamo: DynamoProviderKeys) -> None:
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


def test_kms_decrypts_a_data_key_only_with_its_encryption_context(kms: KmsDataKeys) -> None:
    facts = encryption_context(SEAL_CONTEXT, KMS, kms.kid)
    plain, wrapped = kms.generate(facts)
    assert len(plain) == 32
    assert plain not in wrapped
    assert kms.unwrap(wrapped, facts) == plain
    assert kms.generate(facts)[0] != plain
    for name in facts:
        with pytest.raises(UnreadableKey):
            kms.unwrap(wrapped, {**facts, name: "another"})


def test_a_record_encrypted_under_another_kms_key_is_refused(kms: KmsDataKeys) -> None:
    other = KmsDataKeys(client("kms").create_key()["KeyMetadata"]["Arn"])
    assert other.kid != kms.kid
    record = Vault(FakeMasterSecret(), kms).seal(CREDENTIALS, SEAL_CONTEXT).record
    for changed in (record, record[:1] + other.kid + record[9:]):
        with pytest.raises(UnreadableKey):
            Vault(FakeMasterSecret(), other).open(changed, SEAL_CONTEXT)


def test_a_vault_on_kms_calls_it_once_for_each_record(kms: KmsDataKeys) -> None:
    vault = Vault(FakeMasterSecret(), kms)
    record = vault.seal(CREDENTIALS, SEAL_CONTEXT).record
    operations: list[str] = []
    client("kms").meta.events.register("before-call.kms", lambda model, **_: operations.append(model.name))
    for _ in "123":
        assert vault.open(record, SEAL_CONTEXT) == CREDENTIALS
    assert operations == ["Decrypt"]


def test_a_disabled_kms_key_raises_a_client_error_not_unreadable_key(kms: KmsDataKeys) -> None:
    facts = encryption_context(SEAL_CONTEXT, KMS, kms.kid)
    _, wrapped = kms.generate(facts)
    client("kms").disable_key(KeyId=kms.arn)
    with pytest.raises(ClientError):
        kms.unwrap(wrapped, facts)
