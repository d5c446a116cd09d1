"""A person with a word that stands nowhere else in all that they say, and the search for that word."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.external_logins import DynamoExternalLogins
from atelier.adapters.media.keys import media_key
from atelier.audit_log.ports import EventFilter
from atelier.audit_log.seal_events import seal_events
from atelier.audit_log.seals import PublicForm
from atelier.clock import system_clock
from atelier.generations.model import DeliveredFile, asset_id
from atelier.identity.oauth.model import ExternalLogin
from atelier.ids import new_id
from atelier.wiring import audit_log, generations, identity, workflow
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, join, set_tier
from tests.functions.responses import Reply, invoke_app, success_data
from tests.functions.route_matrix import routes
from tests.invoke import event, load_function
from tests.recorded_assets import record_asset

# No other test data has this word. The address is of the network from which the person calls.
CANARY = "quetzalcanary"
OLD_EMAIL, EMAIL = f"{CANARY}-old@example.com", f"{CANARY}@example.com"
ADDRESS = "198.51.100.77"
DAY = timedelta(days=1)


@cache
def function_of(request: str) -> str:
    """The folder of the function that answers `METHOD /path`."""
    for folder, declared in routes().items():
        for name in declared:
            if re.fullmatch(re.sub(r"<\w+\+?>", "[^/]+", name), request.partition("?")[0]):
                return folder
    raise LookupError(request)


def send(person: Person, request: str, body: Any = None, **headers: str) -> Any:
    """The data of a request that must succeed."""
    reply: Reply = call(load_function(function_of(request)), person, request, body, **headers)
    assert 200 <= reply["statusCode"] < 300, (request, reply["body"])
    return success_data(reply) if reply.get("body") else None


def sign_up() -> Person:
    """The person's account, opened by the API."""
    body = {"email": EMAIL, "password": f"{CANARY} password", "name": f"{CANARY} name", "token_delivery": "body"}
    request = event("api/auth/signup", body=body, headers={"user-agent": f"{CANARY}-agent/1.0"})
    request["requestContext"]["http"]["sourceIp"] = ADDRESS
    data = success_data(invoke_app(load_function("api/auth"), request))
    user_id, session_id, _ = data["refresh_token"].split(".")
    user = identity.profiles().user(user_id)
    identity.accounts().verify(user_id, "0" * 64, system_clock())
    return Person(EMAIL, user_id, session_id, user.workspace_id)


def live(person: Person, cloud: AwsResources) -> None:
    """Let the person say the word in whatever the API takes."""
    words = f"{CANARY} {{}}".format
    send(person, "PUT /api/users/me", {"name": words("name"), "persona": "artist"})
    project = send(person, "POST /api/projects", {"name": words("project"), "description": words("about")})["project"]
    send(person, f"PUT /api/projects/{project['id']}", {"description": words("more about it")})
    template = {"name": words("template"), "kind": "image", "prompt": words("template prompt")}
    send(person, "POST /api/templates", template)
    key = {"provider": "replicate", "key_name": f"{CANARY}-key", "key": f"r8_{CANARY}0123456789"}
    send(person, "POST /api/api-keys", key, **{"idempotency-key": f"{CANARY}-request"})
    send(person, "POST /api/tokens", {"name": f"{CANARY} token", "scopes": ["all"]})
    properties = {"plan": words("property")}
    send(person, "POST /api/events/track", {"events": [{"name": f"{CANARY}.opened", "properties": properties}]})
    send(person, "POST /api/assets/uploads", {"name": f"{CANARY}.png", "content_type": "image/png", "size": 100})
    send(person, "POST /api/auth/mfa/totp")
    send(person, "POST /api/auth/change-email", {"email": f"{CANARY}-new@example.com"})
    send(person, "POST /api/exports/workspace")
    body = {
        "kind": "image",
        "prompt": words("prompt") + " x" * 400,
        "model": "local/canvas",
        "project_id": project["id"],
    }
    generation_id = send(person, "POST /api/generate", body)["generation"]["id"]
    _deliver(person, generation_id, cloud)
    asset = asset_id(generation_id, 0)
    send(person, f"PUT /api/assets/{asset}", {"name": words("asset"), "tags": [CANARY], "description": words("seen")})
    send(
        person, "POST /api/characters", {"name": words("who"), "reference_asset_ids": [asset], "style": words("style")}
    )
    login = ExternalLogin("github", "https://github.com", f"{CANARY}-7", EMAIL, True, words("name"), f"{CANARY}-login")
    DynamoExternalLogins().link(identity.profiles().user(person.user_id), login, system_clock())


def _deliver(person: Person, generation_id: str, cloud: AwsResources) -> None:
    """A result: its file, its thumbnail, its asset, a webhook that came for it, and what staging has."""
    generation = generations.store().get(person.workspace_id, generation_id)
    file = DeliveredFile(asset_id(generation_id, 0), "image", "c" * 64, "png", 12, 512, 512, has_thumbnail=True)
    record_asset(generation, file, 0)
    s3, answers = client("s3"), f"media/answers/{person.workspace_id}/{generation_id}"
    keys = [media_key(person.workspace_id, "c" * 64, "png"), answers, f"uploads/{person.workspace_id}/{file.id}"]
    for key in keys:
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=f"{CANARY} file".encode())
    # An earlier version, which the bucket keeps.
    s3.put_object(Bucket=cloud.bucket, Key=keys[0], Body=f"{CANARY} file again".encode())
    attempt_id = new_id("att", system_clock())
    attempts = [
        {"id": attempt_id, "model": "replicate/a/b", "status": "failed", "started_at": "2026-11-29T00:00:00.000Z"}
    ]
    client("dynamodb").update_item(
        TableName=cloud.tables.generations,
        Key={"pk": {"S": person.workspace_id}, "sk": {"S": generation_id}},
        UpdateExpression="SET attempts = :attempts",
        ExpressionAttributeValues={":attempts": {"S": json.dumps(attempts)}},
    )
    body = json.dumps({"input": {"prompt": f"{CANARY} prompt"}}).encode()
    workflow.inbox().keep("replicate", attempt_id, "evt_1", {"generation_id": generation_id}, {}, body, system_clock())


def work_in(organization: str, owner: Person, person: Person, app: Any) -> None:
    """Let the person work as a member of an organisation."""
    set_tier(organization, "studio@1")
    join(app, owner, organization, person, "admin")
    here = {"atelier-workspace": organization}
    send(person, "POST /api/projects", {"name": "Shared film"}, **here)
    send(person, "POST /api/tokens", {"name": f"laptop of {CANARY} name", "scopes": ["all"]}, **here)
    send(person, f"POST /api/workspaces/{organization}/invitations", {"email": "guest@example.com", "role": "viewer"})


def seal(log: str) -> None:
    """Seal the events of a log, as the table's stream does."""
    forms: list[PublicForm] = list(audit_log.reads().page(log, EventFilter(), None, 500).events)
    seal_events(log, forms[::-1], deps=audit_log.seal_deps(), now=system_clock())


# ---- the search ------------------------------------------------------------------------------------------------------


def snapshot(cloud: AwsResources) -> dict[str, list[str]]:
    """Everything that is stored: the items of each table, and all versions of the files of each bucket, as texts."""
    found: dict[str, list[str]] = {}
    for context, table in asdict(cloud.tables).items():
        pages = client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        found[context] = [_text(item) for page in pages for item in page["Items"]]
    for bucket in (cloud.bucket, f"exports-{cloud.tables.identity}", f"audit-{cloud.tables.identity}"):
        name = bucket.partition("-")[0]
        found[f"bucket {name}"] = list(_files(bucket))
    return found


def _files(bucket: str) -> Iterator[str]:
    s3 = client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in page.get("Versions", ()):
            body = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
            yield f"{each['Key']} {_readable(body)}"
        for each in page.get("DeleteMarkers", ()):
            yield f"{each['Key']} deleted"


def _readable(data: bytes) -> str:
    """Bytes as text, unpacked if they are packed."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return " ".join(f"{name} {_readable(archive.read(name))}" for name in archive.namelist())
    return data.decode("utf-8", "replace")


def _text(item: Any) -> str:
    return json.dumps(item, sort_keys=True, ensure_ascii=False, default=_bytes_text)


def _bytes_text(value: Any) -> str:
    data = bytes(value)
    try:
        return zlib.decompress(data).decode("utf-8", "replace")
    except zlib.error:
        return data.decode("utf-8", "replace")


def naming(found: dict[str, list[str]], *words: str) -> dict[str, list[str]]:
    """What of a snapshot has one of the words, by table and bucket."""
    lower = [word.casefold() for word in words]
    hits = {
        name: [text for text in texts if any(word in text.casefold() for word in lower)]
        for name, texts in found.items()
    }
    return {name: texts for name, texts in hits.items() if texts}


def months_later(days: int) -> datetime:
    """A time after today."""
    return system_clock() + days * DAY
