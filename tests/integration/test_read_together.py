"""Items of several tables in one batch read: the wallet with a caller's session and role, and unprocessed keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from urllib3.response import HTTPResponse

from atelier.adapters.aws.dynamodb import READ_ATTEMPTS_MAX, batch_read
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.identity.access_reads import DynamoAccessReads
from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem, wallet_address, wallet_from_item
from atelier.adapters.aws.dynamodb.usage import UsageItem, storage_address, used_from_item
from atelier.errors import Unavailable
from atelier.identity.access import Access
from atelier.identity.opening import Opening
from atelier.identity.permissions import Role
from atelier.ids import new_id
from tests.conftest import Tables
from tests.contracts.test_identity import account, bind
from tests.integration.world import NOON, World, client_event_hook


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


@contextmanager
def leaving(times: int) -> Iterator[list[dict[str, Any]]]:
    """Answers the first `times` batch reads with every key unprocessed; yields the requested keys of each read."""
    requests: list[dict[str, Any]] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse | None:
        assert isinstance(request.body, bytes)
        requests.append(json.loads(request.body)["RequestItems"])
        if len(requests) > times:
            return None
        body = json.dumps({"Responses": {}, "UnprocessedKeys": requests[-1]}).encode()
        raw = HTTPResponse(BytesIO(body), preload_content=False)
        return AWSResponse(request.url, 200, {"content-type": "application/x-amz-json-1.0"}, raw)

    with client_event_hook("before-send.dynamodb.BatchGetItem", answer):
        yield requests


def test_items_of_two_tables_are_read_and_a_missing_one_is_left_out(world: World) -> None:
    made = world.submit().generation
    wallet, generation = wallet_address(world.workspace_id), (GenerationItem, world.workspace_id, made.id)
    nothing = GenerationItem, world.workspace_id, new_id("gen", NOON)
    found = batch_read([wallet, generation, nothing])
    assert set(found) == {wallet, generation}
    assert wallet_from_item(found[wallet]) == world.wallet()
    assert found[generation].sk == made.id


def test_unprocessed_keys_are_read_again(world: World) -> None:
    place = wallet_address(world.workspace_id)
    with leaving(2) as requests:
        assert wallet_from_item(batch_read([place])[place]) == world.wallet()
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]


def test_keys_that_stay_unprocessed_raise_unavailable(world: World) -> None:
    with leaving(READ_ATTEMPTS_MAX), pytest.raises(Unavailable):
        batch_read([wallet_address(world.workspace_id)])


def test_one_table_of_a_batch_may_be_read_with_eventual_consistency(world: World) -> None:
    UsageItem(world.workspace_id, "usage#storage", used=7).save()
    wallet, counter = wallet_address(world.workspace_id), storage_address(world.workspace_id)
    with leaving(0) as requests:
        found = batch_read([wallet], eventual=[counter])
    assert (wallet_from_item(found[wallet]), used_from_item(found[counter])) == (world.wallet(), 7)
    assert {table: each["ConsistentRead"] for table, each in requests[0].items()} == {
        WalletItem.Meta.table_name: True,
        UsageItem.Meta.table_name: False,
    }


def test_reading_a_callers_standing_prefetches_wallet_and_stored_bytes(world: World, tables: Tables) -> None:
    bind(tables)
    credentials, user, workspace, session, _ = account()
    DynamoAccounts().create(credentials, user, workspace, Opening(session))
    standings = DynamoAccessReads(wallet_address, storage_address)
    assert standings.session_access(user.id, session.id, workspace.id, personal=True) == Access(Role.OWNER, session)
    wallet = wallet_from_item(standings.wallet)
    assert wallet is not None
    assert (wallet.workspace_id, wallet.own_routes) == (workspace.id, False)
    assert used_from_item(standings.counter) == 0
    UsageItem(workspace.id, "usage#storage", used=-7).save()
    standings.session_access(user.id, session.id, workspace.id, personal=True)
    assert used_from_item(standings.counter) == -7
    assert standings.session_access(user.id, session.id, new_id("wsp", NOON), personal=False) == Access(None, session)
    assert (wallet_from_item(standings.wallet), used_from_item(standings.counter)) == (None, 0)
