"""Sealed keys: the documented parameters are used, and a changed record does not open."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from atelier.provider_keys.envelope import additional_data, decrypt, encrypt, unpack
from atelier.provider_keys.master_keys import InvalidMasterKey, new_master_keys, parse_master_keys, with_new_key
from atelier.provider_keys.model import CustomModel, ProviderCredentials, SealContext, UnreadableKey
from atelier.provider_keys.vault import CACHED_KEYS_MAX, CACHED_SECONDS, Vault
from tests.unit.provider_keys.fakes import CANARY, CREDENTIALS, NOW, SEAL_CONTEXT, FakeDataKeys, FakeMasterSecret

KID = bytes.fromhex("0011223344556677")
MASTER = bytes(range(32))
SECRET = {"keys": [{"kid": KID.hex(), "key": MASTER.hex()}], "fingerprint_key": bytes(range(32, 64)).hex()}
OTHER_PLACES = [
    replace(SEAL_CONTEXT, workspace_id="wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"),
    replace(SEAL_CONTEXT, provider="anthropic"),
    replace(SEAL_CONTEXT, key_id="key_01M7XCN60QZZZZZZZZZZZZZZZZ"),
]


@pytest.fixture(scope="module", params=["master keys", "KMS"])
def vault(request: pytest.FixtureRequest) -> Vault:
    return Vault(FakeMasterSecret(SECRET), FakeDataKeys() if request.param == "KMS" else None)


@pytest.fixture(scope="module")
def record(vault: Vault) -> bytes:
    return vault.seal(CREDENTIALS, SEAL_CONTEXT).record


# ---- known answers ---------------------------------------------------------------------------------------------------


def test_aes_256_gcm_gives_the_known_answer() -> None:
    """Test case 16 of McGrew and Viega, “The Galois/Counter Mode of Operation”."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    iv, bound = bytes.fromhex("cafebabefacedbaddecaf888"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = bytes.fromhex(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    assert encrypt(key, iv, plain, bound) == sealed
    assert decrypt(key, iv, sealed, bound) == plain


def test_scrypt_gives_the_known_answer_at_our_parameters() -> None:
    """RFC 7914 §12, the third vector: N = 2^14, r = 8, p = 1."""
    answer = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
    assert hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=2**14, r=8, p=1, dklen=32) == answer
    assert Scrypt(salt=b"SodiumChloride", length=32, n=2**14, r=8, p=1).derive(b"pleaseletmein") == answer


def test_a_record_is_readable_by_another_implementation() -> None:
    record = Vault(FakeMasterSecret(SECRET)).seal(CREDENTIALS, SEAL_CONTEXT).record
    version, kid, work = record[0], record[1:9], tuple(record[9:12])
    salt, iv, sealed, tag = record[12:76], record[76:88], record[88:-16], record[-16:]
    assert (version, kid, work) == (1, KID, (14, 8, 1))
    derived = Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(MASTER)
    reader = Cipher(algorithms.AES(derived), modes.GCM(iv, tag)).decryptor()
    reader.authenticate_additional_data(
        f"1\0{SEAL_CONTEXT.workspace_id}\0{SEAL_CONTEXT.provider}\0{SEAL_CONTEXT.key_id}\0{KID.hex()}".encode()
    )
    assert json.loads(reader.update(sealed) + reader.finalize()) == {"key": CANARY}


def test_no_two_records_share_salt_or_iv() -> None:
    sealing = Vault(FakeMasterSecret(SECRET))
    records = [sealing.seal(CREDENTIALS, SEAL_CONTEXT).record for _ in range(8)]
    assert len({record[12:76] for record in records}) == len({record[76:88] for record in records}) == len(records)


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_sealed_credentials_round_trip(vault: Vault) -> None:
    everything = ProviderCredentials(
        CANARY, "https://models.example.com/v1", "whsec_abc", (CustomModel("llama", "text"),)
    )
    for credentials in (CREDENTIALS, everything):
        assert vault.open(vault.seal(credentials, SEAL_CONTEXT).record, SEAL_CONTEXT) == credentials


def test_a_sealed_key_does_not_contain_its_plain_text(vault: Vault, record: bytes) -> None:
    assert CANARY.encode() not in record
    assert CANARY[-4:].encode() not in record
    assert CANARY not in repr(CREDENTIALS)


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["workspace", "provider", "record"])
def test_a_record_does_not_open_in_another_context(vault: Vault, record: bytes, place: SealContext) -> None:
    with pytest.raises(UnreadableKey):
        vault.open(record, place)


