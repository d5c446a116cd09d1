"""SDK clients, one per service and process, made when first used: a cold start pays only for what it calls."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session


@cache
def session() -> Session:
    """The process's one session: every further one would read botocore's data again, some 70 ms of a cold start."""
    import botocore.session

    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """A low-level client with short time-outs and bounded retries. Endpoint and region come from the environment."""
    import botocore.config

    config = botocore.config.Config(
        connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"}
    )
    made: BaseClient = session().create_client(service, config=config)
    return made
