"""Deployments on DynamoDB. Each beginning and end of a deployment is one transaction with its site's queue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    newest_page,
    pause_with_jitter,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.deployments.items import (
    DEPLOYMENT,
    EARLIER_MAX,
    ITEMS,
    LIVE,
    QUEUE,
    RUNNING,
    DeploymentItem,
    DeploymentQueueItem,
    LiveDeploymentItem,
    deployment_item,
    deployment_of,
    live_of,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import Clock, parse_rfc3339, rfc3339, system_clock
from atelier.deployments.model import (
    OPEN_TIME_MAX,
    WAITING_MAX,
    DeploymentStatus,
    DeploymentTarget,
    LiveDeployment,
    SiteDeployment,
)
from atelier.deployments.ports import (
    DeploymentChanged,
    DeploymentExists,
    DeploymentPage,
    TooManyWaiting,
)
from atelier.errors import NotFound, Unavailable

TRIES_MAX = 20
BUSY_PAUSE = 2
BUSY = "The deployments of this site are busy. Try again."
LOST = "Its job was lost."


class DynamoDeployments:
    """Deployments on DynamoDB."""

    def __init__(self, table_name: str, clock: Clock = system_clock) -> None:
        for item in ITEMS:
            item.bind(table_name)
        self._clock = clock

    def create(self, deployment: SiteDeployment, now: datetime, events: Sequence[AuditEvent]) -> None:
        def write() -> None:
            queue = _queue(deployment.workspace_id, deployment.site_id)
            lost = self._lost(queue, now)
            active, waiting = (None, queue.ids) if lost or queue.active is None else (queue.active, queue.ids)
            waiting = [*waiting, deployment.id]
            if active is None:
                active, *waiting = waiting
            has_room = len(waiting) <= WAITING_MAX
            with transaction() as writes:
                new = deployment_item(deployment, now)
                writes.save(new, DeploymentItem.pk.does_not_exist(), part="deployment")
                queue.save(writes, active, waiting, now)
                if lost is not None:
                    failed = lost.ended(DeploymentStatus.FAILED, now, LOST, failure=LOST)
                    writes.save(deployment_item(failed, now), _is(lost), part="lost")
                if not has_room:
                    # A repeated request finds its deployment, although there is no room for another one.
                    never = DeploymentItem.pk.exists()
                    writes.check(DeploymentItem, deployment.workspace_id, "none", never, part="room")
                save_events(writes, events)

        def failed(parts: frozenset[str]) -> Exception | None:
            if "deployment" in parts:
                return DeploymentExists()
            return TooManyWaiting() if parts == frozenset({"room"}) else None

        _retry(write, failed)

    def _lost(self, queue: _Queue, now: datetime) -> SiteDeployment | None:
        """The deployment that should run, and whose job is gone."""
        if queue.active is None or queue.since is None or now - queue.since < OPEN_TIME_MAX:
            return None
        return self.get(queue.workspace_id, queue.active)

    def get(self, workspace_id: str, deployment_id: str) -> SiteDeployment:
        try:
            return deployment_of(DeploymentItem.get(workspace_id, DEPLOYMENT + deployment_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, site_id: str | None, after_id: str | None, limit: int) -> DeploymentPage:
        bounds = (f"{DEPLOYMENT}dep_", f"{DEPLOYMENT}dep_~")
        matching = None if site_id is None else DeploymentItem.site_id == site_id
        after = None if after_id is None else DEPLOYMENT + after_id
        items, next_key = newest_page(DeploymentItem, workspace_id, bounds, matching=matching, after=after, limit=limit)
        next_id = None if next_key is None else next_key.removeprefix(DEPLOYMENT)
        return DeploymentPage(tuple(map(deployment_of, items)), next_id)

    def save(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        def write() -> None:
            with transaction() as writes:
                writes.save(deployment_item(after, self._clock()), _is(before), part="deployment")
                save_events(writes, events)

        _retry(write, lambda _parts: DeploymentChanged())

    def end(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        now = self._clock()

        def write() -> None:
            queue = _queue(after.workspace_id, after.site_id)
            with transaction() as writes:
                writes.save(deployment_item(after, now), _is(before), part="deployment")
                if queue.active == after.id:
                    queue.save(writes, next(iter(queue.ids), None), queue.ids[1:], now)
                else:
                    queue.save(writes, queue.active, [id for id in queue.ids if id != after.id], queue.since or now)
                if after.status is DeploymentStatus.LIVE and not after.is_preview:
                    self._show(writes, after)
                save_events(writes, events)

        _retry(write, lambda parts: DeploymentChanged() if "deployment" in parts else None)

    def _show(self, writes: Transaction, deployment: SiteDeployment) -> None:
        shown = self.live(deployment.workspace_id, deployment.site_id, deployment.target)
        item, key = LiveDeploymentItem, _live_key(deployment.site_id, deployment.target)
        if shown is None:
            new = item(deployment.workspace_id, key, deployment_id=deployment.built_by)
            writes.save(new, item.pk.does_not_exist(), part="live")
            return
        earlier = [shown.deployment_id, *(id for id in shown.earlier if id != shown.deployment_id)]
        earlier = [id for id in earlier if id != deployment.built_by][:EARLIER_MAX]
        new = item(deployment.workspace_id, key, deployment_id=deployment.built_by, earlier=earlier or None)
        writes.save(new, item.deployment_id == shown.deployment_id, part="live")
        if deployment.rolls_back_to and shown.deployment_id != deployment.built_by:
            left = self.get(deployment.workspace_id, shown.deployment_id)
            back = replace(left, status=DeploymentStatus.ROLLED_BACK, version=left.version + 1)
            writes.save(deployment_item(back, self._clock()), _is(left), part="rolled back")

    def running_since(self, before: datetime) -> Iterator[tuple[str, str]]:
        item = DeploymentQueueItem
        for found in item.by_start.query(RUNNING, item.active_since < rfc3339(before)):
            yield found.pk, str(found.active)

    def live(self, workspace_id: str, site_id: str, target: DeploymentTarget) -> LiveDeployment | None:
        try:
            return live_of(LiveDeploymentItem.get(workspace_id, _live_key(site_id, target), consistent_read=True))
        except DoesNotExist:
            return None


class _Queue:
    """The queue of a site as it was read. ids: those that wait."""

    def __init__(self, workspace_id: str, site_id: str, item: DeploymentQueueItem | None) -> None:
        self.workspace_id, self._site_id = workspace_id, site_id
        waiting: list[str] = (item.waiting if item else None) or []
        self.ids = waiting
        self.active = item.active if item else None
        self.since = parse_rfc3339(item.active_since) if item and item.active_since else None
        self._revision = int(item.revision) if item else 0

    def save(self, writes: Transaction, active: str | None, waiting: list[str], since: datetime) -> None:
        item, revision = DeploymentQueueItem, DeploymentQueueItem.revision
        began = self.since if active == self.active and self.since else since
        new = item(
            self.workspace_id,
            QUEUE + self._site_id,
            active=active,
            running=RUNNING if active else None,
            active_since=rfc3339(began) if active else None,
            waiting=waiting or None,
            revision=self._revision + 1,
        )
        unchanged = revision == self._revision if self._revision else item.pk.does_not_exist()
        writes.save(new, unchanged, part="queue")


def active_deployments(records: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(workspace id, deployment id) of the deployments that a batch of the table's stream lets run."""
    found: list[tuple[str, str]] = []
    for record in records:
        change = record["dynamodb"]
        if change["Keys"]["sk"]["S"].startswith(QUEUE):
            active = change.get("NewImage", {}).get("active", {}).get("S")
            if active and active != change.get("OldImage", {}).get("active", {}).get("S"):
                found.append((change["Keys"]["pk"]["S"], active))
    return found


