"""The records of deployments on the embedded AWS: queues, races, switches, and integrations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb.deployments.integrations import DynamoIntegrations
from atelier.adapters.aws.dynamodb.deployments.items import QUEUE, DeploymentQueueItem
from atelier.adapters.aws.dynamodb.deployments.store import DynamoDeployments
from atelier.adapters.aws.dynamodb.provider_keys import DynamoProviderKeys
from atelier.adapters.aws.integration_credentials import VaultCredentialSealer
from atelier.deployments.model import (
    INTEGRATIONS_MAX,
    OPEN_TIME_MAX,
    WAITING_MAX,
    DeploymentStatus,
    DeploymentTarget,
    Integration,
    IntegrationKind,
    IntegrationState,
    LiveDeployment,
    LogLine,
    SiteDeployment,
)
from atelier.deployments.ports import (
    DeploymentChanged,
    DeploymentExists,
    IntegrationExists,
    TooManyIntegrations,
    TooManyWaiting,
)
from atelier.errors import NotFound
from atelier.ids import new_id
from atelier.provider_keys.master_keys import with_new_key
from atelier.provider_keys.model import UnreadableKey
from atelier.provider_keys.reseal_secrets import reseal_secrets
from atelier.provider_keys.vault import Vault
from tests.embedded_aws import Tables
from tests.integration.world import run_concurrently
from tests.unit.provider_keys.fakes import FakeMasterSecret

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WORKSPACE, SITE, USER = new_id("wsp", NOW), new_id("sit", NOW), new_id("usr", NOW)
CLOUDFRONT = DeploymentTarget.CLOUDFRONT


@pytest.fixture
def store(tables: Tables) -> DynamoDeployments:
    return DynamoDeployments(tables.sites, lambda: NOW)


def a_deployment(workspace_id: str, number: int = 0, **changes: object) -> SiteDeployment:
    at = NOW + timedelta(milliseconds=number)
    made = SiteDeployment(new_id("dep", at), workspace_id, SITE, USER, CLOUDFRONT, at, "https://oak.example")
    return replace(made, **changes)  # type: ignore[arg-type]


def running(workspace_id: str) -> tuple[str | None, list[str]]:
    item = DeploymentQueueItem.get(workspace_id, QUEUE + SITE)
    return item.active, item.waiting or []


def end(store: DynamoDeployments, deployment: SiteDeployment, status: DeploymentStatus = DeploymentStatus.LIVE) -> None:
    before = store.get(deployment.workspace_id, deployment.id)
    store.end(before, before.ended(status, NOW, "Ended.", url="https://oak.example"))


def test_a_record_is_read_as_it_was_written(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    new = a_deployment(workspace, is_preview=True, integration_id=new_id("int", NOW), rolls_back_to=new_id("dep", NOW))
    store.create(new, NOW, ())
    assert store.get(workspace, new.id) == new
    after = new.changed(
        NOW,
        "One line.",
        status=DeploymentStatus.UPLOADING,
        state={"deploy": "x", "n": 1},
        files=3,
        uploaded=2,
        uploaded_bytes=10,
        cancel_requested=True,
        uploading_since=NOW,
    )
    store.save(new, after)
    assert store.get(workspace, new.id) == after
    assert after.log == (LogLine(NOW, "One line."),)
    with pytest.raises(DeploymentChanged):
        store.save(new, after)
    with pytest.raises(NotFound):
        store.get(new_id("wsp", NOW), new.id)


def test_deployments_of_a_site_wait_for_one_another(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    first, second, third = (a_deployment(workspace, number) for number in range(3))
    for each in (first, second, third):
        store.create(each, NOW, ())
    assert running(workspace) == (first.id, [second.id, third.id])
    with pytest.raises(DeploymentExists):
        store.create(first, NOW, ())
    end(store, second, DeploymentStatus.CANCELLED)
    assert running(workspace) == (first.id, [third.id])
    end(store, first, DeploymentStatus.FAILED)
    assert running(workspace) == (third.id, [])
    end(store, third)
    assert running(workspace) == (None, [])
    with pytest.raises(DeploymentChanged):
        store.end(third, third.ended(DeploymentStatus.FAILED, NOW, "Twice."))


def test_parallel_requests_lose_none_and_let_one_run(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    all_of_them = [a_deployment(workspace, number) for number in range(8)]
    results = run_concurrently(8, lambda number: store.create(all_of_them[number], NOW, ()))
    assert results == [None] * 8
    active, waiting = running(workspace)
    assert active is not None
    assert sorted([active, *waiting]) == sorted(each.id for each in all_of_them)
    assert run_concurrently(8, lambda number: end(store, all_of_them[number])) == [None] * 8
    assert running(workspace) == (None, [])


def test_the_queue_has_an_end_that_a_repeated_request_does_not_meet(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    all_of_them = [a_deployment(workspace, number) for number in range(WAITING_MAX + 1)]
    for each in all_of_them:
        store.create(each, NOW, ())
    with pytest.raises(TooManyWaiting):
        store.create(a_deployment(workspace, 99), NOW, ())
    with pytest.raises(DeploymentExists):
        store.create(all_of_them[-1], NOW, ())


def test_a_deployment_whose_job_is_lost_makes_room(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    lost, waiting = a_deployment(workspace), a_deployment(workspace, 1)
    store.create(lost, NOW, ())
    store.create(waiting, NOW, ())
    later = NOW + OPEN_TIME_MAX
    new = a_deployment(workspace, 2)
    store.create(new, later, ())
    assert store.get(workspace, lost.id).status is DeploymentStatus.FAILED
    assert running(workspace) == (waiting.id, [new.id])


def test_those_that_run_are_found_by_their_beginning_until_they_end(store: DynamoDeployments) -> None:
    first, other = a_deployment(new_id("wsp", NOW)), a_deployment(new_id("wsp", NOW), 1)
    waiting = a_deployment(first.workspace_id, 2)
    for each in (first, waiting, other):
        store.create(each, NOW, ())
    assert list(store.running_since(NOW)) == []
    later = NOW + timedelta(seconds=1)
    assert set(store.running_since(later)) == {(each.workspace_id, each.id) for each in (first, other)}
    store.save(first, first.changed(NOW, "It goes on.", resumed=2))
    assert store.get(first.workspace_id, first.id).resumed == 2
    end(store, first)
    end(store, other, DeploymentStatus.FAILED)
    assert list(store.running_since(later)) == [(waiting.workspace_id, waiting.id)]
    end(store, waiting)
    assert list(store.running_since(later)) == []


def test_the_switch_is_one_record_that_a_roll_back_turns_back(store: DynamoDeployments) -> None:
    workspace = new_id("wsp", NOW)
    first, second = a_deployment(workspace), a_deployment(workspace, 1)
    for each in (first, second):
        store.create(each, NOW, ())
        end(store, each)
    assert store.live(workspace, SITE, CLOUDFRONT) == LiveDeployment(second.id, (first.id,))
    preview = a_deployment(workspace, 2, is_preview=True)
    store.create(preview, NOW, ())
    end(store, preview)
    assert store.live(workspace, SITE, CLOUDFRONT) == LiveDeployment(second.id, (first.id,))
    back = a_deployment(workspace, 3, rolls_back_to=first.id)
    store.create(back, NOW, ())
    end(store, back)
    assert store.live(workspace, SITE, CLOUDFRONT) == LiveDeployment(first.id, (second.id,))
    assert store.get(workspace, second.id).status is DeploymentStatus.ROLLED_BACK
    assert store.live(workspace, SITE, DeploymentTarget.NETLIFY) is None


def test_pages_of_deployments_are_newest_first(store: DynamoDeployments) -> None:
    workspace, other = new_id("wsp", NOW), new_id("sit", NOW)
    mine = [a_deployment(workspace, number) for number in range(3)]
    elsewhere = a_deployment(workspace, 3, site_id=other)
    for each in (*mine, elsewhere):
        store.create(each, NOW, ())
    page = store.list(workspace, None, None, 2)
    assert [each.id for each in page.items] == [elsewhere.id, mine[2].id]
    rest = store.list(workspace, None, page.next_id, 10)
    assert [each.id for each in rest.items] == [mine[1].id, mine[0].id]
    assert rest.next_id is None
    assert [each.id for each in store.list(workspace, other, None, 10).items] == [elsewhere.id]


# ---- integrations -------------------------------------------------------------------------------------------------


@pytest.fixture
def master() -> Vault:
    return Vault(FakeMasterSecret())


@pytest.fixture
def integrations(tables: Tables) -> DynamoIntegrations:
    return DynamoIntegrations(tables.providers)


def an_integration(workspace_id: str, sealer: VaultCredentialSealer, token: str = "token-of-nobody") -> Integration:
    id = new_id("int", NOW)
    sealed = sealer.seal(token, workspace_id, id)
    return Integration(
        id,
        workspace_id,
        IntegrationKind.GITHUB,
        "Pages",
        {"owner": "acme", "repository": "site"},
        USER,
        NOW,
        sealed.record,
        sealed.kid,
    )


def test_an_integration_keeps_its_credentials_sealed(integrations: DynamoIntegrations, master: Vault) -> None:
    workspace, sealer = new_id("wsp", NOW), VaultCredentialSealer(master)
    new = an_integration(workspace, sealer)
    integrations.create(new, ())
    with pytest.raises(IntegrationExists):
        integrations.create(new, ())
    stored = integrations.get(workspace, new.id)
    assert stored == new
    assert "token-of-nobody" not in repr(stored) + stored.record
    assert sealer.open(stored) == "token-of-nobody"
    with pytest.raises(UnreadableKey):
        sealer.open(replace(stored, workspace_id=new_id("wsp", NOW)))
    assert integrations.set_state(stored, IntegrationState.REFUSED, NOW)
    assert integrations.get(workspace, new.id).state is IntegrationState.REFUSED
    integrations.remove(stored, ())
    with pytest.raises(NotFound):
        integrations.remove(stored, ())
    assert integrations.list(workspace) == []
    assert not integrations.set_state(stored, IntegrationState.WORKING, NOW)


def test_a_workspace_has_a_bounded_number_of_integrations(integrations: DynamoIntegrations, master: Vault) -> None:
    workspace, sealer = new_id("wsp", NOW), VaultCredentialSealer(master)
    first = an_integration(workspace, sealer)
    for _ in range(INTEGRATIONS_MAX):
        integrations.create(replace(first, id=new_id("int", NOW)), ())
    with pytest.raises(TooManyIntegrations):
        integrations.create(first, ())
    integrations.remove(integrations.list(workspace)[0], ())
    integrations.create(first, ())


def test_a_rotation_of_master_keys_seals_integrations_again(tables: Tables) -> None:
    secret = FakeMasterSecret()
    vault, integrations = Vault(secret), DynamoIntegrations(tables.providers)
    workspace, sealer = new_id("wsp", NOW), VaultCredentialSealer(vault)
    new = an_integration(workspace, sealer)
    integrations.create(new, ())
    secret.current = secret.remembered = with_new_key(secret.current, NOW)
    newest = Vault(secret)
    report = reseal_secrets(secrets=integrations, vault=newest, has_time=lambda: True)
    assert (report.resealed, report.is_complete) == (1, True)
    stored = integrations.get(workspace, new.id)
    assert stored.kid == secret.current["keys"][0]["kid"] != new.kid
    assert VaultCredentialSealer(newest).open(stored) == "token-of-nobody"
    # Provider keys have the same index, and are not mixed up with integrations.
    keys = DynamoProviderKeys()
    keys.bind(tables.providers)
    assert list(keys.list_sealed_by(stored.kid)) == []
