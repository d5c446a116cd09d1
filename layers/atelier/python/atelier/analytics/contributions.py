"""What a stored record contributes to the sums. Pure: a record in, counts by row out.

The sums of a workspace are always the sum of the contributions of its stored records. A change of a record is counted
as the difference of its contributions after and before, and a record that is not there contributes nothing. So a
contribution depends on nothing but the record: not on prices, and not on the time at which it is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from atelier.analytics.model import Counts, Dataset, Fact, Group, Row, difference, hour_of
from atelier.analytics.sketch import bucket
from atelier.dataclass import dataclass

Contribution = Mapping[Row, Counts]
NOTHING: Contribution = {}
# The model under which a run is counted.
RUN_MODEL = "pipeline/{name}"
TOKENS = ("tokens_input", "tokens_output", "tokens_cached")
_REFUSED = "moderated"
_SPENDING_KINDS = frozenset({"settled", "released", "expired"})


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """An attempt of a generation that has ended. `key`: the id of the workspace's own key, "" = the platform's.
    `status`: succeeded, failed, cancelled; "" = its outcome is not known. `duration_ms`: None until it has ended.
    `estimated_microusd`: the estimate of a known cost; None = there is none."""

    model: str
    key: str
    status: str
    error_class: str
    duration_ms: int | None
    cost_microusd: int
    cost_source: str
    estimated_microusd: int | None


@dataclass(frozen=True, slots=True)
class EndedGeneration:
    """A generation in a final state. `group`: without its model. `status`: succeeded, failed, cancelled, expired.
    `pipeline`: of a run; "" = it is none, and then `attempts` are its own. `usage`: numbers by the names of providers'
    reports. `media_ms`, `pixels`: of the files that were made for it."""

    group: Group
    ended_at: datetime
    created_at: datetime
    status: str
    error_class: str
    is_stage: bool
    is_reused: bool
    pipeline: str
    credits: int
    usage: Mapping[str, int]
    media_ms: int
    pixels: int
    attempts: tuple[EndedAttempt, ...]


@dataclass(frozen=True, slots=True)
class WalletMovement:
    """A movement of a wallet. `amounts`: credits by account; `source`: of a grant, "" = it is none."""

    at: datetime
    kind: str
    source: str
    amounts: Mapping[str, int]


class _Counted:
    """Counts that are being added up."""

    def __init__(self, dataset: Dataset, at: datetime) -> None:
        self._dataset, self._hour = dataset, hour_of(at)
        self._rows: defaultdict[Row, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, group: Group, **counts: int) -> None:
        for name, number in counts.items():
            if number:
                self._rows[Row(self._dataset, self._hour, group)][name] += number

    @property
    def contribution(self) -> Contribution:
        return {row: dict(counts) for row, counts in self._rows.items()}


def of_generation(ended: EndedGeneration) -> Contribution:
    """What a generation, a stage or a run contributes.

    | what | counted under the model |
    |---|---|
    | a generation or a stage: its end, credits, usage, files | of its last attempt, "" without one |
    | each of its attempts: end, cost, duration | of the attempt |
    | a run: its end, credits, duration | pipeline/<name>; everything else is that of its stages |
    """
    counted = _Counted(Dataset.USAGE, ended.ended_at)
    group = _group(ended)
    if ended.is_stage:
        succeeded = int(ended.status == "succeeded")
        counted.add(group, stages=1, stages_succeeded=succeeded, stage_credits=ended.credits)
    else:
        counted.add(group, requests=1, credits=ended.credits, reused=int(ended.is_reused), **_end_of_request(ended))
    if ended.pipeline:
        if ended.status == "succeeded":
            counted.add(group, **_duration(_milliseconds(ended.ended_at, ended.created_at)))
        return counted.contribution
    candidates = {(attempt.model, attempt.key) for attempt in ended.attempts}
    counted.add(group, fallbacks=int(len(candidates) > 1), media_ms=ended.media_ms, pixels=ended.pixels)
    counted.add(group, **{name: ended.usage.get(name, 0) for name in TOKENS})
    for attempt in ended.attempts:
        counted.add(_with_model(ended.group, attempt.model), **_attempt(attempt))
    return counted.contribution


def _group(ended: EndedGeneration) -> Group:
    if ended.pipeline:
        return _with_model(ended.group, RUN_MODEL.format(name=ended.pipeline))
    return _with_model(ended.group, ended.attempts[-1].model if ended.attempts else "")


def _with_model(group: Group, model: str) -> Group:
    return Group(group.project, group.token, group.user, model, group.kind)


def _end_of_request(ended: EndedGeneration) -> dict[str, int]:
    counts = {ended.status: 1}
    if ended.status == "failed":
        counts[f"failed_{ended.error_class or 'unknown'}"] = 1
        counts["refused"] = int(ended.error_class.startswith(_REFUSED))
    return counts


def _attempt(attempt: EndedAttempt) -> dict[str, int]:
    cost, is_own = attempt.cost_microusd, bool(attempt.key)
    counts = {f"cost_{attempt.cost_source}_microusd": cost, "own_key_cost_microusd": cost * is_own}
    if attempt.duration_ms is None:
        return counts
    counts |= {"attempts": 1, "own_key_attempts": int(is_own)}
    if attempt.status == "failed":
        counts[f"attempts_failed_{attempt.error_class or 'unknown'}"] = 1
    if attempt.status == "succeeded":
        counts |= {"attempts_succeeded": 1, **_duration(attempt.duration_ms)}
        if attempt.estimated_microusd is not None:
            counts |= {"estimated_microusd": attempt.estimated_microusd, "estimated_actual_microusd": cost}
    return counts


def _duration(milliseconds: int) -> dict[str, int]:
    return {"duration_ms": milliseconds, "durations": 1, bucket(milliseconds): 1}


def _milliseconds(end: datetime, begin: datetime) -> int:
    return max(0, round((end - begin).total_seconds() * 1000))


def of_refusal(group: Group, at: datetime) -> Contribution:
    """What a request contributes that moderation refused before it was stored: under its kind, and no model, since none
    was chosen."""
    counted = _Counted(Dataset.USAGE, at)
    counted.add(group, prompts_refused=1)
    return counted.contribution


def of_movement(movement: WalletMovement) -> Contribution:
    """What a movement contributes, by its kind and the accounts of its entries.

    | movement | counters |
    |---|---|
    | hold | none: what is held is not spent |
    | the end of a hold | `spent` = revenue; `expired` = what could not go back to its grant |
    | late | `operator_loss` |
    | grant, and a transfer that was received | `granted_<source>` |
    | expire | `expired` |
    | revoke | `revoked`; of credits that had expired before, `expired` becomes less |
    | adjust | `adjusted_down` |
    | transfer that was paid | `transferred`, with the fee |
    | escrow | none: what is held is not spent |
    | the end of an escrow | `transferred` = what was paid, with the fee, and what comes back as a new grant |
    | purchase, of 2026 | `transferred`, with the fee |
    | refund of such a purchase | none: what came back are grants; of its receivers `revoked` |
    | cover | none: the debt that it pays was counted as `revoked` |

    So granted − spent − expired − revoked − adjusted_down − transferred = available + held − debt.
    """
    counted = _Counted(Dataset.CREDITS, movement.at)
    amounts = movement.amounts
    issued, revenue = amounts.get("issued", 0), amounts.get("revenue", 0)
    counts = {"expired": amounts.get("expired", 0), "operator_loss": amounts.get("operator_loss", 0)}
    match movement.kind:
        case kind if kind in _SPENDING_KINDS:
            counts["spent"] = revenue
        case "grant" | "transfer" if issued < 0:
            counts[f"granted_{movement.source}"] = -issued
        case "transfer" | "escrow_end" | "purchase" | "unpurchase":
            counts["transferred"] = issued + revenue
        case "revoke":
            counts["revoked"] = issued
        case "adjust":
            counts["adjusted_down"] = issued
        case _:
            pass
    counted.add(Group(), **counts)
    return counted.contribution


def change(workspace_id: str, id: str, at: datetime, before: Contribution, after: Contribution) -> Fact | None:
    """The fact that a record's contribution has changed; None when it has not."""
    rows = dict.fromkeys([*before, *after])
    changed = {row: difference(after.get(row, {}), before.get(row, {})) for row in rows}
    counts = {row: each for row, each in changed.items() if each}
    return Fact(workspace_id, id, at, counts) if counts else None
