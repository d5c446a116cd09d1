"""Revocations on the embedded AWS: who was added is found for at least the lifetime of an access token."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.identity.revocations import WINDOW_SECONDS, DynamoRevocations
from atelier.identity.access_tokens import CLOCK_SKEW
from atelier.identity.model import ACCESS_TOKEN_LIFETIME
from tests.embedded_aws import Tables

QUARTER = datetime(2026, 11, 30, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize("into_the_window", [0, 1, WINDOW_SECONDS - 1])
def test_who_was_added_is_found_until_every_access_token_has_expired(tables: Tables, into_the_window: int) -> None:
    DynamoRevocations.bind(tables.identity)
    revocations, added = DynamoRevocations(), QUARTER + timedelta(seconds=into_the_window)
    assert revocations.users(added) == frozenset()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(revocations.add, [f"usr_{number % 10}" for number in range(40)], [added] * 40))
    everybody = {f"usr_{number}" for number in range(10)}
    assert revocations.users(added) == everybody
    assert revocations.users(added + ACCESS_TOKEN_LIFETIME + CLOCK_SKEW) == everybody
    assert revocations.users(added + timedelta(seconds=2 * WINDOW_SECONDS)) == frozenset()
