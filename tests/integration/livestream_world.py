"""Livestreams on the embedded DynamoDB with the real use cases and the adapter of Mux, against its simulator; events
and recordings go into dictionaries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from atelier.adapters.aws.dynamodb.livestreams.store import DynamoLivestreams
from atelier.adapters.streaming.mux import MuxStreaming, access_of
from atelier.audit_log.model import Origin
from atelier.livestreams.advance import advance_due
from atelier.livestreams.deps import AdvanceLivestreamDeps, LivestreamDeps
from atelier.livestreams.end_livestreams import remove_released
from atelier.livestreams.follow import follow_webhook
from atelier.livestreams.manage import Host, LivestreamFields, create_livestream, end_livestream, start_livestream
from atelier.livestreams.model import Livestream, LivestreamAccess
from infra.simulators.streaming.mux import MuxSimulator
from tests.conftest import Tables
from tests.integration.workshop_world import PublishedEvents
from tests.integration.world import NOON, World

FILM = b"an MP4, as far as this world looks"


class LivestreamWorld:
    """A host with a workspace. enrolled: who is enrolled in whatever workshop; recordings: kept, by asset."""

    def __init__(self, tables: Tables, simulator: MuxSimulator) -> None:
        self.home, self.simulator, self.now = World(tables), simulator, NOON
        self.store, self.bus = DynamoLivestreams(tables.community), PublishedEvents()
        self.recordings, self.enrolled = dict[str, bytes](), ["usr_1", "usr_2"]
        access, simulator.seconds = simulator.access, self._seconds
        self.service = MuxStreaming(lambda: access_of(access), simulator.base_url)
        self.host = Host(self.home.workspace_id, "usr_H", Origin(user_id="usr_H"))
        self.advancing = AdvanceLivestreamDeps(
            self.store, lambda: self.service, lambda: self.bus, lambda _: self.enrolled, self._keep
        )

    @property
    def deps(self) -> LivestreamDeps:
        return LivestreamDeps(
            self.advancing,
            lambda: self.home.keys,
            lambda: ("free", "pro"),
            lambda workspace, now: "free",
            lambda workshop, user: user in self.enrolled,
            lambda workshop, workspace: True,
            lambda workspace, asset, now: f"/{asset}",
            lambda tries: None,
        )

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _keep(self, livestream: Livestream, asset_id: str, data: bytes, now: datetime) -> None:
        self.recordings[asset_id] = data

    def announce(self, key: str | None = None, access: LivestreamAccess = LivestreamAccess.PUBLIC) -> Livestream:
        workshop = "wks_1" if access is LivestreamAccess.ENROLMENT else None
        fields = LivestreamFields("Light", "", NOON + timedelta(days=1), access, (), workshop)
        return create_livestream(self.host, fields, key, deps=self.deps, now=self.now)[0]

    def start(self, livestream: Livestream) -> Livestream:
        return start_livestream(self.host, livestream.id, deps=self.deps, now=self.now)

    def end(self, livestream: Livestream) -> Livestream:
        return end_livestream(self.host, livestream.id, deps=self.deps, now=self.now)

    def time_passes(self, by: timedelta = timedelta(minutes=2)) -> None:
        """The clock goes on, and the schedule runs."""
        self.now += by
        advance_due(None, deps=self.advancing, clock=lambda: self.now)
        remove_released(deps=self.advancing, now=self.now)

    def webhook(self, livestream: Livestream) -> None:
        """A webhook about a livestream arrives."""
        follow_webhook({"livestream": livestream.id}, deps=self.advancing, now=self.now)

    def found(self, livestream: Livestream) -> Livestream:
        return self.store.find(livestream.id)

    def changes(self, livestream: Livestream) -> list[str]:
        """What was published about a livestream, apart from messages to single people."""
        return [
            each.removeprefix("livestream.")
            for each in self.bus.types(f"{livestream.id}#")
            if each != "livestream.open"
        ]


@contextmanager
def livestream_world(tables: Tables) -> Iterator[LivestreamWorld]:
    """A world with a simulator of its own."""
    with MuxSimulator(film=FILM) as simulator:
        yield LivestreamWorld(tables, simulator)
