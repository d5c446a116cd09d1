"""Erase an account with its personal workspace, or an organisation.

Each step deletes what it still finds, so a run that died, or whose time was up, is followed by one that begins at the
first step again and finds nothing in those that are done. What a step needs to find its items is deleted after it: the
log after the addresses that it names, the profile last. Some time later all steps are run once more, for what was on
its way: webhooks, and records of streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.erasures.model import Erasure
from atelier.erasures.ports import (
    CheckTime,
    ErasedFiles,
    ErasedItems,
    ErasedLogs,
    ErasedPeople,
    ErasureStore,
    OutOfTime,
)
from atelier.telemetry import logger

TIME_MARGIN_MILLISECONDS = 60_000
# A step: its name, and what it does; the result is how much it has deleted.
Step = tuple[str, Callable[[], int]]


@dataclass(frozen=True, slots=True)
class EraseDeps:
    """Dependencies. end_billing: ends the plan of a workspace and deletes its customer at the payment service.
    end_workshops: cancels its workshops, so that their attendees have their fees back. end_livestreams: lets go
    of its streams and recordings at the streaming service, where a schedule removes them. end_listings: takes its
    listings off the showcase. pay_purchases: pays for what it has bought there."""

    store: ErasureStore
    items: ErasedItems
    files: ErasedFiles
    people: ErasedPeople
    logs: ErasedLogs
    end_billing: Callable[[str], None]
    end_workshops: Callable[[str], None]
    end_livestreams: Callable[[str], None]
    end_listings: Callable[[str], None]
    pay_purchases: Callable[[str], None]
    clock: Callable[[], datetime]


def run_erase_step(event: Mapping[str, Any], *, deps: EraseDeps, context: TimeLeft | None) -> dict[str, Any]:
    """One visit of the state machine: {subject, is_last} → the same, and whether nothing is left. is_last: the pass
    after which the erasure is complete."""
    subject, is_last = str(event["subject"]), bool(event["is_last"])
    has_ended = erase(subject, is_last=is_last, deps=deps, context=context)
    return {"subject": subject, "is_last": is_last, "has_ended": has_ended}


def erase(subject: str, *, is_last: bool, deps: EraseDeps, context: TimeLeft | None) -> bool:
    """Erase until nothing is left or the time is nearly up; whether nothing is left. Safe to repeat, in parallel too,
    and to stop at any point. Raises NotFound for a subject whose erasure has not begun."""
    erasure = deps.store.get(subject)

    def check_time() -> None:
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            raise OutOfTime

    try:
        for name, delete in _steps(erasure, deps, check_time):
            check_time()
            count = delete()
            if count:
                deps.store.add_counts(subject, {name: count})
                logger.info("erased", subject=subject, step=name, count=count)
    except OutOfTime:
        return False
    if is_last:
        deps.store.complete(subject, deps.clock())
        logger.info("erasure complete", subject=subject)
    return True


def _steps(erasure: Erasure, deps: EraseDeps, check_time: CheckTime) -> Iterator[Step]:
    user_id, workspace_id = erasure.user_id, erasure.workspace_id
    people = deps.people
    if user_id:
        yield "account closed", lambda: _nothing(people.close(user_id))
    yield "plan", lambda: _nothing(deps.end_billing(workspace_id))
    yield "workshops", lambda: _nothing(deps.end_workshops(workspace_id))
    yield "livestreams", lambda: _nothing(deps.end_livestreams(workspace_id))
    yield "listings", lambda: _nothing(deps.end_listings(workspace_id))
    yield "purchases", lambda: _nothing(deps.pay_purchases(workspace_id))
    if user_id:
        yield "organisations", lambda: _leave_organizations(user_id, deps, check_time)
    else:
        yield "members", lambda: people.delete_members(workspace_id, check_time)
    yield from _contents(workspace_id, deps, check_time)
    if user_id:
        yield from _account(user_id, deps, check_time)
    yield "workspace", lambda: people.delete_workspace(workspace_id, check_time)
    if user_id:
        # Last: until now it says whose addresses these are.
        yield "account", lambda: people.delete_account(user_id, check_time)


def _contents(workspace_id: str, deps: EraseDeps, check_time: CheckTime) -> Iterator[Step]:
    """What a workspace has."""
    items, files = deps.items, deps.files
    yield "generations", lambda: items.delete_generations(workspace_id, check_time)
    yield "billing", lambda: items.delete_billing(workspace_id, check_time)
    yield "sites", lambda: items.delete_sites(workspace_id, check_time)
    for table, partition in (
        ("library", workspace_id),
        ("providers", workspace_id),
        ("providers", f"health#{workspace_id}"),
        ("providers", f"pace#{workspace_id}"),
        ("exports", workspace_id),
        ("community", workspace_id),
        ("requests", f"calls#{workspace_id}"),
        # After the generations, whose deletion is counted.
        ("analytics", workspace_id),
    ):
        yield table, lambda table=table, partition=partition: items.delete(table, partition, check_time)
    for bucket, prefix in (
        ("media", f"media/{workspace_id}/"),
        ("media", f"media/answers/{workspace_id}/"),
        ("media", f"uploads/{workspace_id}/"),
        ("exports", f"exports/{workspace_id}/"),
        ("sites", f"{workspace_id}/"),
    ):
        yield f"files of {bucket}", lambda bucket=bucket, prefix=prefix: files.delete(bucket, prefix, check_time)
    yield "wallet closed", lambda: _nothing(items.close_wallet(workspace_id))
    yield "audit", lambda: deps.logs.delete(workspace_id, check_time)


def _account(user_id: str, deps: EraseDeps, check_time: CheckTime) -> Iterator[Step]:
    """What an account has beside its profile."""
    words = deps.people.words(user_id, deps.logs.addresses(user_id))
    yield "claims", lambda: deps.people.delete_claims(user_id, words)
    yield "account audit", lambda: deps.logs.delete(user_id, check_time)
    yield "analytics", lambda: deps.items.delete("analytics", user_id, check_time)
    yield "notifications", lambda: deps.items.delete("notifications", user_id, check_time)
    yield "workshops attended", lambda: deps.items.delete("community", user_id, check_time)


def _leave_organizations(user_id: str, deps: EraseDeps, check_time: CheckTime) -> int:
    """Take a person out of organisations. Their work stays there, under an id that leads to nobody."""
    count = 0
    words = deps.people.words(user_id, deps.logs.addresses(user_id))
    for organization in deps.people.organizations(user_id):
        count += deps.people.delete_traces(organization, user_id, words, check_time)
        count += deps.logs.redact(organization, user_id, words, deps.clock(), check_time)
        deps.people.leave(organization, user_id, deps.clock())
        check_time()
    return count


def _nothing(_: None) -> int:
    """The count of a step that is done as a whole."""
    return 0
