"""Articles of an editorial system elsewhere: mirrored, kept up to date by webhooks and hourly, whatever it answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.articles.model import StaleArticle
from atelier.articles.sync_source import EVERY, sync_due
from atelier.clock import system_clock
from atelier.wiring import articles
from infra.simulators.editorial.sanity import SanitySimulator, paragraph, signature
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.people import call
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.functions.test_articles_api import PATH, Desk, listed, visit
from tests.invoke import EVENTS, complete_event, load_function, with_request


@pytest.fixture
def sanity(monkeypatch: pytest.MonkeyPatch) -> Iterator[SanitySimulator]:
    with SanitySimulator() as simulator:
        monkeypatch.setenv("ATELIER_SITE_HOST_URLS", f"sanity={simulator.url}")
        clear_wiring_caches()
        yield simulator
    clear_wiring_caches()


class Mirror:
    """The editorial workspace, whose articles come from Sanity."""

    def __init__(self, sanity: SanitySimulator) -> None:
        self.app = load_function("api/articles")
        self.desk = Desk(self.app)
        settings = {"project_id": "abc123", "dataset": "production"}
        body = {"kind": "sanity", "credentials": sanity.api_key, "settings": settings}
        self.accounts = load_function("api/deployments")
        sent = call(self.accounts, self.desk.ada, "POST /api/integrations", body, **{"atelier-workspace": self.desk.id})
        self.integration = str(success_data(sent)["integration"]["id"])
        self.choose(self.integration)

    def choose(self, integration: str | None) -> None:
        """Whose articles the public reads."""
        body = {"workspace_id": self.desk.id, "integration_id": integration}
        success_data(call(self.app, self.desk.root, "PUT /api/admin/editorial", body))

    def sync(self, at: datetime) -> int:
        """The job's run at a time; returns how many articles have changed."""
        return sync_due(None, deps=articles.sync_deps(), clock=lambda: at)

    def due_in(self, at: datetime) -> timedelta:
        """When the system is read next."""
        due_at = articles.articles().settings().sync_due_at
        assert due_at is not None
        return due_at - at

    def secret(self) -> str:
        """What the webhook is signed with."""
        told = success_data(call(self.app, self.desk.root, "POST /api/admin/editorial/webhook"))
        assert told["url"].endswith(f"/api/webhooks/editorial/{self.integration}")
        return str(told["secret"])

    def webhook(self, header: str, body: bytes = b'{"_id":"light"}', integration: str = "") -> Reply:
        """A webhook as it comes."""
        sent = with_request(
            complete_event(EVENTS / "api/articles"),
            f"POST /api/webhooks/editorial/{integration or self.integration}",
            headers={"sanity-webhook-signature": header, "content-type": "application/json"},
        )
        sent["requestContext"].pop("authorizer")
        return invoke_app(self.app, {**sent, "body": body.decode(), "isBase64Encoded": False})


@pytest.fixture
def mirror(cloud: AwsResources, sanity: SanitySimulator) -> Mirror:
    return Mirror(sanity)


def test_what_is_published_there_is_read_here_by_the_same_calls(mirror: Mirror, sanity: SanitySimulator) -> None:
    now = system_clock()
    mirror.desk.published(title="Ours")
    image = {"_type": "image", "asset": {"_ref": "image-a1B2-20x10-png"}, "alt": "A lamp"}
    link = {"_key": "l", "_type": "link", "href": "https://example.com/a(b)"}
    body = [paragraph("Light", style="h2"), image, paragraph("here", "strong", "l", markDefs=[link])]
    fields = {"tags": ["film"], "author": {"name": "Ada"}, "language": "en", "publishedAt": "2026-02-01T00:00:00Z"}
    sanity.publish("light", title="Light & shadow", body=body, **fields)
    sanity.publish("drafts.dark")
    sanity.publish("later", publishedAt="2099-01-01T00:00:00Z")
    sanity.publish("nothing", title=None)
    sanity.publish("author", _type="author")
    for number in range(30):
        sanity.publish(f"p{number:02d}")
    assert (mirror.sync(now), mirror.sync(now + EVERY)) == (31, 0)
    assert success_data(visit(mirror.app, f"{PATH}?limit=1"))["next_cursor"]
    assert listed(mirror.app, "?tag=film") == ["Light & shadow"]
    article = success_data(visit(mirror.app, f"{PATH}/light"))["article"]
    assert article["author"] == "Ada"
    assert "<h3>Light</h3>" in article["html"]
    assert 'src="https://cdn.sanity.io/images/abc123/production/a1B2-20x10.png"' in article["html"]
    assert '<a href="https://example.com/a(b)"' in article["html"]
    assert "<strong>here</strong>" in article["html"]
    assert "Light &amp; shadow" in visit_text(mirror.app, "/feed.xml")
    # Both sources are kept; the setting says which one is read.
    mirror.choose(None)
    assert listed(mirror.app) == ["Ours"]


def visit_text(app: ModuleType, path: str) -> str:
    return base64.b64decode(visit(app, path)["body"]).decode()


