"""How much a workspace has of what its tier limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from atelier.catalogue.quotas import Quota, QuotaName
from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class UsageDeps:
    """counts: for each quota the function that reads how much a workspace has now. quota: a quota of a workspace at a
    time."""

    counts: Mapping[QuotaName, Callable[[str, datetime], int]]
    quota: Callable[[QuotaName, str, datetime], Quota]


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """One quota, and how much of it is used."""

    name: QuotaName
    limit: int
    used: int


def read_usage(workspace_id: str, *, deps: UsageDeps, now: datetime) -> list[QuotaUsage]:
    """The quotas of a workspace. Stored bytes, projects, members and sites are exact; calls are counted by shares (see
    `identity/api_calls.py`)."""
    return [
        QuotaUsage(name, deps.quota(name, workspace_id, now).limit, count(workspace_id, now))
        for name, count in deps.counts.items()
    ]
