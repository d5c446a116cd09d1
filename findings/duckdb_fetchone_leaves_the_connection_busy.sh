#!/bin/bash
# PyPI's duckdb 2.0.1: the answer of execute() holds its connection until a fetch has found no more rows. `fetchone()` of
# a query with exactly one row (a count) has not found that yet, so the next work on this connection is refused with
# ResourceInUseException. The functions of the module, duckdb.sql() and duckdb.execute(), share one connection in the
# whole process: a count in one place makes a query in another, unrelated place fail. `fetchall()` leaves it free.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check duckdb==2.0.1
venv/bin/python - <<'PYTHON'
import duckdb


def elsewhere() -> str:
    """What other code of the same process does with the module's own connection."""
    try:
        return str(duckdb.sql("SELECT 'answered'").fetchall()[0][0])
    except duckdb.Error as error:
        return type(error).__name__


count = duckdb.execute("SELECT count(*) FROM range(3)")
one = count.fetchone()
after_one = elsewhere()
count.fetchall()
after_all = elsewhere()
print(f"duckdb {duckdb.__version__}: fetchone() gave {one}; a query elsewhere: {after_one}; after fetchall(): {after_all}")
assert (one, after_one, after_all) == ((3,), "ResourceInUseException", "answered"), "changed"
PYTHON
