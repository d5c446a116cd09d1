"""The embedded AWS of the tests: starts it, creates the product's tables, and clears the product's caches."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.local.templates import read_template
from tests.emulator_thread import emulator_at

ROOT = Path(__file__).parent.parent
TABLE_PROPERTIES = {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema"}
START_SECONDS_MAX = 30
STARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of one test's tables."""

    identity: str
    ledger: str
    generations: str
    library: str
    inbox: str
    requests: str
    providers: str
    billing: str
    audit: str
    analytics: str
    exports: str
    backups: str
    erasures: str
    realtime: str
    notifications: str
    webhooks: str
    community: str
    sites: str


@cache
def table_definitions() -> dict[str, dict[str, Any]]:
    """How `infra/data.yaml` defines each context's table, as arguments of CreateTable. Streams are left out, because
    tests feed the handlers themselves, and so is what calls other than CreateTable set."""
    resources = read_template(ROOT / "infra/data.yaml")["Resources"]
    return {
        logical_id.removesuffix("Table").lower(): {
            name: value for name, value in resource["Properties"].items() if name in TABLE_PROPERTIES
        }
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }


def create_tables(dynamodb: Any, monkeypatch: pytest.MonkeyPatch, only: Sequence[str] = ()) -> Tables:
    """Create the tables with any DynamoDB client and set their names in the environment. only: the contexts whose
    tables are needed, where a call is dear."""
    suffix = uuid.uuid4().hex[:12]
    names = Tables(*(f"{context}-{suffix}" for context in Tables.__dataclass_fields__))

    emulator = emulator_at(dynamodb.meta.endpoint_url)
    for context, name in zip(Tables.__dataclass_fields__, astuple(names), strict=True):
        monkeypatch.setenv(f"ATELIER_TABLE_{context.upper()}", name)
        definition = {"TableName": name, **table_definitions()[context]}
        if only and context not in only:
            continue
        if emulator:
            emulator.call_dynamodb("CreateTable", json.dumps(definition).encode())
        else:
            dynamodb.create_table(**definition)
    clear_wiring_caches(clients=False)
    return names


def clear_wiring_caches(*, clients: bool = True) -> None:
    """Clear what a warm process would keep (settings, composed use cases), as in a cold start. clients: clear SDK
    clients too. They may be kept when the endpoint is the same: creating them is most of a test's set-up."""
    for name, module in list(sys.modules.items()):
        if name.startswith("atelier.") and (clients or not name.startswith("atelier.adapters.aws")):
            for member_name in _cached_members(name, len(vars(module))):
                member = getattr(module, member_name, None)
                for cached in _caches(member):
                    if clients or not getattr(member, "__module__", "").startswith("atelier.adapters.aws"):
                        cached.cache_clear()


@cache
def _cached_members(module: str, _members: int) -> tuple[str, ...]:
    """The names in a module whose results are kept. A module that has got more members since is looked at again;
    looking at all of them each time was a quarter of the time of some suites."""
    return tuple(name for name, member in vars(sys.modules[module]).items() if _caches(member))


def _caches(member: Any) -> list[Any]:
    """A function that keeps its results, or the `read` of settings that does."""
    read = getattr(member, "read", None) if isinstance(member, type) else None
    return [each for each in (member, read) if callable(getattr(each, "cache_clear", None))]


def start_emulator(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """The child process and its URL; its log goes into `directory`."""
    for _ in range(STARTS_MAX):
        # Another process may take the free port before the child uses it; then the child dies and we try another.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (directory / f"{port}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                cwd=directory,
                env={
                    **os.environ,
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(port),
                    "IOT_MTLS_ENABLED": "0",
                    "SFTP_ENABLED": "0",
                    # State machines do not wait between retries here.
                    "SFN_WAIT_SCALE": "0",
                    "LOG_LEVEL": "WARNING",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        url = f"http://127.0.0.1:{port}"
        if _ready(child, url):
            return child, url
    raise RuntimeError(f"the embedded AWS did not start; its logs are in {directory}")


def _ready(child: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):
                return True
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    child.kill()
    child.wait()
    return False
