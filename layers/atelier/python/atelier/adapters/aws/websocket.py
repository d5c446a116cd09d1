"""The gateway's connections: messages to clients, and the end of a connection."""

from __future__ import annotations

from functools import cache
from typing import Any

from atelier.adapters.aws.clients import session
from atelier.realtime.ports import ConnectionGone
from atelier.telemetry import logger

# A client that takes longer is disconnected: it comes back and misses nothing, but nobody waits for it.
CONNECT_SECONDS, READ_SECONDS = 1, 3
CONNECTIONS_OF_CLIENT = 64


class GatewayConnections:
    """Messenger on API Gateway. url: of the WebSocket API's stage, with https; endpoint_url: of an emulator, where the
    stage is a path; empty = AWS's own."""

    def __init__(self, url: str, endpoint_url: str) -> None:
        self._client = _management_client(_endpoint(url, endpoint_url))

    def post(self, connection_id: str, message: bytes) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=message)
        except (BotoCoreError, ClientError) as error:
            logger.info("connection gone", extra={"connection_id": connection_id, "reason": type(error).__name__})
            raise ConnectionGone from error

    def close(self, connection_id: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.delete_connection(ConnectionId=connection_id)
        except (BotoCoreError, ClientError):
            # It is gone already; or it ends by the gateway's limit of time.
            return


def _endpoint(url: str, endpoint_url: str) -> str:
    if not endpoint_url:
        return url
    host, _, stage = url.removeprefix("https://").partition("/")
    return f"{endpoint_url}/_aws/execute-api/{host.partition('.')[0]}/{stage}"


@cache
def _management_client(endpoint: str) -> Any:
    import botocore.config

    config = botocore.config.Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=CONNECTIONS_OF_CLIENT,
    )
    return session().create_client("apigatewaymanagementapi", endpoint_url=endpoint, config=config)
