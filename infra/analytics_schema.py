"""Writes docs/analytics_schema.md: what is counted, the columns of exports, and the tables for SQL, from the code.

PYTHONPATH=layers/atelier/python .venv/bin/python -m infra.analytics_schema
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from atelier.analytics.model import COUNTERS, CREDIT_COUNTERS
from atelier.exports.columns import COLUMNS, Column
from atelier.exports.model import CUT_BEFORE

PAGE = Path(__file__).parent.parent / "docs/analytics_schema.md"
HEAD = """# What is counted and exported

Written by `PYTHONPATH=layers/atelier/python .venv/bin/python -m infra.analytics_schema`; a test compares it with the
code. Money is in millionths of a US dollar (`…_microusd`), durations in milliseconds (`…_ms`), times are UTC. A column
is never renamed or removed; new ones are added at the end.
"""


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _counters(title: str, counters: Mapping[str, str]) -> str:
    rows = ((f"`{name}`", meaning) for name, meaning in counters.items())
    return f"## {title}\n\n{_rows(('counter', 'meaning'), rows)}\n"


def _columns(title: str, says: str, columns: Iterable[Column]) -> str:
    rows = (
        (f"`{column.name}`", column.type.value, "●" if column.is_filter else "", column.meaning) for column in columns
    )
    return f"## {title}\n\n{says}\n\n{_rows(('column', 'type', 'filter', 'meaning'), rows)}\n"


def page() -> str:
    """The whole page."""
    exports = [
        _columns(
            f"Export: {dataset.value}",
            f"Cut {int(CUT_BEFORE[dataset].total_seconds()) // 60} minutes before the request.",
            columns,
        )
        for dataset, columns in COLUMNS.items()
    ]
    counted = [_counters("Counters of generations", COUNTERS), _counters("Counters of credits", CREDIT_COUNTERS)]
    return "\n".join([HEAD, *counted, *exports])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
