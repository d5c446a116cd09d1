"""Schemathesis, against the local stack: each operation of the served document with data that fits its schema, and with
data that does not. The operations are divided between two test files, so that two workers share them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import Stack

EXCLUDED_CHECKS = (
    # A document cannot say which passwords are common, which cursors exist, or what a model's entry allows.
    "positive_data_acceptance",
    # CloudFront refuses TRACE itself, with 403. Our own 405 answers are tested in test_contract.py.
    "unsupported_method",
)
# About half of all requests; the other operations are those of test_openapi.py.
CONTENT_TAGS = (
    "analytics",
    "articles",
    "components",
    "deployments",
    "livestreams",
    "page-writing",
    "sections",
    "showcase",
    "sites",
    "webhooks",
    "workshops",
)
# They end the session with which all others are tried, so they are tried alone.
ENDING_SESSIONS = ("post_api_auth_logout", "delete_api_auth_sessions", "delete_api_users_me")


def without_ending_sessions() -> list[str]:
    return [f"--exclude-operation-id={each}" for each in ENDING_SESSIONS]


def find_violations(stack: Stack, folder: Path, selection: Iterable[str]) -> None:
    """Tries the selected operations with a new account; fails with what schemathesis found. folder: for its files.
    selection: schemathesis's arguments."""
    person = AccountClient(stack.base_url)
    run = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            f"{stack.base_url}/api/openapi.json",
            f"--exclude-checks={','.join(EXCLUDED_CHECKS)}",
            "--max-examples=8",
            "--request-timeout=30",
            "--seed=1",
            "--no-color",
            *selection,
        ],
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzzing_hooks.py")),
            "FUZZING_URL": stack.base_url,
            "FUZZING_EMAIL": person.email,
            "FUZZING_PASSWORD": PASSWORD,
        },
        capture_output=True,
        text=True,
        # A bound for a machine that is busy with other work.
        timeout=1800,
        check=False,
    )
    # What failed stands before the warnings, which are long.
    assert run.returncode == 0, run.stdout.partition("= FAILURES =")[2][:6000] or (run.stdout + run.stderr)[-6000:]
    assert "Server error" not in run.stdout
