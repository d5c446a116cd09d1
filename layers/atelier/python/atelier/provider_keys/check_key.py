"""Test whether the provider accepts a key, by a call that costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import ProviderFailed, RateLimited
from atelier.provider_keys.decrypt import decrypt_key
from atelier.provider_keys.model import TEST_INTERVAL_MIN, KeyTest, ProviderCredentials
from atelier.provider_keys.ports import ProviderKeys
from atelier.provider_keys.vault import Vault
from atelier.provider_port import Provider


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The result of a test, and the provider's own message for a refusal, which is safe to show; None = accepted."""

    test: KeyTest
    message: str | None


def check_key(
    workspace_id: str,
    key_id: str,
    *,
    keys: ProviderKeys,
    vault: Vault,
    adapter: Callable[[str, ProviderCredentials], Provider],
    now: datetime,
) -> KeyCheck:
    """Test one key and store the result. Raises NotFound, RateLimited, ProviderFailed, UnreadableKey."""
    key = keys.get(workspace_id, key_id)
    if key.last_test is not None and now - key.last_test.at < TEST_INTERVAL_MIN:
        raise RateLimited(limit=1, retry_after_seconds=int(TEST_INTERVAL_MIN.total_seconds()))
    credentials = decrypt_key(workspace_id, key.provider, key_id, keys=keys, vault=vault, now=now)
    try:
        failure = adapter(key.provider, credentials).check()
    except Exception as error:
        # Adapters return expected failures as values. An unexpected exception may contain anything, even the key, so
        # its text is not shown.
        raise ProviderFailed(f"The provider could not be reached ({type(error).__name__}).") from None
    test = KeyTest(now, failure.error_class.value if failure else None)
    keys.record_test(workspace_id, key_id, test)
    message = failure.message.replace(credentials.key, "…") if failure else None
    return KeyCheck(test, message)