def test_a_record_with_any_changed_bit_does_not_open(vault: Vault, record: bytes) -> None:
    # A change before the IV needs another key derivation of 50 ms, so there one bit of every byte is tried.
    for position in range(len(record)):
        for bit in range(8) if position >= len(record) - 48 else (position % 8,):
            changed = bytearray(record)
            changed[position] ^= 1 << bit
            with pytest.raises(UnreadableKey):
                vault.open(bytes(changed), SEAL_CONTEXT)


def test_a_shortened_or_lengthened_record_does_not_open(vault: Vault, record: bytes) -> None:
    for length in range(0, len(record), 5):
        with pytest.raises(UnreadableKey):
            vault.open(record[:length], SEAL_CONTEXT)
    for longer in (record + b"\0", record + record):
        with pytest.raises(UnreadableKey):
            vault.open(longer, SEAL_CONTEXT)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_unreadable_key(data: bytes) -> None:
    with pytest.raises(UnreadableKey):
        Vault(FakeMasterSecret(SECRET)).open(b"\x07" + data, SEAL_CONTEXT)
    with pytest.raises(UnreadableKey):
        # Version 2 without KMS, whatever follows.
        Vault(FakeMasterSecret(SECRET)).open(b"\x02" + data, SEAL_CONTEXT)


@pytest.mark.parametrize("work", [(15, 8, 1), (63, 8, 1), (14, 255, 255), (1, 8, 1), (0, 0, 0)])
def test_a_record_with_other_scrypt_parameters_is_refused(work: tuple[int, int, int]) -> None:
    sealing = Vault(FakeMasterSecret(SECRET))
    changed = bytearray(sealing.seal(CREDENTIALS, SEAL_CONTEXT).record)
    changed[9:12] = bytes(work)
    with pytest.raises(UnreadableKey, match="work"):
        sealing.open(bytes(changed), SEAL_CONTEXT)


def test_a_record_spliced_from_two_records_does_not_open(vault: Vault) -> None:
    first, second = (vault.seal(CREDENTIALS, SEAL_CONTEXT).record for _ in "12")
    for cut in (40, 76, 88, len(first) - 16):
        with pytest.raises(UnreadableKey):
            vault.open(first[:cut] + second[cut:], SEAL_CONTEXT)


def test_the_version_is_authenticated() -> None:
    assert additional_data(SEAL_CONTEXT, 1, KID) != additional_data(SEAL_CONTEXT, 2, KID)


# ---- choice of the master key ----------------------------------------------------------------------------------------


def test_the_newest_master_key_seals_and_older_ones_still_open() -> None:
    secret = FakeMasterSecret()
    sealing = Vault(secret)
    old = sealing.seal(CREDENTIALS, SEAL_CONTEXT)
    secret.current = secret.remembered = with_new_key(secret.current, NOW + timedelta(days=1))
    new = sealing.seal(CREDENTIALS, SEAL_CONTEXT)
    assert old.kid != new.kid
    assert new.kid == secret.current["keys"][0]["kid"]
    assert sealing.open(old.record, SEAL_CONTEXT) == sealing.open(new.record, SEAL_CONTEXT) == CREDENTIALS
    assert sealing.outdated_kids() == (old.kid,)


def test_an_unknown_master_key_is_looked_up_before_a_record_is_refused() -> None:
    secret = FakeMasterSecret()
    reading, sealing = Vault(secret), Vault(secret)
    reading.seal(CREDENTIALS, SEAL_CONTEXT)
    secret.current = with_new_key(secret.current, NOW)
    remembered, secret.remembered = secret.remembered, secret.current
    record = sealing.seal(CREDENTIALS, SEAL_CONTEXT).record
    secret.remembered = remembered
    assert reading.open(record, SEAL_CONTEXT) == CREDENTIALS
    assert secret.fresh_reads == 1


def test_a_record_without_its_master_key_is_refused_with_the_keys_id() -> None:
    record = Vault(FakeMasterSecret()).seal(CREDENTIALS, SEAL_CONTEXT)
    with pytest.raises(UnreadableKey, match=record.kid):
        Vault(FakeMasterSecret()).open(record.record, SEAL_CONTEXT)


def test_a_record_under_the_id_of_another_master_key_does_not_open() -> None:
    secret = FakeMasterSecret(with_new_key(new_master_keys(NOW), NOW))
    sealing = Vault(secret)
    record = sealing.seal(CREDENTIALS, SEAL_CONTEXT).record
    other = bytes.fromhex(secret.current["keys"][1]["kid"])
    with pytest.raises(UnreadableKey):
        sealing.open(record[:1] + other + record[9:], SEAL_CONTEXT)


