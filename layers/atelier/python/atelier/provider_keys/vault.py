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

from atelier.dataclass import dataclass
from atelier.provider_keys.envelope import (
    IV_BYTES,
    KEY_BYTES,
    KMS,
    SALT_BYTES,
    SCRYPT,
    WRAPPED_BYTES_MAX,
    KmsRecord,
    ScryptParameters,
    ScryptRecord,
    additional_data,
    decrypt,
    encrypt,
    encryption_context,
    unpack,
)
from atelier.provider_keys.master_keys import MasterKeys, parse_master_keys
from atelier.provider_keys.model import CustomModel, ProviderCredentials, SealContext, UnreadableKey
from atelier.provider_keys.ports import DataKeys, MasterSecretReader

# 16 MiB and about 50 ms for each guess at a master key. A record with other parameters is refused: it could use up all
# memory.
SCRYPT_PARAMETERS = ScryptParameters(log2_n=14, r=8, p=1)
CACHED_KEYS_MAX = 256
CACHED_SECONDS = 300


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A record's bytes, and the id of the key that sealed it, in hex."""

    record: bytes
    kid: str


class Vault:
    """Seals and opens credentials. seconds: a monotonic clock. random: returns that many unpredictable bytes."""

    def __init__(
        self,
        master: MasterSecretReader,
        data_keys: DataKeys | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._master = master
        self._data_keys = data_keys
        self._random = random
        self._derived = _KeyCache(seconds)

    def seal(self, credentials: ProviderCredentials, seal_context: SealContext) -> SealedSecret:
        """Encrypt credentials, bound to one key record. Raises UnreadableKey, MasterKeyRefused."""
        secret, iv = _encode(credentials), self._random(IV_BYTES)
        if self._data_keys is not None:
            kid = self._data_keys.kid
            key, wrapped = self._data_keys.generate(encryption_context(seal_context, KMS, kid))
            if not 0 < len(wrapped) <= WRAPPED_BYTES_MAX:
                raise UnreadableKey("the wrapped data key has an impossible length")
            record = KmsRecord(kid, wrapped, iv, encrypt(key, iv, secret, additional_data(seal_context, KMS, kid)))
            return SealedSecret(record.pack(), kid.hex())
        master, salt = self.master_keys().newest, self._random(SALT_BYTES)
        key = self._derive_key(master.key, salt, SCRYPT_PARAMETERS)
        sealed = encrypt(key, iv, secret, additional_data(seal_context, SCRYPT, master.kid))
        return SealedSecret(ScryptRecord(master.kid, SCRYPT_PARAMETERS, salt, iv, sealed).pack(), master.kid.hex())

    def open(self, record: bytes, seal_context: SealContext) -> ProviderCredentials:
        """Decrypt a record. Raises UnreadableKey for a record that was changed, or that is bound to another key."""
        parts = unpack(record)
        key = (
            self._key_of_kms_record(parts, seal_context)
            if isinstance(parts, KmsRecord)
            else self._key_of_scrypt_record(parts)
        )
        return _decode(decrypt(key, parts.iv, parts.sealed, additional_data(seal_context, parts.version, parts.kid)))

    def outdated_kids(self) -> tuple[str, ...]:
        """The ids, in hex, of keys that old records may be sealed with but new ones are not."""
        masters = self.master_keys(fresh=True).keys
        return tuple(key.kid.hex() for key in (masters if self._data_keys is not None else masters[1:]))

    def fingerprint(self, text: str) -> str:
        """A fingerprint of a text, which reveals nothing of the text."""
        return self.master_keys().fingerprint(text)

    def master_keys(self, *, fresh: bool = False) -> MasterKeys:
        """The master keys. Raises MasterKeyRefused."""
        return parse_master_keys(self._master.value(fresh=fresh))

    def _key_of_scrypt_record(self, record: ScryptRecord) -> bytes:
        if record.parameters != SCRYPT_PARAMETERS:
            raise UnreadableKey("a sealed key asks for work that is not ours")
        # Another process may have begun to seal with a new master key that this process has not read yet.
        master = self.master_keys().by_kid(record.kid) or self.master_keys(fresh=True).by_kid(record.kid)
        if master is None:
            raise UnreadableKey(f"a sealed key names the master key {record.kid.hex()}, which is not here")
        return self._derive_key(master.key, record.salt, record.parameters)

    def _derive_key(self, key: bytes, salt: bytes, parameters: ScryptParameters) -> bytes:
        n = 1 << parameters.log2_n
        # The cache key is a digest, so that the cache does not hold a second copy of the master key.
        return self._derived.get(
            hashlib.sha256(key + salt).digest(),
            lambda: hashlib.scrypt(
                key,
                salt=salt,
                n=n,
                r=parameters.r,
                p=parameters.p,
                maxmem=2 * 128 * n * parameters.r * parameters.p,
                dklen=KEY_BYTES,
            ),
        )

    def _key_of_kms_record(self, record: KmsRecord, seal_context: SealContext) -> bytes:
        data_keys = self._data_keys
        if data_keys is None or record.kid != data_keys.kid:
            raise UnreadableKey(f"a sealed key names the KMS key {record.kid.hex()}, which is not this deployment's")
        facts = encryption_context(seal_context, KMS, record.kid)
        name = hashlib.sha256(record.wrapped + additional_data(seal_context, KMS, record.kid)).digest()
        return self._derived.get(name, lambda: data_keys.unwrap(record.wrapped, facts))


class _KeyCache:
    """A cache of keys by name, for REMEMBERED_SECONDS each; beyond REMEMBERED_MAX the least recently used goes."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def get(self, name: bytes, make: Callable[[], bytes]) -> bytes:
        now = self._seconds()
        # The order is by last use and not by age, so every entry is checked; expired ones go even when used lately.
        for old in [kept for kept, (made, _) in self._kept.items() if now - made >= CACHED_SECONDS]:
            del self._kept[old]
        if name not in self._kept:
            self._kept[name] = now, make()
            if len(self._kept) > CACHED_KEYS_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name][1]


# The address of a custom endpoint is sealed together with its key: an attacker who can only write to the store cannot
# make us send the key to another address.
def _encode(credentials: ProviderCredentials) -> bytes:
    facts = {
        "key": credentials.key,
        "base_url": credentials.base_url,
        "webhook_secret": credentials.webhook_secret,
        "models": [[model.name, model.kind] for model in credentials.models],
    }
    return json.dumps({name: value for name, value in facts.items() if value}, separators=(",", ":")).encode()


def _decode(text: bytes) -> ProviderCredentials:
    facts = json.loads(text)
    models = tuple(CustomModel(name, kind) for name, kind in facts.get("models", ()))
    return ProviderCredentials(facts["key"], facts.get("base_url"), facts.get("webhook_secret"), models)