def changed_deployments(records: Iterable[dict[str, Any]]) -> list[tuple[SiteDeployment, datetime]]:
    """The deployments whose status a batch of the table's stream changes, and when it changed."""
    found: list[tuple[SiteDeployment, datetime]] = []
    for record in records:
        change = record["dynamodb"]
        image = change.get("NewImage")
        if image and change["Keys"]["sk"]["S"].startswith(DEPLOYMENT):
            item = DeploymentItem.from_raw_data(image)
            if item.status != change.get("OldImage", {}).get("status", {}).get("S"):
                found.append((deployment_of(item), parse_rfc3339(item.changed_at)))
    return found


def _queue(workspace_id: str, site_id: str) -> _Queue:
    try:
        item = DeploymentQueueItem.get(workspace_id, QUEUE + site_id, consistent_read=True)
    except DoesNotExist:
        item = None
    return _Queue(workspace_id, site_id, item)


def _live_key(site_id: str, target: DeploymentTarget) -> str:
    return f"{LIVE}{site_id}#{target.value}"


def _is(deployment: SiteDeployment) -> Condition:
    return DeploymentItem.revision == deployment.version


def _retry(write: Callable[[], None], failed: Callable[[frozenset[str]], Exception | None]) -> None:
    """Write; again when a parallel write came first. failed: the error that failed conditions mean; None = what was
    read has changed, and is to be read again."""
    for tries in range(TRIES_MAX):
        try:
            return write()
        except ConditionsFailed as error:
            meant = failed(error.parts)
            if meant is not None:
                raise meant from error
            pause_with_jitter(tries)
        except TransactionConflict:
            pause_with_jitter(BUSY_PAUSE)
    raise Unavailable(BUSY)
