"""JSON secrets from Secrets Manager, cached in memory for some minutes; read at first use, never at import."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.telemetry import logger

CACHE_SECONDS = 300
# The least time between two reads with `fresh`. Without it anyone could cause a read per request, by an unknown key id.
FRESH_CACHE_SECONDS = 30


class Secret:
    """One secret with a JSON object; an empty secret reads as {}. name: its name or ARN. seconds: a monotonic clock."""

    def __init__(self, name: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._seconds = seconds
        self._value: dict[str, Any] | None = None
        self._requested_at = 0.0

    def value(self, *, fresh: bool = False) -> dict[str, Any]:
        """The secret's value, at most 5 minutes old, or 30 s when `fresh`. When reading fails, the older value is used;
        the error is raised only when there is none."""
        age_seconds = self._seconds() - self._requested_at
        if self._value is not None and age_seconds < (FRESH_CACHE_SECONDS if fresh else CACHE_SECONDS):
            return self._value
        self._requested_at = self._seconds()
        try:
            text: str = client("secretsmanager").get_secret_value(SecretId=self._name)["SecretString"]
        except Exception:
            if self._value is None:
                raise
            logger.warning("secret not read; its older value is used", exc_info=True)
            return self._value
        self._value = json.loads(text or "{}")
        return self._value or {}

    def key_set(self, *, fresh: bool = False) -> dict[str, Any]:
        """The port `KeySets` of identity."""
        return self.value(fresh=fresh)
