"""The columns of each dataset: their names, types and meanings. The files, the schema page and the tables for SQL are
made from them; a column is never renamed or removed, new ones are added at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from atelier.analytics.model import COUNTERS
from atelier.dataclass import dataclass
from atelier.exports.model import ExportDataset

# A value of a row: a time is RFC 3339 text, JSON is text; None = there is none.
Value = str | int | bool | None


class ColumnType(StrEnum):
    """The type of a column's values."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. is_free: people or providers write its text, so it may look like a formula. is_filter: an export can
    be limited to one of its values."""

    name: str
    type: ColumnType
    meaning: str
    is_free: bool = False
    is_filter: bool = False


def _text(name: str, meaning: str, *, is_free: bool = False, is_filter: bool = False) -> Column:
    return Column(name, ColumnType.TEXT, meaning, is_free, is_filter)


def _integer(name: str, meaning: str) -> Column:
    return Column(name, ColumnType.INTEGER, meaning)


def _time(name: str, meaning: str) -> Column:
    return Column(name, ColumnType.TIME, meaning)


GENERATIONS = (
    _text("id", "generation"),
    _time("created_at", "when it was accepted"),
    _time("started_at", "when its first attempt began"),
    _time("completed_at", "when it ended"),
    _text(
        "status", "queued, running, succeeded, failed, cancelled or expired, when the file was written", is_filter=True
    ),
    _text("kind", "text, image, video, audio, avatar, page or upscale", is_filter=True),
    _text("user_id", "who requested it", is_filter=True),
    _text("token_id", "the API token that sent the request", is_filter=True),
    _text("project_id", "its project", is_filter=True),
    _text("provider", "of the last attempt", is_filter=True),
    _text("model", "of the last attempt, with its provider", is_filter=True),
    Column("own_key", ColumnType.BOOLEAN, "whether the last attempt used the workspace's own key"),
    _integer("attempts", "how many candidates were attempted; of a run: stages begun"),
    _integer("credits_held", "credits reserved"),
    _integer("credits_charged", "credits charged"),
    _integer("cost_microusd", "what providers bill, in millionths of a US dollar"),
    _text("cost_source", "estimate, usage or provider: where the cost is from"),
    _integer("tokens_input", "input tokens"),
    _integer("tokens_cached", "input tokens that the provider had in its cache; in tokens_input too"),
    _integer("tokens_output", "output tokens"),
    _integer("files", "how many files it has delivered"),
    _text("error_class", "why it failed"),
    _text("reused_from", "the generation whose result it shows"),
    _text("pipeline", "of a run"),
    _text("parent_id", "of a stage: its run"),
    _text("stage", "of a stage: its name"),
    _text("prompt", "what was requested", is_free=True),
)

ENTRIES = (
    _text("movement", "key of the movement that the entry belongs to; the entries of a movement sum to zero"),
    _integer("number", "of the entry in its movement, from 0"),
    _time("ordered_at", "the movement's place in the statement: the time of its subject"),
    _time("happened_at", "when the movement happened"),
    _text("kind", "hold, settle, late, daily, expire, cover, grant, revoke, adjust or transfer", is_filter=True),
    _text("subject", "what it concerns: a generation, a grant, or an operation's key", is_free=True),
    _text("account", "available, held, issued, revenue, expired, operator_loss or debt", is_filter=True),
    _integer("credits", "credits that come to the account; negative: that leave it"),
    _text("grant_id", "the grant that they are of"),
    Column("facts", ColumnType.JSON, "what else the movement says", is_free=True),
)

AUDIT = (
    _text("id", "audit event"),
    _time("happened_at", "when it happened"),
    _text("actor", "the user who did it", is_filter=True),
    _text("token_id", "the API token that was used", is_filter=True),
    _text("action", "what was done", is_filter=True),
    _text("target", "what it happened to", is_free=True),
    _text("outcome", "ok or refused", is_filter=True),
    _text("address", "network address of the request", is_free=True),
    _text("user_agent", "of the request", is_free=True),
    _text("request_id", "of the request", is_free=True),
    Column("facts", ColumnType.JSON, "what else the event says", is_free=True),
)

USAGE = (
    _text("day", "day (UTC)"),
    _text("project_id", "of the requests", is_filter=True),
    _text("token_id", "the API token that sent them", is_filter=True),
    _text("user_id", "who requested them", is_filter=True),
    _text("provider", "of the last attempt; pipeline: runs", is_filter=True),
    _text("model", "of the last attempt, with its provider; pipeline/<name>: runs", is_filter=True),
    _text("kind", "text, image, video, audio, avatar, page or upscale", is_filter=True),
    *(_integer(name, meaning) for name, meaning in COUNTERS.items()),
    _integer("duration_ms_p50", "half of the durations are not longer"),
    _integer("duration_ms_p95", "19 of 20 durations are not longer"),
)

PRODUCT_EVENTS = (
    _text("id", "the sender's own id of the event", is_free=True),
    _text("name", "what happened", is_filter=True),
    _time("happened_at", "when it happened, as the sender says"),
    _time("received_at", "when it was received"),
    _text("user_id", "who sent it", is_filter=True),
    _text("token_id", "the API token that sent it", is_filter=True),
    Column("properties", ColumnType.JSON, "what else the sender says", is_free=True),
)

COLUMNS: dict[ExportDataset, tuple[Column, ...]] = {
    ExportDataset.GENERATIONS: GENERATIONS,
    ExportDataset.ENTRIES: ENTRIES,
    ExportDataset.AUDIT: AUDIT,
    ExportDataset.USAGE: USAGE,
    ExportDataset.PRODUCT_EVENTS: PRODUCT_EVENTS,
}


def filters_of(dataset: ExportDataset) -> tuple[str, ...]:
    """The columns that an export of this dataset can be limited by."""
    return tuple(column.name for column in COLUMNS[dataset] if column.is_filter)


def select(
    rows: list[tuple[Value, ...]], filters: Mapping[str, str], columns: tuple[Column, ...]
) -> list[tuple[Value, ...]]:
    """The rows whose columns have these values."""
    for name, value in filters.items():
        place = next(number for number, column in enumerate(columns) if column.name == name)
        rows = [row for row in rows if row[place] == value]
    return rows
