"""Fixtures for feeding events to handlers that are wired to the emulator."""

from __future__ import annotations

import json

import botocore.session
import pytest

from atelier.identity.signing import new_key_set
from tests.embedded_aws import Tables

PUBLIC_URL = "https://media.example.com"


@pytest.fixture
def deployed(tables: Tables, aws: botocore.session.Session, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Tables, signing keys and the environment of a deployed function."""
    secret = f"identity-{tables.identity}"
    aws.create_client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(new_key_set()))
    monkeypatch.setenv("ATELIER_STAGE", "test")
    monkeypatch.setenv("ATELIER_PUBLIC_URL", PUBLIC_URL)
    monkeypatch.setenv("ATELIER_SECRET_IDENTITY", secret)
    return tables
