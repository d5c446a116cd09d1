"""The signature of a manifest: ES256 by a key that the deployment makes once, in a form that other programs check:

    openssl dgst -sha256 -verify public_key.pem -signature manifest.sig manifest.json

The public key beside a manifest says nothing by itself: it has to be the deployment's (`known`), or one that was noted
before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atelier.dataclass import dataclass
from atelier.identity.signing import from_base64url


class SignatureInvalid(Exception):
    """The manifest is not what was signed, or not signed by a key that counts."""


@dataclass(frozen=True, slots=True)
class ManifestSignature:
    """A signature (DER), and the public key (PEM) by which it can be checked."""

    signature: bytes
    public_key: bytes


def sign_manifest(key: Mapping[str, str], manifest: bytes) -> ManifestSignature:
    """Sign a manifest. key: a private JWK of `identity/signing.py`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.derive_private_key(int.from_bytes(from_base64url(key["d"]), "big"), ec.SECP256R1())
    return ManifestSignature(private.sign(manifest, ec.ECDSA(hashes.SHA256())), public_pem(key))


def public_pem(key: Mapping[str, str]) -> bytes:
    """The public key of a JWK as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    x, y = (int.from_bytes(from_base64url(key[name]), "big") for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def check_manifest(manifest: bytes, signed: ManifestSignature, known: Sequence[bytes] | None) -> None:
    """Check a manifest's signature. known: the public keys (PEM) that count; None = whatever lies beside it. Raises
    SignatureInvalid."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if known is not None and signed.public_key not in known:
        raise SignatureInvalid("the manifest is signed by a key that is not this deployment's")
    try:
        key: Any = serialization.load_pem_public_key(signed.public_key)
        key.verify(signed.signature, manifest, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, TypeError, AttributeError) as error:
        raise SignatureInvalid("the manifest is not what was signed") from error
