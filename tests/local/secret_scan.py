"""Searches everything that a stack stores or prints for a secret, in every encoding that it could have there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.local.stack_process import RunningStack

# Larger files are skipped.
SCANNED_BYTES_MAX = 64 * 1024 * 1024


def encodings(secret: str) -> list[bytes]:
    """The secret as text, in URLs, in hexadecimal, and in base64 at each of the three alignments."""
    plain = secret.encode()
    inside = [base64.b64encode(b"x" * shift + plain)[4 if shift else 0 : -4] for shift in range(3)]
    # Half of a secret counts as a finding too.
    parts = [plain, plain[: len(plain) // 2], plain[len(plain) // 2 :]]
    return [*parts, quote(secret, safe="").encode(), plain.hex().encode(), *inside]


def find_in_stack(running: RunningStack, secrets: list[str]) -> list[str]:
    """The places in a running stack that contain one of the secrets: tables, logs, queues, executions, files."""
    findings: list[str] = []

    def look(where: str, what: object) -> None:
        text = what if isinstance(what, bytes) else json.dumps(what, default=str).encode()
        findings.extend(f"{where}: {secret[:6]}…" for secret in secrets for dress in encodings(secret) if dress in text)

    aws = running.aws()
    dynamodb = aws.client("dynamodb")
    tables = dynamodb.list_tables()["TableNames"]
    assert tables
    for table in tables:
        look(f"table {table}", [page["Items"] for page in dynamodb.get_paginator("scan").paginate(TableName=table)])
    logs = aws.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        look(f"log {name}", list(logs.get_paginator("filter_log_events").paginate(logGroupName=name)))
    states = aws.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])
        for execution in [each for page in pages for each in page["executions"]]:
            look("executions", states.describe_execution(executionArn=execution["executionArn"]))
            history: Any = states.get_paginator("get_execution_history")
            look("histories", list(history.paginate(executionArn=execution["executionArn"])))
    sqs = aws.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        look(f"queue {url}", sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0))
    look("what the stack printed", running.lines)
    return findings + find_in_files(running.data, secrets)


def find_in_files(folder: Path, secrets: list[str]) -> list[str]:
    """The files below a folder that contain one of the secrets: the emulator's log, and once it has been stopped, all
    of its state."""
    forms = [(secret, dress) for secret in secrets for dress in encodings(secret)]
    return [
        f"{path}: {secret[:6]}…"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_size <= SCANNED_BYTES_MAX
        for content in [path.read_bytes()]
        for secret, dress in forms
        if dress in content
    ]
