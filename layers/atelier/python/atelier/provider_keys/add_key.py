"""Add a workspace's own provider key: validate, encrypt and store it. A repeated request returns the same key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed
from atelier.idempotency import IdempotencyKeys
from atelier.ids import new_id
from atelier.provider_keys.model import (
    CUSTOM,
    KEYS_PER_WORKSPACE_MAX,
    KeyNameTaken,
    KeyRemoved,
    ProviderCredentials,
    ProviderKey,
    SealContext,
    TooManyKeys,
    last_four,
)
from atelier.provider_keys.ports import KeyExists, OwnRouteMarks, ProviderKeys
from atelier.provider_keys.vault import Vault

# The namespace of the idempotency keys of this request.
IDEMPOTENCY_SCOPE = "api-keys"
KEY_CHARACTERS_MIN, KEY_CHARACTERS_MAX = 8, 512
PRINTABLE = re.compile(r"[!-~]+")
URL_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class NewKey:
    """The key that an authenticated caller adds. `idempotency_key`: from the request, None = none."""

    workspace_id: str
    user_id: str
    provider: str
    name: str
    credentials: ProviderCredentials
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class AddedKey:
    """The stored key, and whether this request had been served before."""

    key: ProviderKey
    replayed: bool


def add_key(
    new: NewKey,
    *,
    keys: ProviderKeys,
    wallets: OwnRouteMarks,
    vault: Vault,
    idempotency_keys: IdempotencyKeys,
    is_allowed_url: Callable[[str], bool],
    origin: Origin,
    now: datetime,
) -> AddedKey:
    """Store one key, or raise and store nothing. is_allowed_url: whether a base URL leads to a public internet address,
    or to one that this machine allows. Raises ValidationFailed, Conflict, IdempotencyMismatch."""
    credentials = _validate(new, is_allowed_url)
    key_id = new_id("key", now)
    if new.idempotency_key is not None:
        # The stored fingerprint identifies the request, but reveals nothing of the secret key in it.
        key_id = idempotency_keys.reserve(
            new.workspace_id,
            f"{IDEMPOTENCY_SCOPE} {new.idempotency_key}",
            vault.fingerprint(_fingerprint_text(new)),
            key_id,
        )
        try:
            return AddedKey(keys.get(new.workspace_id, key_id), replayed=True)
        except NotFound:
            pass

    sealed = vault.seal(credentials, SealContext(new.workspace_id, new.provider, key_id))
    key = ProviderKey(
        id=key_id,
        workspace_id=new.workspace_id,
        user_id=new.user_id,
        provider=new.provider,
        name=new.name,
        last_four=last_four(credentials.key),
        record=sealed.record,
        sealed_by=sealed.kid,
        created_at=now,
        base_url=credentials.base_url,
        models=credentials.models,
    )

    # The wallet is marked first: submissions look for own keys only in marked workspaces, so the key would stay unused.
    wallets.mark_own_routes(new.workspace_id)
    facts: dict[str, Any] = {
        "provider": key.provider,
        "name": key.name,
        "last_four": key.last_four,
        "base_url": key.base_url,
    }
    added = audit_event(key.workspace_id, "key.added", origin, now, target=key.id, **facts)
    try:
        keys.add(key, [added])
    except KeyExists:
        # A parallel request with the same Idempotency-Key.
        return AddedKey(keys.get(new.workspace_id, key_id), replayed=True)
    except KeyRemoved:
        raise Conflict("The key that this request made has been removed.") from None
    except KeyNameTaken:
        raise Conflict(f"There is a key named {new.name} for {new.provider}.") from None
    except TooManyKeys:
        raise Conflict(f"A workspace has at most {KEYS_PER_WORKSPACE_MAX} keys.") from None
    return AddedKey(key, replayed=False)


def _validate(new: NewKey, is_allowed_url: Callable[[str], bool]) -> ProviderCredentials:
    credentials, errors = new.credentials, dict[str, str]()
    # White space around a pasted key is cut off; an invisible character inside a key is a mistake or an attack.
    key = credentials.key.strip()
    if not KEY_CHARACTERS_MIN <= len(key) <= KEY_CHARACTERS_MAX:
        errors["key"] = f"must have {KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters"
    elif not PRINTABLE.fullmatch(key):
        errors["key"] = "must be printable ASCII characters without spaces"

    if new.provider != CUSTOM:
        if credentials.base_url is not None:
            errors["base_url"] = "only a custom provider has one"
        if credentials.models:
            errors["models"] = "only a custom provider has them"
    else:
        refusal = _url_error(credentials.base_url, is_allowed_url)
        if refusal:
            errors["base_url"] = refusal
        if not credentials.models:
            errors["models"] = "a custom provider serves at least one model"
        elif len({model.name for model in credentials.models}) < len(credentials.models):
            errors["models"] = "two models have one name"

    if errors:
        raise ValidationFailed([{"path": path, "message": message} for path, message in errors.items()])
    base_url = credentials.base_url.rstrip("/") if credentials.base_url else None
    return ProviderCredentials(key, base_url, credentials.webhook_secret, credentials.models)


def _url_error(url: str | None, is_allowed_url: Callable[[str], bool]) -> str | None:
    if url is None:
        return "a custom provider needs one"
    if len(url) > URL_CHARACTERS_MAX or not PRINTABLE.fullmatch(url):
        return f"must be a URL of at most {URL_CHARACTERS_MAX} printable characters"
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return "must be a URL"
    if not has_host or parts.query or parts.fragment or parts.username is not None or "?" in url or "#" in url:
        return "must be scheme, host and path alone"
    if not is_allowed_url(url):
        return "must be an https address in the internet"
    return None


def _fingerprint_text(new: NewKey) -> str:
    given = new.credentials
    models = [[model.name, model.kind] for model in given.models]
    return json.dumps([new.provider, new.name, given.key, given.base_url, given.webhook_secret, models])
