"""Answer the requests about livestreams: each function calls a use case and builds its view."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.errors import ValidationFailed
from atelier.ids import is_id
from atelier.livestreams.deps import LivestreamDeps
from atelier.livestreams.manage import Host
from atelier.livestreams.model import Livestream
from atelier.livestreams.ports import Playback
from atelier.livestreams.schemas import (
    LivestreamEnvelope,
    LivestreamList,
    LivestreamQuery,
    PlaybackEnvelope,
    livestream_view,
    playback_view,
)
from atelier.livestreams.watch import LivestreamViewer, viewers_of, visible_livestream, watch

MANAGES = "livestreams.manage"


def viewer_of(caller: Caller) -> LivestreamViewer:
    """The caller as somebody who watches."""
    return LivestreamViewer(caller.user_id, caller.workspace_id)


def own_envelope(livestream: Livestream, host: Host) -> LivestreamEnvelope:
    """The response with a livestream of the caller's workspace, for who may manage it."""
    view = livestream_view(livestream, is_yours=livestream.host_id == host.user_id, can_manage=True)
    return LivestreamEnvelope(livestream=view)


def list_livestreams(deps: LivestreamDeps, caller: Caller, query: LivestreamQuery) -> LivestreamList:
    """A page of the livestreams that the query asks for."""
    if query.scope == "public":
        page = deps.store.public_page(_public_key(query.cursor), query.limit)
    else:
        page = deps.store.page(caller.workspace_id, cursors.decode(query.cursor, "livestream#"), query.limit)
    items = [livestream_view(each) for each in page.livestreams]
    return LivestreamList(items=items, next_cursor=cursors.encode(page.next_key))


def read_livestream(deps: LivestreamDeps, caller: Caller, livestream_id: str, now: datetime) -> LivestreamEnvelope:
    """One livestream that the caller may know of. Raises NotFound."""
    livestream = visible_livestream(livestream_id, viewer_of(caller), deps, now)
    can_manage = livestream.workspace_id == caller.workspace_id and caller.has_permission(MANAGES)
    is_yours = livestream.host_id == caller.user_id
    viewers = viewers_of(livestream, deps, now)
    return LivestreamEnvelope(livestream=livestream_view(livestream, viewers, is_yours=is_yours, can_manage=can_manage))


def read_playback(
    deps: LivestreamDeps, caller: Caller, livestream_id: str, now: datetime, *, is_secure: bool
) -> tuple[PlaybackEnvelope, tuple[str, ...]]:
    """How the caller watches, and the values of the Set-Cookie headers that open the files of our edge. is_secure:
    whether the deployment is served by https. Raises NotFound, Forbidden, Conflict."""
    playback = watch(livestream_id, viewer_of(caller), deps=deps, now=now)
    return PlaybackEnvelope(playback=playback_view(playback)), _cookies(playback, now, is_secure=is_secure)


def _cookies(playback: Playback, now: datetime, *, is_secure: bool) -> tuple[str, ...]:
    seconds = int((playback.expires_at - now).total_seconds())
    ending = "; Secure" if is_secure else ""
    return tuple(
        f"{each.name}={each.value}; Path={each.path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{ending}"
        for each in playback.cookies
    )


def _public_key(cursor: str | None) -> str | None:
    """The key in a cursor of the public list. Raises ValidationFailed for one that this list never gave."""
    key = cursors.decode(cursor, "public#")
    parts = (key or "").split("#")
    if key is not None and not (len(parts) == 4 and is_id(parts[2], "wsp") and is_id(parts[3], "liv")):
        raise ValidationFailed([{"path": "query.cursor", "message": "is not a cursor of this list"}])
    return key
