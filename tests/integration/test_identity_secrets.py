"""Secrets Manager as the source of the signing keys: what is cached, for how long, and what happens when it fails."""

from __future__ import annotations

import json
import uuid
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from atelier.adapters.aws.secrets import CACHE_SECONDS, FRESH_CACHE_SECONDS, Secret


class Vault:
    """A secret that can be changed and deleted, and the clock of the process that reads it."""

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self.name = f"identity-{uuid.uuid4().hex}"
        self.seconds = 1_000.0
        manager.create_secret(Name=self.name, SecretString=json.dumps({"keys": ["first"]}))
        self.secret = Secret(self.name, lambda: self.seconds)

    def write(self, value: str) -> None:
        self.manager.put_secret_value(SecretId=self.name, SecretString=value)

    def remove(self) -> None:
        self.manager.delete_secret(SecretId=self.name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def vault(aws: botocore.session.Session) -> Vault:
    return Vault(aws.create_client("secretsmanager"))


def test_a_secret_is_cached_for_five_minutes(vault: Vault) -> None:
    assert vault.secret.value() == {"keys": ["first"]}
    vault.write('{"keys": ["second"]}')
    vault.seconds += CACHE_SECONDS - 1
    assert vault.secret.value() == {"keys": ["first"]}
    vault.seconds += 1
    assert vault.secret.value() == {"keys": ["second"]}


def test_a_fresh_read_is_allowed_every_thirty_seconds(vault: Vault) -> None:
    assert vault.secret.key_set() == {"keys": ["first"]}
    vault.write('{"keys": ["second"]}')
    vault.seconds += FRESH_CACHE_SECONDS - 1
    assert vault.secret.key_set(fresh=True) == {"keys": ["first"]}
    vault.seconds += 1
    assert vault.secret.key_set(fresh=True) == {"keys": ["second"]}


def test_a_cached_secret_is_used_while_secrets_manager_fails(vault: Vault) -> None:
    assert vault.secret.value() == {"keys": ["first"]}
    vault.remove()
    vault.seconds += 10 * CACHE_SECONDS
    assert vault.secret.value() == {"keys": ["first"]}


def test_an_unreadable_secret_without_a_cached_value_raises(vault: Vault) -> None:
    vault.remove()
    with pytest.raises(ClientError):
        vault.secret.value()


def test_an_empty_secret_is_an_empty_object(vault: Vault) -> None:
    vault.write("{}")
    assert vault.secret.value() == {}
