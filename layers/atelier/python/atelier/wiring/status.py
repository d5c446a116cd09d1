"""Health and status, composed."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from atelier.settings import AttemptsQueue, LedgerTable
from atelier.wiring.prices import enabled_providers


def health() -> str:
    """`ok` when the store answers, else `unavailable`."""
    # Imported here, because the OpenAPI document and unknown routes are answered without a call to AWS.
    from atelier.adapters.aws.service_status import store_status

    return store_status(LedgerTable.read().name)


def report() -> dict[str, Any]:
    """The state of each service, provider and queue."""
    from atelier.adapters.aws.service_status import queue_depth

    store = health()
    return {
        "status": store,
        "services": {"store": store},
        "providers": [{"id": provider, "enabled": True} for provider in sorted(enabled_providers())],
        "queues": {"attempts": queue_depth(AttemptsQueue.read().url)},
    }


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI 3.1 document, written from the routes when the layer was built."""
    document: dict[str, Any] = json.loads(files("atelier").joinpath("openapi.json").read_text())
    return document
