"""A workspace's provider keys from adding to removal: validation, choice, decryption, tests, and rotation."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from atelier.catalogue.catalogue import providers_with_keys
from atelier.errors import (
    Conflict,
    IdempotencyMismatch,
    NotFound,
    ProviderFailed,
    RateLimited,
    Unavailable,
    ValidationFailed,
    VersionConflict,
)
from atelier.ids import new_id
from atelier.provider_keys.add_key import AddedKey, NewKey, add_key
from atelier.provider_keys.check_key import KeyCheck, check_key
from atelier.provider_keys.decrypt import decrypt_key
from atelier.provider_keys.master_keys import with_new_key
from atelier.provider_keys.model import (
    KEYS_PER_WORKSPACE_MAX,
    TEST_INTERVAL_MIN,
    USE_STORED_EVERY,
    CustomModel,
    ProviderCredentials,
    ProviderPreference,
    UnreadableKey,
    WorkspaceProviders,
)
from atelier.provider_keys.provider_preferences import change_preferences, provider_settings
from atelier.provider_keys.remove_key import remove_key, set_key_active
from atelier.provider_keys.rewrap import add_master_key, rewrap
from atelier.provider_keys.vault import Vault
from atelier.provider_port import ErrorClass, Failed
from tests.unit.provider_keys.fakes import (
    CANARY,
    CREDENTIALS,
    KEY_ID,
    NOW,
    ORIGIN,
    USER,
    WORKSPACE,
    FakeDataKeys,
    FakeMasterSecret,
    FakeWallets,
    InMemoryIdempotencyKeys,
    InMemoryProviderKeys,
    sealed_key,
)

STRANGER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
ENDPOINT = ProviderCredentials(CANARY, "https://models.example.com/v1", models=(CustomModel("llama", "text"),))


class FakeAdapter:
    """An adapter whose key check returns or raises `failure`."""

    def __init__(self, failure: Failed | Exception | None = None) -> None:
        self.failure = failure
        self.with_credentials: list[ProviderCredentials] = []

    def __call__(self, provider: str, credentials: ProviderCredentials) -> FakeAdapter:
        self.with_credentials.append(credentials)
        return self

    def check(self) -> Failed | None:
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


@dataclass
class House:
    """The use cases of provider keys over stores in memory. KMS does the sealing, because here it costs no time."""

    keys: InMemoryProviderKeys = field(default_factory=InMemoryProviderKeys)
    wallets: FakeWallets = field(default_factory=FakeWallets)
    vault: Vault = field(default_factory=lambda: Vault(FakeMasterSecret(), FakeDataKeys()))
    bindings: InMemoryIdempotencyKeys = field(default_factory=InMemoryIdempotencyKeys)

    def add(
        self,
        credentials: ProviderCredentials = CREDENTIALS,
        *,
        provider: str = "openai",
        name: str = "first",
        workspace_id: str = WORKSPACE,
        key: str | None = None,
        minutes: int = 0,
    ) -> AddedKey:
        return add_key(
            NewKey(workspace_id, USER, provider, name, credentials, key),
            keys=self.keys,
            wallets=self.wallets,
            vault=self.vault,
            idempotency_keys=self.bindings,
            is_allowed_url=lambda url: url.startswith("https://models.example.com"),
            origin=ORIGIN,
            now=NOW + timedelta(minutes=minutes),
        )

    def reveal(
        self, key_id: str, provider: str = "openai", workspace_id: str = WORKSPACE, hours: int = 0
    ) -> ProviderCredentials:
        now = NOW + timedelta(hours=hours)
        return decrypt_key(workspace_id, provider, key_id, keys=self.keys, vault=self.vault, now=now)

    def check(self, key_id: str, adapter: FakeAdapter, seconds: int = 0) -> KeyCheck:
        now = NOW + timedelta(seconds=seconds)
        return check_key(WORKSPACE, key_id, keys=self.keys, vault=self.vault, adapter=adapter, now=now)

    def own(self) -> WorkspaceProviders:
        return self.keys.read_workspace(WORKSPACE)


@pytest.fixture
def house() -> House:
    return House()


def refused_fields(error: pytest.ExceptionInfo[ValidationFailed]) -> list[str]:
    return [field["path"] for field in error.value.facts["fields"]]


# ---- adding ----------------------------------------------------------------------------------------------------------


def test_a_key_is_stored_sealed_with_its_last_four_characters(house: House) -> None:
    added = house.add()
    key = house.keys.get(WORKSPACE, added.key.id)
    assert (key.provider, key.name, key.last_four, key.is_active, key.last_test) == (
        "openai",
        "first",
        CANARY[-4:],
        True,
        None,
    )
    assert house.reveal(key.id).key == CANARY
    assert CANARY.encode() not in key.record
    assert CANARY not in repr(key)
    assert not added.replayed


@pytest.mark.parametrize("around", [" {} ", "{}\n", "\t{}\r\n"])
def test_white_space_around_a_pasted_key_is_removed(house: House, around: str) -> None:
    assert house.reveal(house.add(ProviderCredentials(around.format(CANARY))).key.id).key == CANARY


@pytest.mark.parametrize(
    "key",
    [
        "",
        "            ",
        "short",
        "x" * 513,
        "in the middle",
        "new\nline-1234567",
        "nul\0-1234567890",
        "ünïcode-1234567",
        "\x7f" * 20,
    ],
)
def test_an_invalid_key_is_refused_and_not_echoed(house: House, key: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        house.add(ProviderCredentials(key))
    assert refused_fields(refused) == ["key"]
    assert not key.strip() or key not in json.dumps(refused.value.facts)
    assert house.own().keys == ()


def test_a_short_key_has_no_last_four_characters(house: House) -> None:
    assert house.add(ProviderCredentials("12345678901")).key.last_four == ""
    assert house.add(ProviderCredentials("123456789012"), name="second", minutes=1).key.last_four == "9012"


def test_a_key_name_is_unique_for_a_provider(house: House) -> None:
    house.add()
    with pytest.raises(Conflict):
        house.add(minutes=1)
    assert house.add(provider="anthropic", minutes=2).key.name == "first"
    assert house.add(workspace_id=STRANGER, minutes=3).key.name == "first"
    assert house.add(name="second", minutes=4).key.name == "second"


def test_a_workspace_has_a_bounded_number_of_keys(house: House) -> None:
    for number in range(KEYS_PER_WORKSPACE_MAX):
        house.add(name=f"key {number}", minutes=number)
    with pytest.raises(Conflict, match=str(KEYS_PER_WORKSPACE_MAX)):
        house.add(name="one more", minutes=99)


def test_a_repeated_idempotency_key_returns_the_same_provider_key(house: House) -> None:
    first, again = house.add(key="once"), house.add(key="once", minutes=1)
    assert (first.key.id, first.replayed) == (again.key.id, not again.replayed)
    assert len(house.own().keys) == 1
    for other in (ProviderCredentials(CANARY + "x"), replace(ENDPOINT, key=CANARY)):
        with pytest.raises(IdempotencyMismatch):
            house.add(other, key="once", provider="custom" if other.base_url else "openai")
    with pytest.raises(IdempotencyMismatch):
        house.add(name="another", key="once")


def test_the_idempotency_record_does_not_contain_the_key(house: House) -> None:
    house.add(key="once")
    assert CANARY not in repr(house.bindings.kept)


def test_a_late_retry_does_not_restore_a_removed_key(house: House) -> None:
    added = house.add(key="once")
    remove_key(WORKSPACE, added.key.id, keys=house.keys, origin=ORIGIN, now=NOW)
    with pytest.raises(Conflict, match="removed"):
        house.add(key="once", minutes=1)
    assert house.own().keys == ()


def test_a_custom_endpoints_url_and_models_are_sealed_with_its_key(house: House) -> None:
    key = house.add(replace(ENDPOINT, base_url="https://models.example.com/v1/"), provider="custom").key
    assert house.reveal(key.id, "custom") == ENDPOINT
    # A person who could change the item could still not send the key elsewhere.
    house.keys.keys[WORKSPACE, key.id] = replace(key, base_url="https://evil.example")
    assert house.reveal(key.id, "custom").base_url == ENDPOINT.base_url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "http://models.example.com/v1",
        "https://",
        "https://user:pass@models.example.com/v1",
        "https://models.example.com/v1?x=1",
        "https://models.example.com/v1#x",
        "https://models.example.com:0/v1",
        "https://models.example.com:99999/v1",
        "https://[::1/v1",
        "https://169.254.169.254/latest",
        "https://models.example.com/ v1",
        "file:///etc/passwd",
        "https://models.example.com/" + "v" * 300,
    ],
)
def test_an_invalid_base_url_is_refused(house: House, url: str | None) -> None:
    with pytest.raises(ValidationFailed) as refused:
        house.add(replace(ENDPOINT, base_url=url), provider="custom")
    assert refused_fields(refused) == ["base_url"]


def test_base_url_and_models_are_required_only_for_a_custom_provider(house: House) -> None:
    with pytest.raises(ValidationFailed) as refused:
        house.add(ENDPOINT)
    assert refused_fields(refused) == ["base_url", "models"]
    for models in ((), (CustomModel("a", "text"), CustomModel("a", "image"))):
        with pytest.raises(ValidationFailed) as refused:
            house.add(replace(ENDPOINT, models=models), provider="custom")
        assert refused_fields(refused) == ["models"]


# ---- using -----------------------------------------------------------------------------------------------------------


def test_a_keys_last_use_is_written_once_an_hour(house: House) -> None:
    key_id = house.add().key.id
    writes = house.keys.writes
    for _ in range(5):
        house.reveal(key_id)
    assert house.keys.get(WORKSPACE, key_id).last_used_at == NOW
    assert house.keys.writes == writes + 1
    house.reveal(key_id, hours=1)
    assert house.keys.get(WORKSPACE, key_id).last_used_at == NOW + USE_STORED_EVERY


def test_a_key_of_another_workspace_or_provider_is_not_found(house: House) -> None:
    key_id = house.add().key.id
    for provider, workspace_id in (("openai", STRANGER), ("anthropic", WORKSPACE)):
        with pytest.raises(NotFound):
            house.reveal(key_id, provider, workspace_id)


def test_a_record_moved_to_another_workspace_cannot_be_decrypted(house: House) -> None:
    key = house.add().key
    house.keys.keys[STRANGER, key.id] = replace(key, workspace_id=STRANGER)
    with pytest.raises(UnreadableKey):
        house.reveal(key.id, workspace_id=STRANGER)


def test_the_newest_active_key_is_chosen_unless_a_preference_names_one(house: House) -> None:
    assert house.own().key_in_use("openai") is None
    first, second = house.add().key, house.add(name="second", minutes=1).key
    assert house.own().key_in_use("openai") == second
    assert house.own().key_in_use("anthropic") is None
    set_key_active(WORKSPACE, second.id, is_active=False, keys=house.keys, origin=ORIGIN, now=NOW)
    assert house.own().key_in_use("openai") == first
    set_key_active(WORKSPACE, second.id, is_active=True, keys=house.keys, origin=ORIGIN, now=NOW)
    house.keys.save_preferences(WORKSPACE, [ProviderPreference("openai", own_key_id=first.id)])
    assert house.own().key_in_use("openai") == first
    house.keys.save_preferences(WORKSPACE, [ProviderPreference("openai")])
    assert house.own().key_in_use("openai") is None


def test_a_preference_for_a_removed_key_falls_back_to_the_platform(house: House) -> None:
    first, second = house.add().key, house.add(name="second", minutes=1).key
    house.keys.save_preferences(WORKSPACE, [ProviderPreference("openai", own_key_id=second.id)])
    remove_key(WORKSPACE, second.id, keys=house.keys, origin=ORIGIN, now=NOW)
    assert house.own().key_in_use("openai") is None
    assert house.own().preference("openai").own_key_id is None
    assert house.own().active_keys("openai") == (first,)


# ---- testing ---------------------------------------------------------------------------------------------------------


def test_an_accepted_key_is_recorded_as_valid(house: House) -> None:
    key_id, adapter = house.add().key.id, FakeAdapter()
    tested = house.check(key_id, adapter)
    assert (tested.test.ok, tested.message) == (True, None)
    assert house.keys.get(WORKSPACE, key_id).last_test == tested.test
    assert adapter.with_credentials == [CREDENTIALS]


def test_a_refused_key_is_recorded_by_error_class_without_the_key(house: House) -> None:
    key_id = house.add().key.id
    tested = house.check(key_id, FakeAdapter(Failed(ErrorClass.AUTH, f"Incorrect API key provided: {CANARY}.")))
    assert (tested.test.ok, tested.test.error_class) == (False, "auth")
    assert tested.message == "Incorrect API key provided: …."
    assert CANARY not in repr(house.keys.get(WORKSPACE, key_id))


def test_an_adapters_exception_is_reported_by_its_type_only(house: House) -> None:
    key_id = house.add().key.id
    with pytest.raises(ProviderFailed) as failed:
        house.check(key_id, FakeAdapter(RuntimeError(f"Illegal header value: Bearer {CANARY}")))
    assert failed.value.message == "The provider could not be reached (RuntimeError)."
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


def test_repeated_key_tests_are_rate_limited(house: House) -> None:
    key_id, adapter = house.add().key.id, FakeAdapter()
    house.check(key_id, adapter)
    with pytest.raises(RateLimited):
        house.check(key_id, adapter, seconds=1)
    house.check(key_id, adapter, seconds=int(TEST_INTERVAL_MIN.total_seconds()))
    assert len(adapter.with_credentials) == 2


# ---- removing --------------------------------------------------------------------------------------------------------


def test_a_removed_key_is_not_found_and_its_name_is_free(house: House) -> None:
    key_id = house.add().key.id
    with pytest.raises(NotFound):
        remove_key(STRANGER, key_id, keys=house.keys, origin=ORIGIN, now=NOW)
    remove_key(WORKSPACE, key_id, keys=house.keys, origin=ORIGIN, now=NOW)
    for _ in "12":
        with pytest.raises(NotFound):
            remove_key(WORKSPACE, key_id, keys=house.keys, origin=ORIGIN, now=NOW)
    with pytest.raises(NotFound):
        house.reveal(key_id)
    assert house.add(minutes=1).key.name == "first"


def test_what_happens_to_keys_is_in_the_audit_log_without_their_secrets(house: House) -> None:
    key_id = house.add().key.id
    for is_active in (False, True):
        set_key_active(WORKSPACE, key_id, is_active=is_active, keys=house.keys, origin=ORIGIN, now=NOW)
    with pytest.raises(NotFound):
        set_key_active(STRANGER, key_id, is_active=False, keys=house.keys, origin=ORIGIN, now=NOW)
    remove_key(WORKSPACE, key_id, keys=house.keys, origin=ORIGIN, now=NOW)
    actions = ["key.added", "key.switched_off", "key.switched_on", "key.removed"]
    assert [(event.log, event.action, event.target) for event in house.keys.events] == [
        (WORKSPACE, action, key_id) for action in actions
    ]
    assert CREDENTIALS.key not in repr(house.keys.events)
    assert all(event.origin == ORIGIN for event in house.keys.events)


# ---- preferences -----------------------------------------------------------------------------------------------------


def test_providers_are_listed_in_the_order_of_preference(house: House) -> None:
    key = house.add(ENDPOINT, provider="custom").key
    house.keys.save_preferences(
        WORKSPACE,
        [
            ProviderPreference("openai", priority=1),
            ProviderPreference("local", enabled=False),
            ProviderPreference("custom", own_key_id=key.id),
        ],
    )
    found = provider_settings(
        house.own(),
        known=(*providers_with_keys(), "local"),
        kinds={"openai": ["text", "image"], "local": ["image"]},
        platform_providers=frozenset({"local"}),
        health={"openai": "degraded"},
    ).providers
    assert [each.preference.provider for each in found][:2] == ["openai", "anthropic"]
    by_id = {each.preference.provider: each for each in found}
    assert set(by_id) == {"anthropic", "custom", "fal", "local", "openai", "replicate", "stability", "xai"}
    assert (by_id["openai"].health, by_id["local"].health) == ("degraded", "unknown")
    assert (by_id["custom"].kinds, by_id["custom"].has_key, by_id["custom"].preference.own_key_id) == (
        ("text",),
        True,
        key.id,
    )
    assert (by_id["local"].preference.enabled, by_id["local"].is_offered, by_id["openai"].is_offered) == (
        False,
        True,
        False,
    )
    assert by_id["openai"].kinds == ("image", "text")


def test_preferences_need_known_providers_and_keys_of_the_workspace(house: House) -> None:
    mine, off = house.add().key, house.add(name="second", minutes=1).key
    set_key_active(WORKSPACE, off.id, is_active=False, keys=house.keys, origin=ORIGIN, now=NOW)
    foreign = house.add(workspace_id=STRANGER, minutes=2).key
    known = frozenset({"openai", "anthropic"})
    wrong = [
        ProviderPreference("nobody"),
        ProviderPreference("openai", own_key_id=foreign.id),
        ProviderPreference("openai", own_key_id=mine.id),
        ProviderPreference("anthropic", own_key_id=mine.id),
    ]
    with pytest.raises(ValidationFailed) as refused:
        change_preferences(WORKSPACE, wrong, known=known, keys=house.keys, wallets=house.wallets)
    assert refused_fields(refused) == [
        "providers.0.id",
        "providers.1.use_own_key",
        "providers.2.id",
        "providers.3.use_own_key",
    ]
    with pytest.raises(ValidationFailed):
        change_preferences(
            WORKSPACE,
            [ProviderPreference("openai", own_key_id=off.id)],
            known=known,
            keys=house.keys,
            wallets=house.wallets,
        )
    assert house.own().preferences == {}
    change_preferences(
        WORKSPACE,
        [ProviderPreference("openai", own_key_id=mine.id)],
        known=known,
        keys=house.keys,
        wallets=house.wallets,
    )
    change_preferences(
        WORKSPACE, [ProviderPreference("anthropic", priority=3)], known=known, keys=house.keys, wallets=house.wallets
    )
    assert house.own().preferences == {"anthropic": ProviderPreference("anthropic", priority=3)}


def test_preferences_that_were_changed_since_they_were_read_are_not_overwritten(house: House) -> None:
    known = frozenset({"openai", "fal"})

    def change(provider: str, version: int | None) -> None:
        changed = [ProviderPreference(provider, priority=1)]
        change_preferences(WORKSPACE, changed, known=known, keys=house.keys, wallets=house.wallets, version=version)

    change("openai", 0)
    for version in (0, 2):
        with pytest.raises(VersionConflict) as conflict:
            change("fal", version)
        assert conflict.value.facts == {"current": 1}
        assert set(house.own().preferences) == {"openai"}
    change("fal", 1)
    change("openai", None)
    assert (set(house.own().preferences), house.own().version) == ({"openai"}, 3)


# ---- the wallet's mark for submissions -------------------------------------------------------------------------------


def test_the_wallet_is_marked_before_the_first_key_is_stored(house: House) -> None:
    house.wallets.refusal = Unavailable("The wallet is busy. Try again.")
    with pytest.raises(Unavailable):
        house.add()
    assert house.own().keys == ()
    house.wallets.refusal = None
    house.add()
    assert house.wallets.marked == {WORKSPACE}


def test_the_wallet_is_marked_before_the_first_preference_is_stored(house: House) -> None:
    known = frozenset({"openai"})
    house.wallets.refusal = Unavailable("The wallet is busy. Try again.")
    with pytest.raises(Unavailable):
        change_preferences(
            WORKSPACE,
            [ProviderPreference("openai", enabled=False)],
            known=known,
            keys=house.keys,
            wallets=house.wallets,
        )
    assert house.own().preferences == {}
    house.wallets.refusal = None
    change_preferences(
        WORKSPACE, [ProviderPreference("openai", enabled=False)], known=known, keys=house.keys, wallets=house.wallets
    )
    assert house.wallets.marked == {WORKSPACE}


def test_a_refused_key_or_preference_does_not_mark_the_wallet(house: House) -> None:
    with pytest.raises(ValidationFailed):
        house.add(ProviderCredentials("short"))
    with pytest.raises(ValidationFailed):
        change_preferences(
            WORKSPACE, [ProviderPreference("nobody")], known=frozenset(), keys=house.keys, wallets=house.wallets
        )
    assert house.wallets.marked == set()


# ---- rotation --------------------------------------------------------------------------------------------------------


@dataclass
class Rotation:
    """Three provider keys under a master key that is no longer the newest."""

    secret: FakeMasterSecret
    vault: Vault
    keys: InMemoryProviderKeys
    ids: list[str]

    def run(self, steps: int = 100) -> tuple[int, int, int, bool]:
        left = iter([True] * steps)
        done = rewrap(keys=self.keys, vault=self.vault, has_time=lambda: next(left, False))
        return done.resealed, done.skipped, len(done.unreadable), done.is_complete

    def sealed_by(self) -> set[str]:
        return {key.sealed_by for key in self.keys.keys.values()}


@pytest.fixture
def rotation() -> Rotation:
    secret, keys = FakeMasterSecret(), InMemoryProviderKeys()
    vault = Vault(secret)
    ids = [KEY_ID, *(new_id("key", NOW) for _ in "12")]
    for number, key_id in enumerate(ids):
        keys.add(sealed_key(vault, f"key {number}", key_id=key_id))
    secret.current = secret.remembered = with_new_key(secret.current, NOW)
    return Rotation(secret, vault, keys, ids)


def test_a_rotation_reseals_every_record_once(rotation: Rotation) -> None:
    assert rotation.run() == (3, 0, 0, True)
    assert rotation.sealed_by() == {rotation.secret.current["keys"][0]["kid"]}
    writes = rotation.keys.writes
    assert rotation.run() == (0, 0, 0, True)
    assert rotation.keys.writes == writes
    # The old master key can be removed now.
    rotation.secret.current = {**rotation.secret.current, "keys": rotation.secret.current["keys"][:1]}
    opening = Vault(FakeMasterSecret(rotation.secret.current))
    for key_id in rotation.ids:
        key = rotation.keys.get(WORKSPACE, key_id)
        assert opening.open(key.record, key.seal_context) == CREDENTIALS


def test_an_interrupted_rotation_is_continued(rotation: Rotation) -> None:
    assert rotation.run(steps=1) == (1, 0, 0, False)
    assert rotation.run(steps=1) == (1, 0, 0, False)
    assert rotation.run() == (1, 0, 0, True)


def test_an_unreadable_record_does_not_stop_the_rotation(rotation: Rotation) -> None:
    broken = rotation.keys.get(WORKSPACE, rotation.ids[1])
    rotation.keys.keys[WORKSPACE, broken.id] = replace(broken, record=broken.record[:-1] + b"\0\0")
    assert rotation.run() == (2, 0, 1, True)
    assert rotation.keys.get(WORKSPACE, broken.id).record.endswith(b"\0\0")


def test_a_key_changed_during_a_rotation_is_left_unchanged(rotation: Rotation) -> None:
    listed = list(rotation.keys.list_sealed_by(rotation.vault.outdated_kids()[0]))
    assert rotation.run() == (3, 0, 0, True)
    # The index still lists them, but another process has changed them.
    rotation.keys.list_sealed_by = lambda kid: iter(listed)  # type: ignore[method-assign]
    rotation.keys.keys.pop((WORKSPACE, rotation.ids[0]))
    assert rotation.run() == (0, 3, 0, False)


def test_switching_to_kms_reseals_every_record(rotation: Rotation) -> None:
    kms = FakeDataKeys()
    rotation.vault = Vault(rotation.secret, kms)
    assert rotation.run() == (3, 0, 0, True)
    assert rotation.sealed_by() == {kms.kid.hex()}


def test_of_two_concurrent_new_master_keys_one_is_written(rotation: Rotation) -> None:
    before = rotation.secret.current["keys"]

    class Late(FakeMasterSecret):
        """A process that read the secret before the other one wrote it."""

        def read(self) -> dict[str, object]:
            return {**rotation.secret.current, "keys": before}

    assert add_master_key(keys=rotation.keys, secret=rotation.secret, now=NOW)
    after = rotation.secret.current["keys"]
    assert after[1:] == before
    late = Late()
    untouched = late.current
    assert not add_master_key(keys=rotation.keys, secret=late, now=NOW + timedelta(seconds=1))
    assert late.current is untouched
    assert add_master_key(keys=rotation.keys, secret=rotation.secret, now=NOW + timedelta(seconds=2))
    assert len(rotation.secret.current["keys"]) == len(before) + 2
