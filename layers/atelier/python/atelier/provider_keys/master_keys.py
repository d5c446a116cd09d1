"""The secret for sealing without KMS: master keys by id, newest first. The newest one seals; every one of them opens.

    {"keys": [{"kid": 16 hex digits, "key": 64 hex digits, "made_at": …}, …], "fingerprint_key": 64 hex digits}

`fingerprint_key` never changes: its fingerprints show whether two requests carry the same key, without storing the key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.provider_keys.envelope import KEY_BYTES, KID_BYTES

# Of 32 random bytes, fewer than this are distinct only once in 10^13 keys, so a key below it was not made at random:
# for example, a person typed it.
DISTINCT_BYTES_MIN = 18


class InvalidMasterKey(Exception):
    """The master secret contains a key that is not 32 random bytes, or cannot be read. The message does not show it."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key and its id."""

    kid: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """All master keys, newest first; at least one."""

    keys: tuple[MasterKey, ...]
    fingerprint_key: bytes = field(repr=False)

    @property
    def newest(self) -> MasterKey:
        """The key that seals."""
        return self.keys[0]

    def by_kid(self, kid: bytes) -> MasterKey | None:
        """The key with this id, or None."""
        return next((key for key in self.keys if key.kid == kid), None)

    def fingerprint(self, text: str) -> str:
        """An HMAC of a text, in hex: without this secret it reveals nothing of the text."""
        return hmac.new(self.fingerprint_key, text.encode(), hashlib.sha256).hexdigest()


def parse_master_keys(secret: Mapping[str, Any]) -> MasterKeys:
    """The keys in a secret's JSON. Raises MasterKeyRefused."""
    try:
        keys = tuple(MasterKey(bytes.fromhex(key["kid"]), bytes.fromhex(key["key"])) for key in secret["keys"])
        fingerprint_key = bytes.fromhex(secret["fingerprint_key"])
    except (KeyError, TypeError, ValueError) as error:
        # The cause would carry the text that could not be read.
        raise InvalidMasterKey(f"the master secret cannot be read: {type(error).__name__}") from None
    if not keys:
        raise InvalidMasterKey("the master secret holds no key")
    for key in (*(key.key for key in keys), fingerprint_key):
        _check_random(key)
    if {len(key.kid) for key in keys} != {KID_BYTES}:
        raise InvalidMasterKey(f"the id of a master key is {KID_BYTES} bytes")
    if len({key.kid for key in keys}) < len(keys):
        raise InvalidMasterKey("two master keys have one id")
    return MasterKeys(keys, fingerprint_key)


def new_master_keys(now: datetime) -> dict[str, Any]:
    """The JSON of a secret with one new key."""
    return {"keys": [_new_key(now)], "fingerprint_key": secrets.token_hex(KEY_BYTES)}


def with_new_key(secret: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The secret with a new key, which seals from now on. Old keys stay: records may still be sealed by them."""
    return {**secret, "keys": [_new_key(now), *secret["keys"]]}


def _new_key(now: datetime) -> dict[str, str]:
    return {"kid": secrets.token_hex(KID_BYTES), "key": secrets.token_hex(KEY_BYTES), "made_at": rfc3339(now)}


def _check_random(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise InvalidMasterKey(f"a master key is {KEY_BYTES} bytes, not {len(key)}")
    if len(set(key)) < DISTINCT_BYTES_MIN:
        raise InvalidMasterKey("a master key is random; this one is not")
