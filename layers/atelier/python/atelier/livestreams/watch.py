"""Who sees and watches a livestream."""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound
from atelier.livestreams.advance import reference_of
from atelier.livestreams.deps import LivestreamDeps
from atelier.livestreams.model import Livestream, LivestreamAccess, LivestreamStatus
from atelier.livestreams.ports import Playback

# The signed URL of a recording is valid for at least so long.
RECORDING_LIFETIME = timedelta(minutes=8)


@dataclass(frozen=True, slots=True)
class LivestreamViewer:
    """The verified caller who watches."""

    user_id: str
    workspace_id: str


def visible_livestream(livestream_id: str, viewer: LivestreamViewer, deps: LivestreamDeps, now: datetime) -> Livestream:
    """A livestream that the viewer may know of: of the own workspace, one for everybody, for the workspace's tier, or
    of a workshop in which the viewer is enrolled. Raises NotFound."""
    livestream = deps.store.find(livestream_id)
    if not _may_watch(livestream, viewer, deps, now) and livestream.access is not LivestreamAccess.TIER:
        raise NotFound
    return livestream


def watch(livestream_id: str, viewer: LivestreamViewer, *, deps: LivestreamDeps, now: datetime) -> Playback:
    """How the viewer watches a livestream or its recording, for some minutes. Access is decided each time. Raises
    NotFound, Forbidden for another tier, Conflict while there is nothing to see."""
    livestream = visible_livestream(livestream_id, viewer, deps, now)
    if not _may_watch(livestream, viewer, deps, now):
        raise Forbidden("This livestream is for other tiers.", tiers=list(livestream.tiers))
    if livestream.status is LivestreamStatus.ENDED:
        return _recording(livestream, deps, now)
    if livestream.status is not LivestreamStatus.LIVE or livestream.playback_id is None:
        raise Conflict("There is nothing to see yet.", status=livestream.status.value)
    deps.store.count_viewer(livestream, now)
    return deps.service.playback(reference_of(livestream), livestream.playback_id, now)


def viewers_of(livestream: Livestream, deps: LivestreamDeps, now: datetime) -> int:
    """About how many watch now; 0 unless it is live."""
    return deps.store.viewers(livestream, now) if livestream.status is LivestreamStatus.LIVE else 0


def _may_watch(livestream: Livestream, viewer: LivestreamViewer, deps: LivestreamDeps, now: datetime) -> bool:
    if livestream.workspace_id == viewer.workspace_id or livestream.access is LivestreamAccess.PUBLIC:
        return True
    if livestream.access is LivestreamAccess.TIER:
        return deps.tier_of(viewer.workspace_id, now) in livestream.tiers
    if livestream.access is LivestreamAccess.ENROLMENT and livestream.workshop_id is not None:
        return deps.is_enrolled(livestream.workshop_id, viewer.user_id)
    return False


def _recording(livestream: Livestream, deps: LivestreamDeps, now: datetime) -> Playback:
    for asset_id in livestream.recording_asset_ids:
        url = deps.recording_url(livestream.workspace_id, asset_id, now)
        if url is not None:
            return Playback(url, now + RECORDING_LIFETIME)
    raise Conflict("There is no recording.", status=livestream.status.value)
