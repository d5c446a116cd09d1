"""The signing keys that the first deployment creates, composed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from atelier.adapters.aws import cloudformation
from atelier.adapters.aws.signing_keys import fill_if_empty, new_hmac_key, new_url_keys
from atelier.clock import system_clock
from atelier.identity.signing import new_key_set
from atelier.provider_keys.master_keys import new_master_keys
from atelier.settings import SigningSecrets

RESOURCE_ID = "signing-keys"


def answer(event: Mapping[str, Any]) -> None:
    """Answer CloudFormation's request about the custom resource."""
    cloudformation.answer(event, RESOURCE_ID, create)


def create() -> dict[str, str]:
    """Fill the secrets that are empty. Returns the public values for the template: {"MediaPublicKeyPem": …,
    "EdgeKeyDigest": …}."""
    names = SigningSecrets.read()
    fill_if_empty(names.identity, new_key_set)
    fill_if_empty(names.attempts, new_hmac_key)
    fill_if_empty(names.links, new_hmac_key)
    fill_if_empty(names.provider_keys, lambda: new_master_keys(system_clock()))
    fill_if_empty(names.backups, new_key_set)
    media = fill_if_empty(names.media, new_url_keys)
    edge = fill_if_empty(names.edge, new_hmac_key)
    digest = hashlib.sha256(str(edge["key"]).encode()).hexdigest()
    return {"MediaPublicKeyPem": str(media["public_key_pem"]), "EdgeKeyDigest": digest}
