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

from atelier.credentials.master_keys import MasterKeyRefused, new_master_keys, parse, rotated
from atelier.credentials.model import Credentials, Place, Served, UnreadableKey
from atelier.credentials.record import bound_to, decrypt, encrypt, unpacked
from atelier.credentials.vault import REMEMBERED_MAX, REMEMBERED_SECONDS, Vault
from tests.unit.credentials.fakes import CANARY, CREDENTIALS, NOW, PLACE, HeldDataKeys, HeldSecret

KID = bytes.fromhex("0011223344556677")
MASTER = bytes(range(32))
SECRET = {"keys": [{"kid": KID.hex(), "key": MASTER.hex()}], "fingerprint_key": bytes(range(32, 64)).hex()}
OTHER_PLACES = [
    replace(PLACE, workspace_id="wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"),
    replace(PLACE, provider="anthropic"),
    replace(PLACE, key_id="key_01M7XCN60QZZZZZZZZZZZZZZZZ"),
]


@pytest.fixture(scope="module", params=["master keys", "KMS"])
def vault(request: pytest.FixtureRequest) -> Vault:
    return Vault(HeldSecret(SECRET), HeldDataKeys() if request.param == "KMS" else None)


@pytest.fixture(scope="module")
def record(vault: Vault) -> bytes:
    return vault.seal(CREDENTIALS, PLACE).record


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


def test_a_record_is_what_another_implementation_reads_byte_for_byte() -> None:
    record = Vault(HeldSecret(SECRET)).seal(CREDENTIALS, PLACE).record
    version, kid, work = record[0], record[1:9], tuple(record[9:12])
    salt, iv, sealed, tag = record[12:76], record[76:88], record[88:-16], record[-16:]
    assert (version, kid, work) == (1, KID, (14, 8, 1))
    derived = Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(MASTER)
    reader = Cipher(algorithms.AES(derived), modes.GCM(iv, tag)).decryptor()
    reader.authenticate_additional_data(
        f"1\0{PLACE.workspace_id}\0{PLACE.provider}\0{PLACE.key_id}\0{KID.hex()}".encode()
    )
    assert json.loads(reader.update(sealed) + reader.finalize()) == {"key": CANARY}


def test_no_two_records_share_salt_or_iv() -> None:
    sealing = Vault(HeldSecret(SECRET))
    records = [sealing.seal(CREDENTIALS, PLACE).record for _ in range(8)]
    assert len({record[12:76] for record in records}) == len({record[76:88] for record in records}) == len(records)


# ---- opening ---------------------------------------------------------------------------------------------------------


def test_what_was_sealed_opens_whole(vault: Vault) -> None:
    everything = Credentials(CANARY, "https://models.example.com/v1", "whsec_abc", (Served("llama", "text"),))
    for credentials in (CREDENTIALS, everything):
        assert vault.open(vault.seal(credentials, PLACE).record, PLACE) == credentials


def test_a_sealed_key_shows_nothing_of_itself(vault: Vault, record: bytes) -> None:
    assert CANARY.encode() not in record
    assert CANARY[-4:].encode() not in record
    assert CANARY not in repr(CREDENTIALS)


@pytest.mark.parametrize("place", OTHER_PLACES, ids=["workspace", "provider", "record"])
def test_a_record_at_another_place_does_not_open(vault: Vault, record: bytes, place: Place) -> None:
    with pytest.raises(UnreadableKey):
        vault.open(record, place)


def test_no_single_bit_of_a_record_can_be_changed(vault: Vault, record: bytes) -> None:
    # A change before the IV needs another key derivation of 50 ms, so there one bit of every byte is tried.
    for position in range(len(record)):
        for bit in range(8) if position >= len(record) - 48 else (position % 8,):
            changed = bytearray(record)
            changed[position] ^= 1 << bit
            with pytest.raises(UnreadableKey):
                vault.open(bytes(changed), PLACE)


def test_a_shortened_or_lengthened_record_does_not_open(vault: Vault, record: bytes) -> None:
    for length in range(0, len(record), 5):
        with pytest.raises(UnreadableKey):
            vault.open(record[:length], PLACE)
    for longer in (record + b"\0", record + record):
        with pytest.raises(UnreadableKey):
            vault.open(longer, PLACE)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_refused_in_words_of_ours(data: bytes) -> None:
    with pytest.raises(UnreadableKey):
        Vault(HeldSecret(SECRET)).open(b"\x07" + data, PLACE)
    with pytest.raises(UnreadableKey):
        # Version 2 without KMS, whatever follows.
        Vault(HeldSecret(SECRET)).open(b"\x02" + data, PLACE)


@pytest.mark.parametrize("work", [(15, 8, 1), (63, 8, 1), (14, 255, 255), (1, 8, 1), (0, 0, 0)])
def test_a_record_cannot_ask_for_more_or_less_work(work: tuple[int, int, int]) -> None:
    sealing = Vault(HeldSecret(SECRET))
    changed = bytearray(sealing.seal(CREDENTIALS, PLACE).record)
    changed[9:12] = bytes(work)
    with pytest.raises(UnreadableKey, match="work"):
        sealing.open(bytes(changed), PLACE)


def test_swapping_parts_of_two_records_opens_neither(vault: Vault) -> None:
    first, second = (vault.seal(CREDENTIALS, PLACE).record for _ in "12")
    for cut in (40, 76, 88, len(first) - 16):
        with pytest.raises(UnreadableKey):
            vault.open(first[:cut] + second[cut:], PLACE)


def test_the_version_is_authenticated() -> None:
    assert bound_to(PLACE, 1, KID) != bound_to(PLACE, 2, KID)


