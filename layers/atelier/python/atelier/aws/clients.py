"""SDK clients, one per service and process, made when first used: a cold start pays only for what it calls."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient


@cache
def client(service: str) -> Any:
    """A low-level client with short time-outs and bounded retries. Endpoint and region come from the environment."""
    import botocore.config
    import botocore.session

    config = botocore.config.Config(
        connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"}
    )
    made: BaseClient = botocore.session.get_session().create_client(service, config=config)
    return made