def test_changes_slugs_and_removals_follow(mirror: Mirror, sanity: SanitySimulator) -> None:
    now = system_clock()
    sanity.publish("one")
    sanity.publish("two")
    mirror.sync(now)
    sanity.publish("one", title="Changed", slug={"current": "one-new"})
    sanity.remove("two")
    assert mirror.sync(now + EVERY) == 2
    assert listed(mirror.app) == ["Changed"]
    assert visit(mirror.app, f"{PATH}/one")["headers"]["Location"] == f"{PATH}/one-new?locale=en"
    assert error_of(visit(mirror.app, f"{PATH}/two")) == (404, "NOT_FOUND")
    sanity.publish("two")
    assert mirror.sync(now + 2 * EVERY) == 1
    # Nobody writes what was mirrored.
    [shown] = [each for each in success_data(visit(mirror.app, PATH))["items"] if each["slug"] == "one-new"]
    assert error_of(mirror.desk.call(f"POST {PATH}/{shown['id']}/unpublish")) == (404, "NOT_FOUND")


def test_a_signed_webhook_makes_it_due_once_and_a_forged_one_does_nothing(
    mirror: Mirror, sanity: SanitySimulator
) -> None:
    now = system_clock()
    mirror.sync(now)
    sanity.publish("light")
    assert mirror.sync(now + timedelta(minutes=1)) == 0
    secret, body, at = mirror.secret(), b'{"_id":"light"}', int(now.timestamp() * 1000)
    for header in ("", "t=1,v1=x", signature(body, "another", at), signature(b"{}", secret, at)):
        assert error_of(mirror.webhook(header)) == (401, "UNAUTHENTICATED")
    foreign = mirror.integration[:-1] + ("A" if mirror.integration[-1] != "A" else "B")
    assert error_of(mirror.webhook(signature(body, secret, at), integration=foreign)) == (401, "UNAUTHENTICATED")
    assert mirror.due_in(now) == EVERY
    for _ in range(2):
        assert mirror.webhook(signature(body, secret, at))["statusCode"] == 200
    assert (mirror.sync(now + timedelta(minutes=1)), mirror.sync(now + timedelta(minutes=1))) == (1, 0)


def test_a_webhook_during_a_run_is_not_lost(mirror: Mirror, sanity: SanitySimulator) -> None:
    now = system_clock()
    sanity.publish("one")
    before = articles.articles().settings()
    header = signature(b"{}", mirror.secret(), 1_800_000_000_000)
    mirror.sync(now)
    assert mirror.webhook(header, b"{}")["statusCode"] == 200
    # The run that read the settings before the webhook came cannot put it off.
    with pytest.raises(StaleArticle):
        articles.articles().save_settings(before, before, ())
    assert mirror.due_in(now) < EVERY


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        ("429-seconds", timedelta(minutes=1)),
        ("500", timedelta(minutes=1)),
        ("slow", timedelta(minutes=1)),
        ("lost", timedelta(minutes=1)),
        ("html", timedelta(minutes=1)),
        ("odd", timedelta(minutes=1)),
        ("huge", timedelta(minutes=15)),
    ],
)
def test_what_the_system_answers_wrongly_changes_nothing(
    mirror: Mirror, sanity: SanitySimulator, fault: str, wait: timedelta
) -> None:
    now = system_clock()
    sanity.publish("light")
    mirror.sync(now)
    sanity.publish("light", title="Changed")
    sanity.fail("GET .*", fault)
    assert mirror.sync(now + EVERY) == 0
    assert listed(mirror.app) == ["Title of light"]
    assert mirror.due_in(now + EVERY) == wait
    assert mirror.sync(now + EVERY + wait) == 1


def test_a_revoked_token_and_a_removed_access_leave_what_was_mirrored(mirror: Mirror, sanity: SanitySimulator) -> None:
    now, own = system_clock(), {"atelier-workspace": mirror.desk.id}
    sanity.publish("light")
    mirror.sync(now)
    tested = call(mirror.accounts, mirror.desk.ada, f"POST /api/integrations/{mirror.integration}/test", **own)
    assert success_data(tested)["working"]
    sanity.is_revoked = True
    tested = call(mirror.accounts, mirror.desk.ada, f"POST /api/integrations/{mirror.integration}/test", **own)
    assert success_data(tested)["failure"] == "The token is not valid, or may not read this dataset."
    assert mirror.sync(now + EVERY) == 0
    assert mirror.due_in(now + EVERY) == timedelta(minutes=15)
    call(mirror.accounts, mirror.desk.ada, f"DELETE /api/integrations/{mirror.integration}", **own)
    assert mirror.sync(now + 2 * EVERY) == 0
    assert listed(mirror.app) == ["Title of light"]


def test_only_an_access_of_the_editorial_workspace_to_such_a_system_is_a_source(mirror: Mirror) -> None:
    body = {"kind": "netlify", "credentials": "a-token-of-a-host"}
    own = {"atelier-workspace": mirror.desk.id}
    host = success_data(call(mirror.accounts, mirror.desk.ada, "POST /api/integrations", body, **own))["integration"]
    foreign = success_data(call(mirror.accounts, mirror.desk.bob, "POST /api/integrations", body))["integration"]
    wanted: dict[str, Any] = {"workspace_id": mirror.desk.id}
    for integration, status in ((host["id"], 422), (foreign["id"], 404)):
        sent = {**wanted, "integration_id": integration}
        assert error_of(call(mirror.app, mirror.desk.root, "PUT /api/admin/editorial", sent))[0] == status
    # The token is nowhere in clear.
    shown = call(mirror.app, mirror.desk.root, "GET /api/admin/editorial")
    assert set(json.loads(shown["body"])["data"]) >= {"integration_id", "source"}
    assert "simulator" not in shown["body"]
