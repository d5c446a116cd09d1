"""Reads what the embedded AWS's SES was given, and makes the stream's events of the mails in a table."""

from __future__ import annotations

import json
import re
import urllib.request
from contextlib import suppress
from typing import Any

from atelier.adapters.aws.clients import client
from tests.invoke import load_function


def verify_sender(address: str) -> None:
    """Has the embedded AWS's SES accept mails from an address."""
    ses = client("sesv2")
    with suppress(ses.exceptions.AlreadyExistsException):
        ses.create_email_identity(EmailIdentity=address)


def stream_event(table: str) -> dict[str, Any]:
    """The event of the identity table's stream with all mails that the table holds, as they were written."""
    items = client("dynamodb").scan(TableName=table, ConsistentRead=True)["Items"]
    mails = [item for item in items if item["sk"]["S"].startswith("mail#")]
    return {"Records": [_record(item) for item in sorted(mails, key=lambda item: item["requested_at"]["S"])]}


def send_mails(table: str) -> None:
    """Invokes the function of the stream with all mails of the table."""
    load_function("streams/identity").handler(stream_event(table), None)


def inbox(url: str, address: str) -> list[dict[str, Any]]:
    """The mails to an address, oldest first. url: of the embedded AWS."""
    with urllib.request.urlopen(f"{url}/_ministack/ses/messages", timeout=5) as answer:
        found: dict[str, list[dict[str, Any]]] = json.load(answer)["messages"]
    return [mail for mails in found.values() for mail in mails if address in mail["To"]]


def token_of(mail: dict[str, Any]) -> str:
    """The token of the link in a mail."""
    [token] = set(re.findall(r"\?token=([\w.-]+)", mail["BodyText"]))
    return token


def code_of(mail: dict[str, Any]) -> str:
    """The code in a mail."""
    [code] = re.findall(r"^(\d{6})$", mail["BodyText"], re.MULTILINE)
    return code


def _record(item: dict[str, Any]) -> dict[str, Any]:
    keys = {name: item[name] for name in ("pk", "sk")}
    return {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": item, "StreamViewType": "NEW_IMAGE"}}
