"""The served OpenAPI document matches the code, and the stack conforms to the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.openapi import TARGET, render_document
from tests.local.conftest import Stack
from tests.local.fuzzing import CONTENT_TAGS, ENDING_SESSIONS, find_violations, without_ending_sessions


def test_the_openapi_document_matches_the_routes() -> None:
    assert TARGET.read_text() == render_document(), "run `.venv/bin/python -m infra.openapi`"


def properties(value: Any) -> Iterator[tuple[str, Any]]:
    """Every property of every schema in the document."""
    if isinstance(value, list):
        for each in value:
            yield from properties(each)
    elif isinstance(value, dict):
        # A map of properties is no schema, though one of its names may be "properties" again.
        known = value.get("properties")
        known = known if isinstance(known, dict) else {}
        yield from known.items()
        for each in (*known.values(), *(each for name, each in value.items() if name != "properties")):
            yield from properties(each)


def test_no_schema_property_is_only_null_or_has_a_default() -> None:
    """Generators do not know the type null alone, and treat a field with a default as always present."""
    found = list(properties(json.loads(TARGET.read_text())))
    assert {"webhook_url", "next_cursor", "prompt"} <= {name for name, _ in found}
    assert [name for name, schema in found if schema.get("type") == "null" or "default" in schema] == []
    prompts = {schema["description"] for name, schema in found if name == "model" and "description" in schema}
    assert '`provider/model`, or `auto`. Default: "auto".' in prompts


def test_a_parameter_that_may_be_left_out_keeps_its_description() -> None:
    document = json.loads(TARGET.read_text())
    parameters = document["paths"]["/api/analytics/usage"]["get"]["parameters"]
    described = {each["name"]: each["schema"].get("description", "") for each in parameters}
    assert described["group_by"].startswith("One or two of provider, model, kind")


def test_schemathesis_finds_no_violation(stack: Stack, tmp_path: Path) -> None:
    """All operations but those of test_openapi_of_content.py."""
    find_violations(stack, tmp_path, [*without_ending_sessions(), *(f"--exclude-tag={each}" for each in CONTENT_TAGS)])


def test_schemathesis_finds_no_violation_where_a_session_ends(stack: Stack, tmp_path: Path) -> None:
    find_violations(stack, tmp_path, [f"--include-operation-id={each}" for each in ENDING_SESSIONS])
