"""Deployments from a request to the page in a browser: functions/api/deployments, streams/deployments,
tasks/deploy_site and hosted_sites, fed with events of the embedded AWS."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.deployments.items import DEPLOYMENT, QUEUE
from atelier.clock import system_clock
from atelier.deployments.model import SiteManifest, preview_label
from atelier.deployments.render.files import ImageVariant, SiteAsset, digest
from atelier.errors import NotFound
from atelier.wiring import deployments
from infra.simulators.site_hosts.netlify import NetlifySimulator
from tests.dns_server import DnsServer
from tests.functions.conftest import AwsResources
from tests.functions.people import call, create_person
from tests.functions.responses import error_of, success_data
from tests.invoke import ROOT, complete_event, load_function

Json = dict[str, Any]


class Stack:
    """The functions of deployments, called as AWS calls them."""

    def __init__(self, cloud: AwsResources) -> None:
        self.cloud = cloud
        self.sites = load_function("api/sites")
        self.api = load_function("api/deployments")
        self.stream = load_function("streams/deployments")
        self.task = load_function("tasks/deploy_site")
        self.hosted = load_function("hosted_sites")
        self.ada = create_person("ada")

    def site(self, slug: str = "oak") -> Json:
        made = call(self.sites, self.ada, "POST /api/sites", {"name": "Oak & Sons", "slug": slug})
        assert made["statusCode"] == 201, made["body"]
        return success_data(made)["site"]

    def page(self, site: Json, path: str, html: str) -> Json:
        body = {"path": path, "title": "Oak", "blocks": [{"id": "a", "html": html}]}
        made = call(self.sites, self.ada, f"POST /api/sites/{site['id']}/pages", body)
        assert made["statusCode"] == 201, made["body"]
        page: Json = success_data(made)["page"]
        self.publish(page)
        return page

    def change(self, page: Json, html: str) -> Json:
        body = {"title": page["title"], "path": page["path"], "seo": page["seo"], "language": page["language"]}
        body |= {"base_version": page["version"], "blocks": [{"id": "a", "html": html}]}
        saved = call(self.sites, self.ada, f"PUT /api/sites/{page['site_id']}/pages/{page['id']}", body)
        assert saved["statusCode"] == 200, saved["body"]
        changed: Json = success_data(saved)["page"]
        self.publish(changed)
        return changed

    def publish(self, page: Json) -> None:
        path = f"/api/sites/{page['site_id']}/pages/{page['id']}/publish"
        published = call(self.sites, self.ada, f"POST {path}", {"version": page["version"]})
        assert published["statusCode"] == 200, published["body"]

    def request(self, site: Json, **fields: Any) -> Json:
        made = call(self.api, self.ada, "POST /api/deployments", {"site_id": site["id"], **fields})
        assert made["statusCode"] == 202, made["body"]
        return success_data(made)["deployment"]

    def work(self, deployment: Json) -> Json:
        """What the state machine does."""
        ids = {"workspace_id": self.ada.workspace_id, "deployment_id": deployment["id"]}
        for _ in range(100):
            if self.task.handler(ids, None)["has_ended"]:
                return self.get(deployment)
        raise AssertionError(f"{deployment['id']} does not end")

    def get(self, deployment: Json) -> Json:
        found = call(self.api, self.ada, f"GET /api/deployments/{deployment['id']}")
        return success_data(found)["deployment"]

    def show(self, path: str, label: str = "oak", **headers: str) -> Json:
        event = complete_event(ROOT / "events/hosted_sites")
        event |= {"rawPath": f"/hosted{path}", "headers": {**event["headers"], "atelier-site": label, **headers}}
        return self.hosted.handler(event, None)

    def text(self, path: str, label: str = "oak") -> str:
        answer = self.show(path, label)
        assert answer["statusCode"] == 200, answer
        return base64.b64decode(answer["body"]).decode()

    def records(self) -> list[Json]:
        """The records that the table's stream has for its function."""
        items = self.cloud.items(self.cloud.tables.sites)
        ours = [item for item in items if item["sk"]["S"].startswith((DEPLOYMENT, QUEUE))]
        return [
            {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": item["pk"], "sk": item["sk"]}, "NewImage": item}}
            for item in ours
        ]


@pytest.fixture
def stack(cloud: AwsResources) -> Stack:
    return Stack(cloud)


@pytest.fixture
def netlify(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetlifySimulator]:
    with NetlifySimulator() as simulator:
        monkeypatch.setenv("ATELIER_SITE_HOST_URLS", f"netlify={simulator.base_url}")
        yield simulator


def test_a_site_is_deployed_and_shown(stack: Stack) -> None:
    site = stack.site()
    home = stack.page(site, "/", "<h1>Home</h1><p>Chairs</p>")
    stack.page(site, "/about", "<h1>About</h1>")
    assert stack.show("/index.html")["statusCode"] == 404
    first = stack.work(stack.request(site))
    assert (first["status"], first["current"], first["url"]) == ("live", True, "http://oak.localhost:8080")
    assert "<h1>Home</h1>" in stack.text("/index.html")
    assert "<h1>About</h1>" in stack.text("/about/")
    stack.change(home, "<h1>Home</h1><p>Tables</p>")
    assert "Chairs" in stack.text("/")
    second = stack.work(stack.request(site))
    assert "Tables" in stack.text("/")
    # The changed page and the sitemap with its date.
    assert second["uploaded"] == 2
    assert not stack.get(first)["current"]

    back = call(stack.api, stack.ada, f"POST /api/deployments/{first['id']}/rollback")
    assert back["statusCode"] == 202, back["body"]
    rolled = stack.work(success_data(back)["deployment"])
    assert (rolled["status"], rolled["uploaded"], rolled["rolls_back_to"]) == ("live", 0, first["id"])
    assert "Chairs" in stack.text("/")
    assert stack.get(second)["status"] == "rolled_back"
    assert stack.get(first)["current"]
    log = success_data(call(stack.api, stack.ada, f"GET /api/deployments/{first['id']}/log"))
    assert [line["text"] for line in log["lines"]][-1] == "Live at http://oak.localhost:8080"
    listed = success_data(call(stack.api, stack.ada, f"GET /api/deployments?site_id={site['id']}"))
    assert [each["id"] for each in listed["items"]] == [rolled["id"], second["id"], first["id"]]


def test_the_stream_starts_what_may_run_and_tells_it(stack: Stack) -> None:
    site = stack.site()
    stack.page(site, "/", "<h1>Home</h1>")
    first, second = stack.request(site), stack.request(site)
    stack.stream.handler({"Records": stack.records()}, None)
    stack.stream.handler({"Records": stack.records()}, None)
    executions = client("stepfunctions").list_executions(stateMachineArn=stack.cloud.machine)["executions"]
    assert [each["name"] for each in executions if each["name"].startswith("dep_")] == [first["id"]]
    stack.work(first)
    stack.stream.handler({"Records": stack.records()}, None)
    executions = client("stepfunctions").list_executions(stateMachineArn=stack.cloud.machine)["executions"]
    assert {each["name"] for each in executions if each["name"].startswith("dep_")} == {first["id"], second["id"]}


def test_a_deployment_whose_execution_was_stopped_goes_on(stack: Stack) -> None:
    site, sweep = stack.site(), load_function("schedules/reconcile_generations")
    stack.page(site, "/", "<h1>Home</h1>")
    deployment = stack.request(site)
    assert sweep.handler({}, None)["resumed"] == 0
    stack.stream.handler({"Records": stack.records()}, None)
    states = client("stepfunctions")
    (first,) = states.list_executions(stateMachineArn=stack.cloud.machine)["executions"]
    states.stop_execution(executionArn=first["executionArn"])

    def later() -> datetime:
        return system_clock() + timedelta(minutes=10)

    assert sweep.handler({}, None, clock=later)["resumed"] == 1
    assert sweep.handler({}, None, clock=later)["resumed"] == 0
    names = {each["name"] for each in states.list_executions(stateMachineArn=stack.cloud.machine)["executions"]}
    assert names == {deployment["id"], f"{deployment['id']}-1"}
    assert stack.work(deployment)["status"] == "live"


def test_a_repeated_request_is_one_deployment(stack: Stack) -> None:
    site = stack.site()
    key = {"idempotency-key": "0f9d8f4e-deploy"}
    body = {"site_id": site["id"]}
    first = call(stack.api, stack.ada, "POST /api/deployments", body, **key)
    again = call(stack.api, stack.ada, "POST /api/deployments", body, **key)
    assert success_data(first)["deployment"]["id"] == success_data(again)["deployment"]["id"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    other = call(stack.api, stack.ada, "POST /api/deployments", {**body, "preview": True}, **key)
    assert error_of(other) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_waiting_deployment_is_cancelled_at_once(stack: Stack) -> None:
    site = stack.site()
    first, second = stack.request(site), stack.request(site)
    cancelled = call(stack.api, stack.ada, f"POST /api/deployments/{second['id']}/cancel")
    assert success_data(cancelled)["deployment"]["status"] == "cancelled"
    assert success_data(call(stack.api, stack.ada, f"POST /api/deployments/{second['id']}/cancel"))
    stack.work(first)
    refused = call(stack.api, stack.ada, f"POST /api/deployments/{first['id']}/cancel")
    assert error_of(refused) == (409, "CONFLICT")
    refused = call(stack.api, stack.ada, f"POST /api/deployments/{second['id']}/rollback")
    assert error_of(refused) == (409, "CONFLICT")


def test_a_preview_is_shown_at_its_own_address(stack: Stack) -> None:
    site = stack.site()
    page = stack.page(site, "/", "<h1>Home</h1>")
    stack.work(stack.request(site))
    stack.change(page, "<h1>Draft</h1>")
    preview = stack.work(stack.request(site, preview=True))
    label = preview_label("oak", preview["id"])
    assert preview["url"] == f"http://{label}.localhost:8080"
    assert "Draft" in stack.text("/", label)
    assert stack.show("/", label)["headers"]["x-robots-tag"] == "noindex"
    assert "Draft" not in stack.text("/")


def test_strangers_see_no_deployment_and_no_account(stack: Stack) -> None:
    site = stack.site()
    deployment, eve = stack.request(site), create_person("eve")
    for request in ("GET {}", "GET {}/log", "POST {}/cancel", "POST {}/rollback"):
        answer = call(stack.api, eve, request.format(f"/api/deployments/{deployment['id']}"))
        assert error_of(answer) == (404, "NOT_FOUND")
    assert error_of(call(stack.api, eve, "POST /api/deployments", {"site_id": site["id"]})) == (404, "NOT_FOUND")
    assert success_data(call(stack.api, eve, "GET /api/deployments"))["items"] == []
    assert (
        stack.hosted.handler({**complete_event(ROOT / "events/hosted_sites"), "headers": {}}, None)["statusCode"] == 404
    )


def test_an_account_at_another_host_is_added_tested_used_and_removed(netlify: NetlifySimulator, stack: Stack) -> None:
    body = {"kind": "netlify", "credentials": netlify.api_key + "-of-nobody"}
    netlify.api_key = body["credentials"]
    stack.cloud.secrets.append(body["credentials"])
    site = stack.site()
    stack.page(site, "/", "<h1>Home</h1>")
    target = {"site_id": site["id"], "target": "netlify"}
    assert error_of(call(stack.api, stack.ada, "POST /api/deployments", target)) == (422, "VALIDATION_FAILED")
    added = call(stack.api, stack.ada, "POST /api/integrations", body)
    assert added["statusCode"] == 201, added["body"]
    account = success_data(added)["integration"]
    assert body["credentials"] not in added["body"]
    tested = success_data(call(stack.api, stack.ada, f"POST /api/integrations/{account['id']}/test"))
    assert (tested["working"], tested["integration"]["state"]) == (True, "working")
    live = stack.work(stack.request(site, target="netlify"))
    assert live["status"] == "live", live
    assert b"<h1>Home</h1>" in netlify.sites[live["url"]]["/index.html"]
    # Our own edge shows the same bytes.
    stack.work(stack.request(site))
    assert stack.text("/").encode() == netlify.sites[live["url"]]["/index.html"]
    netlify.is_revoked = True
    failed = stack.work(stack.request(site, target="netlify"))
    assert failed["status"] == "failed"
    listed = call(stack.api, stack.ada, "GET /api/integrations")
    assert success_data(listed)["items"][0]["state"] == "refused"
    assert body["credentials"] not in listed["body"]
    assert call(stack.api, stack.ada, f"DELETE /api/integrations/{account['id']}")["statusCode"] == 204
    assert error_of(call(stack.api, stack.ada, f"DELETE /api/integrations/{account['id']}")) == (404, "NOT_FOUND")


def test_a_domain_is_checked_for_its_own_site_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with DnsServer() as server:
        monkeypatch.setenv("ATELIER_DNS_SERVERS", server.address)
        server.add("www.oak.example", "CNAME", "old.example")
        site = stack.site()
        path = f"POST /api/sites/{site['id']}/domain-check"
        assert error_of(call(stack.api, stack.ada, path, {})) == (409, "CONFLICT")
        changed = {"base_version": site["version"], "domain": "www.oak.example"}
        assert call(stack.sites, stack.ada, f"PUT /api/sites/{site['id']}", changed)["statusCode"] == 200
        found = success_data(call(stack.api, stack.ada, path, {"target": "cloudfront"}))
        assert (found["state"], found["domain"]) == ("wrong", "www.oak.example")
        assert found["found"] == [{"type": "CNAME", "name": "www.oak.example", "value": "old.example"}]
        record = {"type": "CNAME", "name": "www.oak.example", "value": "oak.localhost"}
        assert found["options"] == [[record]]
        asked = list(server.asked)
        assert error_of(call(stack.api, create_person("eve"), path, {})) == (404, "NOT_FOUND")
        # Nobody chooses what is asked for.
        answer = call(stack.api, stack.ada, path, {"domain": "intern.example"})
        assert error_of(answer) == (422, "VALIDATION_FAILED")
        assert server.asked == asked


def test_a_site_is_shown_at_its_own_domain(stack: Stack) -> None:
    site = stack.site()
    changed = {"base_version": site["version"], "domain": "www.oak.example"}
    assert call(stack.sites, stack.ada, f"PUT /api/sites/{site['id']}", changed)["statusCode"] == 200
    stack.page(site, "/", "<h1>Home</h1>")
    stack.work(stack.request(site))
    assert stack.text("/", "www.oak.example") == stack.text("/")
    assert stack.show("/", "www.other.example")["statusCode"] == 404


def test_wrong_settings_of_an_account_are_named(stack: Stack) -> None:
    body = {"kind": "github", "credentials": "token-of-nobody", "settings": {"owner": "acme", "team": "x"}}
    refused = call(stack.api, stack.ada, "POST /api/integrations", body)
    assert error_of(refused) == (422, "VALIDATION_FAILED")
    assert "settings.team" in refused["body"]
    assert "settings.repository" in refused["body"]
    refused = call(stack.api, stack.ada, "POST /api/integrations", {"kind": "vercel", "credentials": "tokén of nobody"})
    assert error_of(refused) == (422, "VALIDATION_FAILED")


def test_stored_files_are_removed_with_what_remembers_their_sizes(cloud: AwsResources) -> None:
    files, place = deployments.files(), ("wsp_A", "sit_B")
    small, large, page = (digest(body) for body in (b"small", b"large", b"page"))
    for each, body in ((small, b"small"), (large, b"large"), (page, b"page")):
        files.put(*place, each.sha256, body, "text/plain")
    files.put("wsp_A", "sit_C", small.sha256, b"small", "text/plain")
    image = SiteAsset("ast_D", (ImageVariant(1, 1, small, "image/webp"), ImageVariant(2, 2, large, "image/png")))
    files.keep_variants(*place, "source", image)
    files.keep_variants(*place, "other", SiteAsset("ast_E", (ImageVariant(2, 2, large, "image/png"),)))
    files.put_manifest("wsp_A", SiteManifest("dep_F", "sit_B", ()))
    for _ in range(2):
        files.remove(*place, {small.sha256, "0" * 64})
        files.remove_lists("wsp_A", "dep_F")
    assert files.stored(*place) == {large.sha256, page.sha256}
    assert files.stored("wsp_A", "sit_C") == {small.sha256}
    assert files.variants(*place, "source") is None
    assert files.variants(*place, "other") is not None
    with pytest.raises(NotFound):
        files.manifest("wsp_A", "dep_F")
