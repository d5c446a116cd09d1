"""The binary format of a stored secret: AES-256-GCM, every part of a known length, in one of two versions.

    1 │ kid 8 │ log2 N 1 │ r 1 │ p 1 │ salt 64 │ iv 12 │ ciphertext │ tag 16      key = scrypt(master key `kid`, salt)
    2 │ kid 8 │ length 2 │ wrapped data key │ iv 12 │ ciphertext │ tag 16         key = a data key of the KMS key `kid`

Version, workspace, provider, record id and kid are authenticated beside the secret, so a record that was changed, or
moved to another key, does not open.
"""

from __future__ import annotations

import struct

from atelier.dataclass import dataclass
from atelier.provider_keys.model import SealContext, UnreadableKey

SCRYPT, KMS = 1, 2
KID_BYTES, SALT_BYTES, IV_BYTES, TAG_BYTES, KEY_BYTES = 8, 64, 12, 16, 32
WRAPPED_BYTES_MAX = 1024
_SCRYPT_HEAD = struct.Struct(f">B{KID_BYTES}sBBB{SALT_BYTES}s{IV_BYTES}s")
_KMS_HEAD = struct.Struct(f">B{KID_BYTES}sH")


@dataclass(frozen=True, slots=True)
class ScryptParameters:
    """scrypt's parameters (RFC 7914): 2^log2_n rounds of 128·r bytes, p times."""

    log2_n: int
    r: int
    p: int


@dataclass(frozen=True, slots=True)
class ScryptRecord:
    """Version 1. `sealed` is ciphertext and tag."""

    kid: bytes
    parameters: ScryptParameters
    salt: bytes
    iv: bytes
    sealed: bytes
    version = SCRYPT

    def pack(self) -> bytes:
        """Its bytes."""
        parameters = self.parameters
        return (
            _SCRYPT_HEAD.pack(SCRYPT, self.kid, parameters.log2_n, parameters.r, parameters.p, self.salt, self.iv)
            + self.sealed
        )


@dataclass(frozen=True, slots=True)
class KmsRecord:
    """Version 2. `wrapped` is the data key, encrypted by KMS. `sealed` is ciphertext and tag."""

    kid: bytes
    wrapped: bytes
    iv: bytes
    sealed: bytes
    version = KMS

    def pack(self) -> bytes:
        """Its bytes."""
        return _KMS_HEAD.pack(KMS, self.kid, len(self.wrapped)) + self.wrapped + self.iv + self.sealed


def unpack(data: bytes) -> ScryptRecord | KmsRecord:
    """Parse a record from its bytes; raises UnreadableKey."""
    version = data[0] if data else 0
    try:
        if version == SCRYPT:
            _, kid, log2_n, r, p, salt, iv = _SCRYPT_HEAD.unpack_from(data)
            record = ScryptRecord(kid, ScryptParameters(log2_n, r, p), salt, iv, data[_SCRYPT_HEAD.size :])
        elif version == KMS:
            _, kid, length = _KMS_HEAD.unpack_from(data)
            rest = data[_KMS_HEAD.size :]
            iv = rest[length : length + IV_BYTES]
            record = KmsRecord(kid, rest[:length], iv, rest[length + IV_BYTES :])
        else:
            raise UnreadableKey(f"a sealed key of unknown version {version}")
    except struct.error as error:
        raise UnreadableKey("a sealed key is too short") from error
    if len(record.sealed) <= TAG_BYTES:
        raise UnreadableKey("a sealed key is too short")
    return record


def encryption_context(seal_context: SealContext, version: int, kid: bytes) -> dict[str, str]:
    """The facts that a record is bound to, by name: the encryption context for KMS."""
    return {
        "version": str(version),
        "workspace": seal_context.workspace_id,
        "provider": seal_context.provider,
        "record": seal_context.key_id,
        "kid": kid.hex(),
    }


def additional_data(seal_context: SealContext, version: int, kid: bytes) -> bytes:
    """The same facts as additional authenticated data for GCM; they are ids, none of which contains the separator."""
    return "\0".join(encryption_context(seal_context, version, kid).values()).encode()


def encrypt(key: bytes, iv: bytes, secret: bytes, authenticated: bytes) -> bytes:
    """Encrypt with AES-256-GCM; returns ciphertext and tag. `bound`: additional authenticated data."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).encrypt(iv, secret, authenticated)


def decrypt(key: bytes, iv: bytes, ciphertext: bytes, authenticated: bytes) -> bytes:
    """Decrypt and authenticate; raises UnreadableKey."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(iv, ciphertext, authenticated)
    except InvalidTag as error:
        raise UnreadableKey("a sealed key was changed, or is not at its place") from error
