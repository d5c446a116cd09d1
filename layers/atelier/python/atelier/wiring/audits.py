"""Due wallets, their daily audit and their sweep, composed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from atelier.adapters.aws.dynamodb.ledger.items import SHARDS
from atelier.adapters.aws.sqs import SqsResetQueue
from atelier.clock import TimeLeft
from atelier.generations.audit_wallet import AuditDeps, audit_and_refresh
from atelier.ledger import due
from atelier.settings import ResetsQueue
from atelier.wiring import generations, ledger, seals
from atelier.wiring.escrow_records import escrow_records


def reset_deps() -> due.ResetDeps:
    """The dependencies of the daily reset."""
    return due.ResetDeps(ledger.wallets(), SqsResetQueue(ResetsQueue.read().url), SHARDS)


def reset(now: datetime) -> Callable[[str], None]:
    """What the daily reset does with each due workspace."""
    deps = AuditDeps(seals.seal_deps(), generations.close_deps(), escrow_records())
    return partial(audit_and_refresh, deps=deps, refresh=ledger.refresh_wallet, now=now)


def workspaces_due_for_sweep(now: datetime, context: TimeLeft | None) -> Iterator[str]:
    """The ids of workspaces with an open hold whose deadline may have passed, as long as there is time."""
    return due.workspaces_due_for_sweep(wallets=ledger.wallets(), shards=SHARDS, now=now, context=context)