def test_with_kms_old_records_still_open_and_are_all_outdated() -> None:
    secret = FakeMasterSecret(SECRET)
    old = Vault(secret).seal(CREDENTIALS, SEAL_CONTEXT)
    by_kms = Vault(secret, FakeDataKeys())
    assert by_kms.open(old.record, SEAL_CONTEXT) == CREDENTIALS
    assert by_kms.outdated_kids() == (old.kid,)
    new = by_kms.seal(CREDENTIALS, SEAL_CONTEXT)
    assert new.record[0] == 2
    with pytest.raises(UnreadableKey):
        Vault(secret).open(new.record, SEAL_CONTEXT)
    with pytest.raises(UnreadableKey):
        Vault(secret, FakeDataKeys(b"another\0")).open(new.record, SEAL_CONTEXT)


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"keys": [], "fingerprint_key": MASTER.hex()},
        {"keys": [{"kid": KID.hex(), "key": MASTER.hex()}]},
        *(
            {"keys": [{"kid": KID.hex(), "key": key}], "fingerprint_key": MASTER.hex()}
            for key in (
                "",
                MASTER[:31].hex(),
                (MASTER + b"x").hex(),
                "00" * 32,
                b"hunter2 hunter2 hunter2 hunter2!".hex(),
                "no hex",
            )
        ),
        {"keys": [{"kid": KID.hex()[:-2], "key": MASTER.hex()}], "fingerprint_key": MASTER.hex()},
        {"keys": [{"kid": KID.hex(), "key": MASTER.hex()}] * 2, "fingerprint_key": MASTER.hex()},
        {"keys": [{"kid": KID.hex(), "key": 7}], "fingerprint_key": MASTER.hex()},
    ],
)
def test_a_master_key_that_is_not_32_random_bytes_is_refused(secret: dict[str, Any]) -> None:
    with pytest.raises(InvalidMasterKey) as refused:
        parse_master_keys(secret)
    assert MASTER.hex() not in str(refused.value)
    assert refused.value.__cause__ is None
    with pytest.raises(InvalidMasterKey):
        Vault(FakeMasterSecret(secret)).seal(CREDENTIALS, SEAL_CONTEXT)


# ---- cached keys -----------------------------------------------------------------------------------------------------


@pytest.fixture
def counted() -> tuple[FakeDataKeys, list[float], Vault]:
    """KMS, which counts its calls, the time of the vault's clock in seconds, and the vault."""
    seconds = [0.0]
    keys = FakeDataKeys()
    return keys, seconds, Vault(FakeMasterSecret(SECRET), keys, seconds=lambda: seconds[0])


def test_a_derived_key_is_remembered_for_five_minutes(counted: tuple[FakeDataKeys, list[float], Vault]) -> None:
    keys, seconds, vault = counted
    record = vault.seal(CREDENTIALS, SEAL_CONTEXT).record
    for at, opened in ((0.0, 1), (CACHED_SECONDS - 1, 1), (CACHED_SECONDS, 2), (CACHED_SECONDS + 1, 2)):
        seconds[0] = at
        vault.open(record, SEAL_CONTEXT)
        assert keys.opened == opened
    assert CACHED_SECONDS == 300


def test_no_more_than_256_derived_keys_are_remembered(counted: tuple[FakeDataKeys, list[float], Vault]) -> None:
    keys, _, vault = counted
    records = [vault.seal(CREDENTIALS, SEAL_CONTEXT).record for _ in range(CACHED_KEYS_MAX + 1)]
    for record in records:
        vault.open(record, SEAL_CONTEXT)
    opened = keys.opened
    vault.open(records[-1], SEAL_CONTEXT)
    assert keys.opened == opened
    vault.open(records[0], SEAL_CONTEXT)
    assert keys.opened == opened + 1
    assert CACHED_KEYS_MAX == 256


def test_a_cached_key_does_not_open_a_record_in_another_context(vault: Vault, record: bytes) -> None:
    assert vault.open(record, SEAL_CONTEXT) == CREDENTIALS
    with pytest.raises(UnreadableKey):
        vault.open(record, OTHER_PLACES[0])


def test_a_fingerprint_is_keyed_and_deterministic() -> None:
    one, other = Vault(FakeMasterSecret(SECRET)), Vault(FakeMasterSecret())
    assert one.fingerprint(CANARY) == one.fingerprint(CANARY) != other.fingerprint(CANARY)
    assert hashlib.sha256(CANARY.encode()).hexdigest() != one.fingerprint(CANARY)


def test_a_fingerprint_is_unchanged_by_a_rotation() -> None:
    secret = FakeMasterSecret()
    before = Vault(secret).fingerprint("x")
    secret.current = secret.remembered = with_new_key(secret.current, NOW)
    assert Vault(secret).fingerprint("x") == before


def test_a_records_parts_round_trip(vault: Vault, record: bytes) -> None:
    assert unpack(record).pack() == record
