"""docs/analytics_schema.md says what the code counts and exports."""

from __future__ import annotations

from infra import analytics_schema


def test_the_schema_page_is_what_the_code_says() -> None:
    command = "PYTHONPATH=layers/atelier/python .venv/bin/python -m infra.analytics_schema"
    assert analytics_schema.PAGE.read_text("utf-8") == analytics_schema.page(), f"write it anew: {command}"
