"""The WebSocket API: opens a connection for a ticket, acts on its messages, and forgets it when it has ended."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.http.request import lower_names, query_parameter, source_address
from atelier.realtime.connect import connect
from atelier.realtime.presence import disconnect
from atelier.realtime.receive import receive
from atelier.telemetry import logger
from atelier.wiring import realtime


def open_connection(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, Any]:
    """Route `$connect`. 401 refuses the connection."""
    connection_id = event["requestContext"]["connectionId"]
    address = source_address(event, lower_names(event["headers"]))
    is_open = connect(realtime.connections(), connection_id, query_parameter(event, "ticket"), address, clock())
    logger.info("connection", extra={**_ids(event), "is_open": is_open})
    return {"statusCode": {True: 200, False: 401}[is_open]}


def receive_message(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, Any]:
    """Every other message. The answer is a message too, because the gateway's own would carry no error of ours."""
    connection_id = event["requestContext"]["connectionId"]
    receive(realtime.receive_deps(), connection_id, str(event["body"]), clock())
    logger.info("message", extra=_ids(event))
    return {"statusCode": 200}


def close_connection(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, Any]:
    """Route `$disconnect`, which the gateway calls as a rule, but not always."""
    disconnect(realtime.disconnect_deps(), event["requestContext"]["connectionId"], clock())
    logger.info("disconnected", extra=_ids(event))
    return {"statusCode": 200}


ROUTES = {"$connect": open_connection, "$disconnect": close_connection, "$default": receive_message}


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """The gateway's three routes."""
    return ROUTES[event["requestContext"]["routeKey"]](event, context)


def _ids(event: dict[str, Any]) -> dict[str, str]:
    context = event["requestContext"]
    return {"request_id": context["requestId"], "connection_id": context["connectionId"]}
