"""WebSocket connections through the local edge: messages go both ways, and either end closes the other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from yarl import URL

# API Gateway's limit of a message. A client that reads nothing for so many seconds is disconnected.
MESSAGE_BYTES_MAX = 128 * 1024
SEND_SECONDS_MAX = 10.0
Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


class HandshakeRefused(Exception):
    """The API did not take the connection."""


async def forward_socket(
    request: web.BaseRequest, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str]
) -> web.WebSocketResponse:
    """Connects the client to the WebSocket API at `url`, until one of them ends the connection. Raises
    HandshakeRefused, and aiohttp.ClientError when the API does not answer."""
    try:
        api = await session.ws_connect(URL(url, encoded=True), headers=headers, max_msg_size=MESSAGE_BYTES_MAX)
    except aiohttp.WSServerHandshakeError as error:
        raise HandshakeRefused from error
    async with api:
        client = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES_MAX)
        await client.prepare(request)
        ways = [asyncio.create_task(_pass_on(client, api)), asyncio.create_task(_pass_on(api, client))]
        _, open_ways = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in open_ways:
            way.cancel()
        await client.close(code=api.close_code or aiohttp.WSCloseCode.OK)
        return client


async def _pass_on(source: Socket, target: Socket) -> None:
    async for message in source:
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                await (target.send_str if message.type is aiohttp.WSMsgType.TEXT else target.send_bytes)(message.data)
        except (TimeoutError, ConnectionError):
            return
