"""The served OpenAPI document matches the code, and the stack conforms to the document."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.openapi import TARGET, render_document
from tests.local.client import AccountClient
from tests.local.conftest import Stack

EXCLUDED = ",".join(
    [
        # A document cannot say which passwords are common, which cursors exist, or what a model's entry allows.
        "positive_data_acceptance",
        # CloudFront refuses TRACE itself, with 403. Our own 405 answers are tested in test_contract.py.
        "unsupported_method",
    ]
)


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
    person = AccountClient(stack.base_url)
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            f"{stack.base_url}/api/openapi.json",
            f"--header=Authorization: {person.http.headers['Authorization']}",
            f"--exclude-checks={EXCLUDED}",
            # It ends the session with which all others are tried; `tests/local/studio/test_security.py` calls it.
            "--exclude-operation-id=delete_api_users_me",
            "--max-examples=8",
            "--request-timeout=30",
            "--seed=1",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        # A bound for a machine that is busy with other work; alone it takes three minutes.
        timeout=1500,
        check=False,
    )
    # What failed stands before the warnings, which are long.
    assert run.returncode == 0, run.stdout.partition("= FAILURES =")[2][:6000] or run.stdout[-6000:]
    assert "Server error" not in run.stdout
