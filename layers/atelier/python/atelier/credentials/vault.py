"""Seal (encrypt) and open credentials, by master keys (scrypt) or by KMS data keys. A deployment seals with one of the
two and opens records of both.

Derived and unwrapped keys are expensive to get, so a few of them are cached in memory for minutes, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from atelier.credentials.master_keys import MasterKeys, parse
from atelier.credentials.model import Credentials, Place, Served, UnreadableKey
from atelier.credentials.ports import DataKeys, MasterSecret
from atelier.credentials.record import (
    IV_BYTES,
    KEY_BYTES,
    KMS,
    SALT_BYTES,
    SCRYPT,
    WRAPPED_BYTES_MAX,
    KmsRecord,
    ScryptRecord,
    Work,
    bound_to,
    context,
    decrypt,
    encrypt,
    unpacked,
)

# 16 MiB and about 50 ms for each guess at a master key. A record with other parameters is refused: it could use up all
# memory.
WORK = Work(log2_n=14, r=8, p=1)
REMEMBERED_MAX = 256
REMEMBERED_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Sealed:
    """A record's bytes, and the id of the key that sealed it, in hex."""

    record: bytes
    by: str


class Vault:
    """Seals and opens credentials. seconds: a monotonic clock. random: returns that many unpredictable bytes."""

    def __init__(
        self,
        master: MasterSecret,
        data_keys: DataKeys | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._master = master
        self._data_keys = data_keys
        self._random = random
        self._derived = _KeyCache(seconds)

    def seal(self, credentials: Credentials, place: Place) -> Sealed:
        """Encrypt credentials, bound to one key record. Raises UnreadableKey, MasterKeyRefused."""
        secret, iv = _text(credentials), self._random(IV_BYTES)
        if self._data_keys is not None:
            kid = self._data_keys.kid
            key, wrapped = self._data_keys.new(context(place, KMS, kid))
            if not 0 < len(wrapped) <= WRAPPED_BYTES_MAX:
                raise UnreadableKey("the wrapped data key has an impossible length")
            record = KmsRecord(kid, wrapped, iv, encrypt(key, iv, secret, bound_to(place, KMS, kid)))
            return Sealed(record.packed(), kid.hex())
        master, salt = self.masters().newest, self._random(SALT_BYTES)
        key = self._derive_key(master.key, salt, WORK)
        sealed = encrypt(key, iv, secret, bound_to(place, SCRYPT, master.kid))
        return Sealed(ScryptRecord(master.kid, WORK, salt, iv, sealed).packed(), master.kid.hex())

    def open(self, record: bytes, place: Place) -> Credentials:
        """Decrypt a record. Raises UnreadableKey for a record that was changed, or that is bound to another key."""
        parts = unpacked(record)
        key = self._key_of_kms_record(parts, place) if isinstance(parts, KmsRecord) else self._key_of_scrypt_record(parts)
        return _decode(decrypt(key, parts.iv, parts.sealed, bound_to(place, parts.version, parts.kid)))

    def outdated(self) -> tuple[str, ...]:
        """The ids, in hex, of keys that old records may be sealed with but new ones are not."""
        masters = self.masters(fresh=True).keys
        return tuple(key.kid.hex() for key in (masters if self._data_keys is not None else masters[1:]))

    def fingerprint(self, text: str) -> str:
        """A fingerprint of a text, which reveals nothing of the text."""
        return self.masters().fingerprint(text)

    def masters(self, *, fresh: bool = False) -> MasterKeys:
        """The master keys. Raises MasterKeyRefused."""
        return parse(self._master.value(fresh=fresh))

    def _key_of_scrypt_record(self, record: ScryptRecord) -> bytes:
        if record.work != WORK:
            raise UnreadableKey("a sealed key asks for work that is not ours")
        # Another process may have begun to seal with a new master key that this process has not read yet.
        master = self.masters().named(record.kid) or self.masters(fresh=True).named(record.kid)
        if master is None:
            raise UnreadableKey(f"a sealed key names the master key {record.kid.hex()}, which is not here")
        return self._derive_key(master.key, record.salt, record.work)

    def _derive_key(self, key: bytes, salt: bytes, parameters: Work) -> bytes:
        n = 1 << parameters.log2_n
        # The cache key is a digest, so that the cache does not hold a second copy of the master key.
        return self._derived.get(
            hashlib.sha256(key + salt).digest(),
            lambda: hashlib.scrypt(
                key, salt=salt, n=n, r=parameters.r, p=parameters.p, maxmem=2 * 128 * n * parameters.r * parameters.p, dklen=KEY_BYTES
            ),
        )

    def _key_of_kms_record(self, record: KmsRecord, place: Place) -> bytes:
        data_keys = self._data_keys
        if data_keys is None or record.kid != data_keys.kid:
            raise UnreadableKey(f"a sealed key names the KMS key {record.kid.hex()}, which is not this deployment's")
        facts = context(place, KMS, record.kid)
        name = hashlib.sha256(record.wrapped + bound_to(place, KMS, record.kid)).digest()
        return self._derived.get(name, lambda: data_keys.unwrap(record.wrapped, facts))


class _KeyCache:
    """A cache of keys by name, for REMEMBERED_SECONDS each; beyond REMEMBERED_MAX the least recently used goes."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def get(self, name: bytes, make: Callable[[], bytes]) -> bytes:
        now = self._seconds()
        # The order is by last use and not by age, so every entry is checked; expired ones go even when used lately.
        for old in [kept for kept, (made, _) in self._kept.items() if now - made >= REMEMBERED_SECONDS]:
            del self._kept[old]
        if name not in self._kept:
            self._kept[name] = now, make()
            if len(self._kept) > REMEMBERED_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name][1]


# The address of a custom endpoint is sealed together with its key: an attacker who can only write to the store cannot
# make us send the key to another address.
def _text(credentials: Credentials) -> bytes:
    facts = {
        "key": credentials.key,
        "base_url": credentials.base_url,
        "webhook_secret": credentials.webhook_secret,
        "models": [[model.name, model.kind] for model in credentials.models],
    }
    return json.dumps({name: value for name, value in facts.items() if value}, separators=(",", ":")).encode()


def _decode(text: bytes) -> Credentials:
    facts = json.loads(text)
    models = tuple(Served(name, kind) for name, kind in facts.get("models", ()))
    return Credentials(facts["key"], facts.get("base_url"), facts.get("webhook_secret"), models)
