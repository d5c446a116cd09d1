"""Open and end connections: a ticket for a caller, the connection that it opens once, and its end."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.feeds.model import WATCHED_FOR
from atelier.feeds.ports import FeedReader
from atelier.realtime.model import CONNECTION_LIFETIME, TICKET_LIFETIME, Viewer
from atelier.realtime.ports import ConnectionStore
from atelier.realtime.schemas import TicketView


@dataclass(frozen=True, slots=True)
class TicketDeps:
    """The dependencies of tickets. socket_url: where connections are opened, without a query."""

    connections: ConnectionStore
    feeds: FeedReader
    socket_url: str


def issue_ticket(deps: TicketDeps, caller: Caller, personal_id: str, address: str, now: datetime) -> TicketView:
    """A ticket for one connection of the caller, in its workspace. From now on the feeds that the connection may listen
    to keep all events, so that none is missed between this answer and a subscription."""
    ticket = secrets.token_urlsafe(32)
    viewer = Viewer(caller.user_id, caller.workspace_id, personal_id, caller.session_id, caller.token_id, address)
    for feed_id in (caller.workspace_id, caller.user_id):
        deps.feeds.watch(feed_id, now + WATCHED_FOR)
    deps.connections.save_ticket(_digest(ticket), viewer, now + TICKET_LIFETIME)
    seconds = int(TICKET_LIFETIME.total_seconds())
    return TicketView(ticket=ticket, url=f"{deps.socket_url}?ticket={ticket}", expires_in=seconds)


def connect(connections: ConnectionStore, connection_id: str, ticket: str, address: str, now: datetime) -> bool:
    """Open a connection with a ticket; False when it is unknown, used, over, or of another address."""
    # A client may add the ticket to a URL that has it already.
    viewer = connections.redeem_ticket(_digest(ticket.partition("?")[0]), now)
    if viewer is None or viewer.address != address:
        return False
    connections.open(connection_id, viewer, now + CONNECTION_LIFETIME)
    return True


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