# ---- choice of the master key ----------------------------------------------------------------------------------------


def test_the_newest_master_key_seals_and_all_open() -> None:
    secret = HeldSecret()
    sealing = Vault(secret)
    old = sealing.seal(CREDENTIALS, PLACE)
    secret.current = secret.remembered = rotated(secret.current, NOW + timedelta(days=1))
    new = sealing.seal(CREDENTIALS, PLACE)
    assert old.by != new.by
    assert new.by == secret.current["keys"][0]["kid"]
    assert sealing.open(old.record, PLACE) == sealing.open(new.record, PLACE) == CREDENTIALS
    assert sealing.outdated() == (old.by,)


def test_a_key_that_another_process_made_is_read_before_it_is_missed() -> None:
    secret = HeldSecret()
    reading, sealing = Vault(secret), Vault(secret)
    reading.seal(CREDENTIALS, PLACE)
    secret.current = rotated(secret.current, NOW)
    remembered, secret.remembered = secret.remembered, secret.current
    record = sealing.seal(CREDENTIALS, PLACE).record
    secret.remembered = remembered
    assert reading.open(record, PLACE) == CREDENTIALS
    assert secret.fresh_reads == 1


def test_a_record_whose_master_key_is_gone_is_refused_by_its_id() -> None:
    record = Vault(HeldSecret()).seal(CREDENTIALS, PLACE)
    with pytest.raises(UnreadableKey, match=record.by):
        Vault(HeldSecret()).open(record.record, PLACE)


def test_a_record_under_the_id_of_another_master_key_does_not_open() -> None:
    secret = HeldSecret(rotated(new_master_keys(NOW), NOW))
    sealing = Vault(secret)
    record = sealing.seal(CREDENTIALS, PLACE).record
    other = bytes.fromhex(secret.current["keys"][1]["kid"])
    with pytest.raises(UnreadableKey):
        sealing.open(record[:1] + other + record[9:], PLACE)


def test_with_kms_old_records_still_open_and_are_all_outdated() -> None:
    secret = HeldSecret(SECRET)
    old = Vault(secret).seal(CREDENTIALS, PLACE)
    by_kms = Vault(secret, HeldDataKeys())
    assert by_kms.open(old.record, PLACE) == CREDENTIALS
    assert by_kms.outdated() == (old.by,)
    new = by_kms.seal(CREDENTIALS, PLACE)
    assert new.record[0] == 2
    with pytest.raises(UnreadableKey):
        Vault(secret).open(new.record, PLACE)
    with pytest.raises(UnreadableKey):
        Vault(secret, HeldDataKeys(b"another\0")).open(new.record, PLACE)


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
    with pytest.raises(MasterKeyRefused) as refused:
        parse(secret)
    assert MASTER.hex() not in str(refused.value)
    assert refused.value.__cause__ is None
    with pytest.raises(MasterKeyRefused):
        Vault(HeldSecret(secret)).seal(CREDENTIALS, PLACE)


# ---- cached keys -----------------------------------------------------------------------------------------------------


@pytest.fixture
def counted() -> tuple[HeldDataKeys, list[float], Vault]:
    """KMS, which counts its calls, the time of the vault's clock in seconds, and the vault."""
    seconds = [0.0]
    keys = HeldDataKeys()
    return keys, seconds, Vault(HeldSecret(SECRET), keys, seconds=lambda: seconds[0])


def test_a_derived_key_is_remembered_for_five_minutes(counted: tuple[HeldDataKeys, list[float], Vault]) -> None:
    keys, seconds, vault = counted
    record = vault.seal(CREDENTIALS, PLACE).record
    for at, opened in ((0.0, 1), (REMEMBERED_SECONDS - 1, 1), (REMEMBERED_SECONDS, 2), (REMEMBERED_SECONDS + 1, 2)):
        seconds[0] = at
        vault.open(record, PLACE)
        assert keys.opened == opened
    assert REMEMBERED_SECONDS == 300


def test_no_more_than_256_derived_keys_are_remembered(counted: tuple[HeldDataKeys, list[float], Vault]) -> None:
    keys, _, vault = counted
    records = [vault.seal(CREDENTIALS, PLACE).record for _ in range(REMEMBERED_MAX + 1)]
    for record in records:
        vault.open(record, PLACE)
    opened = keys.opened
    vault.open(records[-1], PLACE)
    assert keys.opened == opened
    vault.open(records[0], PLACE)
    assert keys.opened == opened + 1
    assert REMEMBERED_MAX == 256


def test_what_is_remembered_is_not_enough_at_another_place(vault: Vault, record: bytes) -> None:
    assert vault.open(record, PLACE) == CREDENTIALS
    with pytest.raises(UnreadableKey):
        vault.open(record, OTHER_PLACES[0])


def test_a_fingerprint_names_a_text_and_tells_nothing_of_it() -> None:
    one, other = Vault(HeldSecret(SECRET)), Vault(HeldSecret())
    assert one.fingerprint(CANARY) == one.fingerprint(CANARY) != other.fingerprint(CANARY)
    assert hashlib.sha256(CANARY.encode()).hexdigest() != one.fingerprint(CANARY)


def test_a_fingerprint_outlives_a_rotation() -> None:
    secret = HeldSecret()
    before = Vault(secret).fingerprint("x")
    secret.current = secret.remembered = rotated(secret.current, NOW)
    assert Vault(secret).fingerprint("x") == before


def test_the_parts_of_a_record_are_read_back_as_they_were_packed(vault: Vault, record: bytes) -> None:
    assert unpacked(record).packed() == record
