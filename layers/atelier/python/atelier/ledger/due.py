"""Find the wallets that are due: page by page over an index, within the time that the function has left.

The index is split into shards, so that many functions can work on it in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from secrets import SystemRandom

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.ledger.ports import DueWallet, ResetQueue, WalletStore
from atelier.telemetry import logger, put_count

PAGE_SIZE = 100
TIME_MARGIN_MILLISECONDS = 10_000
RESET_AHEAD = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class ResetDeps:
    """The dependencies of the daily reset. `shards`: how many there are."""

    wallets: WalletStore
    queue: ResetQueue
    shards: int


def queue_resets(*, deps: ResetDeps, now: datetime) -> int:
    """Queue a message for each shard that has a wallet whose daily credits are due; returns the number of these
    shards. Safe to run any number of times in parallel: a wallet with its credits is not due."""
    due = [shard for shard in range(deps.shards) if deps.wallets.wallets_due_for_reset(shard, now, None, 1)]
    for shard in due:
        deps.queue.send_shard(shard, None)
    logger.info("daily resets queued", shards=len(due))
    return len(due)


def reset_shard(
    shard: int,
    after: str | None,
    reset: Callable[[str], object],
    *,
    deps: ResetDeps,
    now: datetime,
    context: TimeLeft | None,
) -> None:
    """Call `reset` with each workspace of a shard whose daily credits are due, after an index position; None = from the
    start. When the time runs low, another message is queued for the rest.

    A wallet that fails is logged and skipped; the next round from the start of the shard finds it again."""
    position, processed, failed, finished = after, 0, 0, True
    for due in _due_wallets(lambda after: deps.wallets.wallets_due_for_reset(shard, now, after, PAGE_SIZE), after):
        if _is_time_short(context):
            deps.queue.send_shard(shard, position)
            finished = False
            break
        try:
            reset(due.workspace_id)
            processed += 1
        except Exception:
            logger.exception("wallet failed", workspace_id=due.workspace_id)
            failed += 1
        position = due.index_place
    if failed:
        put_count("WalletsFailed", failed)
    logger.info("daily reset", shard=shard, wallets=processed, failed=failed, finished=finished)


def workspaces_due_for_sweep(
    *, wallets: WalletStore, shards: int, now: datetime, context: TimeLeft | None
) -> Iterator[str]:
    """The ids of workspaces, over all shards, with an open hold whose deadline may have passed."""
    # The shards come in random order, so that one slow wallet does not always delay the same others.
    for shard in SystemRandom().sample(range(shards), shards):
        for due in _due_wallets(
            lambda after, shard=shard: wallets.wallets_due_for_sweep(shard, now, after, PAGE_SIZE), None
        ):
            if _is_time_short(context):
                return
            yield due.workspace_id


def workspaces_at_random(*, wallets: WalletStore, shards: int, number: int, now: datetime) -> list[str]:
    """Some workspaces that have used their credits lately, in random order."""
    found: list[str] = []
    for shard in SystemRandom().sample(range(shards), shards):
        if len(found) >= number:
            break
        # A wallet in use is reset each day.
        found += [due.workspace_id for due in wallets.wallets_due_for_reset(shard, now + RESET_AHEAD, None, PAGE_SIZE)]
    return SystemRandom().sample(found, min(number, len(found)))


def _due_wallets(page_after: Callable[[str | None], list[DueWallet]], position: str | None) -> Iterator[DueWallet]:
    # Pages continue after a position instead of starting again, so a wallet that stays due (because it fails) delays no
    # other wallet.
    while True:
        page = page_after(position)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        position = page[-1].index_place


def _is_time_short(context: TimeLeft | None) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS
