"""The custom resource that fills the signing secrets once and never overwrites them."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import botocore.session
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from atelier.provider_keys.master_keys import parse_master_keys
from atelier.settings import SigningSecrets
from tests.invoke import event, load_function

NAMES = ("identity", "media", "attempts", "edge", "provider_keys", "links", "backups")


@dataclass
class CloudFormation:
    """Records the responses that the custom resource sends to the presigned `url`."""

    url: str
    answers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    content_types: list[str | None] = field(default_factory=list[str | None])


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            taken.content_types.append(self.headers["content-type"])
            taken.answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing: the responses are recorded."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        taken = CloudFormation(f"http://127.0.0.1:{server.server_address[1]}/signed?signature=x")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield taken
        server.shutdown()
        thread.join()


@pytest.fixture
def secrets(aws: botocore.session.Session, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The empty secrets as the template creates them; returns the client to read them with."""
    manager = aws.create_client("secretsmanager")
    for name in NAMES:
        secret = f"{name}-{uuid.uuid4().hex}"
        manager.create_secret(Name=secret, SecretString="{}")
        monkeypatch.setenv(f"ATELIER_SECRET_{name.upper()}", secret)
    return manager


def contents(secrets: Any) -> dict[str, Any]:
    names = vars(SigningSecrets.read())
    return {name: json.loads(secrets.get_secret_value(SecretId=names[name])["SecretString"]) for name in NAMES}


def ask(cloudformation: CloudFormation, **changes: str) -> dict[str, Any]:
    """The response to the recorded request with these changes."""
    request = event("tasks/create_signing_keys/create", ResponseURL=cloudformation.url, **changes)
    load_function("tasks/create_signing_keys").handler(request, None)
    return cloudformation.answers[-1]


def test_the_first_deployment_fills_the_secrets_and_returns_only_public_keys(
    cloudformation: CloudFormation, secrets: Any
) -> None:
    answer = ask(cloudformation)
    filled = contents(secrets)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "signing-keys")
    assert answer["LogicalResourceId"] == "SigningKeys"
    assert answer["Data"] == {
        "MediaPublicKeyPem": filled["media"]["public_key_pem"],
        "EdgeKeyDigest": hashlib.sha256(filled["edge"]["key"].encode()).hexdigest(),
    }
    assert load_pem_public_key(answer["Data"]["MediaPublicKeyPem"].encode()).key_size == 2048  # type: ignore[union-attr]
    [key] = filled["identity"]["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    assert {"kid", "d"} <= set(key)
    assert len(bytes.fromhex(filled["attempts"]["key"])) == 32
    assert len(bytes.fromhex(filled["links"]["key"])) == 32
    assert filled["links"] != filled["attempts"]
    assert len(parse_master_keys(filled["provider_keys"]).newest.key) == 32
    assert "PRIVATE" not in json.dumps(answer)
    # CloudFormation's presigned URL is signed for an empty content type.
    assert cloudformation.content_types == [""]


def test_a_later_deployment_overwrites_nothing(cloudformation: CloudFormation, secrets: Any) -> None:
    first = ask(cloudformation)
    filled = contents(secrets)
    again = ask(cloudformation, RequestType="Update", PhysicalResourceId="signing-keys")
    assert again["Data"] == first["Data"]
    assert contents(secrets) == filled


def test_deleting_the_stack_deletes_no_key(cloudformation: CloudFormation, secrets: Any) -> None:
    ask(cloudformation)
    filled = contents(secrets)
    answer = ask(cloudformation, RequestType="Delete", PhysicalResourceId="signing-keys")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "signing-keys")
    assert contents(secrets) == filled


def test_a_failure_is_reported_to_cloudformation(
    cloudformation: CloudFormation, secrets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del secrets
    monkeypatch.setenv("ATELIER_SECRET_MEDIA", "arn:aws:secretsmanager:us-east-1:000000000000:secret:absent")
    answer = ask(cloudformation)
    assert answer["Status"] == "FAILED"
    assert answer["Data"] == {}
