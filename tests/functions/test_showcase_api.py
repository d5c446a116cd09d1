"""The showcase over HTTP: publish, buy, collect; who may read what, and what bad requests get."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.showcase.items import ListingItem
from atelier.adapters.aws.s3 import MediaStore
from atelier.adapters.media.keys import media_key, thumbnail_key
from atelier.audit_log.model import Origin
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.ids import new_id
from atelier.ledger.model import GrantSource
from atelier.ledger.post import grant
from atelier.library.model import Asset
from atelier.notifications.notify import notify_of_events
from atelier.notifications.ports import NotificationView
from atelier.settings import MediaBucket
from atelier.showcase.advance import advance_showcase
from atelier.showcase.end_listings import end_listings
from atelier.showcase.moderate import ListingDecision, decide
from atelier.wiring import feeds, ledger, notifications, showcase
from atelier.wiring.library import assets, stored_files
from tests.functions.conftest import AwsResources
from tests.functions.moving import create_project, move_record
from tests.functions.people import (
    Person,
    call,
    create_administrator,
    create_organization,
    create_person,
    join,
    set_tier,
)
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

PATH = "/api/showcase"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/showcase")


def rich(name: str, credits: int = 500) -> Person:
    """A person with bought credits."""
    person = create_person(name)
    key = f"grant#{person.workspace_id}"
    deps = showcase.deps().wallets
    grant(person.workspace_id, key, GrantSource.PURCHASE, credits, deps=deps, now=system_clock())
    return person


def bucket() -> MediaStore:
    return MediaStore(MediaBucket.read().bucket)


def picture(person: Person, data: bytes = b"picture", **facts: Any) -> Asset:
    """An image in a person's library, with its file and thumbnail."""
    at, sha256 = system_clock(), data.hex().ljust(64, "0")
    of = person.workspace_id, person.user_id
    made = Asset(new_id("ast", at), *of, "image", "Lighthouse", "png", sha256, len(data), 64, 64, None, at, **facts)
    assets().record_upload(made)
    bucket().put(media_key(person.workspace_id, sha256, "png"), data, "image/png")
    bucket().put(thumbnail_key(person.workspace_id, sha256), b"small", "image/webp")
    return made


def body(asset_id: str, **fields: Any) -> dict[str, Any]:
    said = {"title": "Lighthouse", "description": "At dusk", "tags": ["Sea", "sea"], "price_credits": 100}
    return {"asset_id": asset_id, **said, **fields}


def approve(listing_id: str) -> None:
    """A moderator lets everybody see it."""
    decide(listing_id, ListingDecision.APPROVE, "fine", Origin(), deps=showcase.deps(), now=system_clock())


def offered(app: ModuleType, person: Person, **fields: Any) -> str:
    made: str = success_data(call(app, person, f"POST {PATH}", body(picture(person).id, **fields)))["listing"]["id"]
    approve(made)
    return made


def test_a_work_from_its_publication_to_the_library_of_who_bought_it(app: ModuleType) -> None:
    ada, bob, eve = create_person("ada"), rich("bob"), create_person("eve")
    asset = picture(ada)
    sent = call(app, ada, f"POST {PATH}", body(asset.id), **{"idempotency-key": "k1"})
    made = success_data(sent)["listing"]
    assert (sent["statusCode"], made["status"], made["tags"]) == (201, "pending", ["sea"])
    assert success_data(call(app, ada, f"POST {PATH}", body(asset.id), **{"idempotency-key": "k1"}))["listing"] == made
    one = f"{PATH}/{made['id']}"
    assert success_data(call(app, bob, f"GET {PATH}"))["items"] == []
    for request in (f"GET {one}", f"GET {one}/mine", f"POST {one}/purchase", f"POST {one}/collect"):
        assert error_of(call(app, bob, request, {} if request.startswith("POST") else None)) == (404, "NOT_FOUND")
    approve(made["id"])

    [shown] = success_data(call(app, bob, f"GET {PATH}"))["items"]
    assert (shown["creator"]["name"], shown["licence"]["id"], shown["disclosure"]) == ("Ada", "standard", "uploaded")
    assert f"/media/{made['id']}/" in shown["thumbnail_url"]
    assert bucket().get(thumbnail_key(made["id"], asset.sha256), 99) == b"small"
    bought = call(app, bob, f"POST {one}/purchase", {"price_credits": 100})
    receipt = success_data(bought)["purchase"]
    assert (bought["statusCode"], receipt["fee_credits"], receipt["shares"]) == (
        201,
        10,
        [{"role": "seller", "credits": 90}],
    )
    assert call(app, bob, f"POST {one}/purchase", {})["headers"]["Idempotent-Replayed"] == "true"
    assert success_data(call(app, bob, f"GET {one}/mine"))["purchase"] == receipt
    waiting = success_data(call(app, ada, f"GET /api/creators/{ada.user_id}/earnings"))
    assert (waiting["earned_credits"], waiting["balance_credits"], waiting["waiting_credits"]) == (90, 0, 90)
    assert [each["paid_at"] for each in waiting["items"]] == [None]
    collected = success_data(call(app, bob, f"POST {one}/collect"))
    copy = assets().get(bob.workspace_id, collected["id"])
    assert copy.listing_id == made["id"]
    assert bucket().get(media_key(bob.workspace_id, copy.sha256, "png"), 99) == b"picture"
    assert error_of(call(app, bob, f"POST {one}/refund")) == (409, "CONFLICT")
    assert [each["state"] for each in success_data(call(app, bob, "GET /api/purchases"))["items"]] == ["collected"]
    [own] = success_data(call(app, ada, "GET /api/listings"))["items"]
    assert (own["sales"], own["subject_id"]) == (1, asset.id)

    earned = success_data(call(app, ada, f"GET /api/creators/{ada.user_id}/earnings"))
    assert (earned["balance_credits"], earned["waiting_credits"], earned["sales"]) == (90, 0, 1)
    assert not earned["payout"]["available"]
    assert [(each["credits"], bool(each["paid_at"])) for each in earned["items"]] == [(90, True)]
    for other in (bob, eve):
        assert error_of(call(app, other, f"GET /api/creators/{ada.user_id}/earnings")) == (404, "NOT_FOUND")
    assert ledger.wallets().wallet(ada.workspace_id).grant("earnings") is not None

    assert error_of(call(app, bob, f"DELETE {one}")) == (404, "NOT_FOUND")
    assert success_data(call(app, ada, f"DELETE {one}"))["listing"]["status"] == "removed"
    assert error_of(call(app, eve, f"GET {one}")) == (404, "NOT_FOUND")
    assert success_data(call(app, bob, f"POST {one}/collect"))["id"] == copy.id


@pytest.mark.parametrize(
    "fields",
    [
        {"price_credits": -1},
        {"price_credits": 1.5},
        {"price_credits": 100_001},
        {"licence": "none"},
        {"title": "  "},
        {"tags": ["x"] * 11},
        {"character_id": "chr_01M7XCN60Q0Z9AH99VAAQWYH99"},
        {"asset_id": None},
        {"asset_id": "ast_01M7XCN60Q0Z9AH99VAAQWYH99"},
        {"status": "visible"},
    ],
    ids=str,
)
def test_what_cannot_be_published(app: ModuleType, fields: dict[str, Any]) -> None:
    ada = create_person("ada")
    sent = {name: value for name, value in (body(picture(ada).id) | fields).items() if value is not None}
    assert error_of(call(app, ada, f"POST {PATH}", sent)) == (422, "VALIDATION_FAILED")


def test_an_asset_of_somebody_else_is_not_published(app: ModuleType) -> None:
    ada, eve = create_person("ada"), create_person("eve")
    assert error_of(call(app, eve, f"POST {PATH}", body(picture(ada).id))) == (422, "VALIDATION_FAILED")


def test_a_character_and_a_template_are_copied_with_what_they_need(app: ModuleType) -> None:
    ada, bob, library = create_person("ada"), rich("bob"), load_function("api/library")
    asset = picture(ada)
    character = {"name": "Mira", "reference_asset_ids": [asset.id], "style": "ink"}
    made = success_data(call(library, ada, "POST /api/characters", character))["character"]["id"]
    template = {"name": "Dusk", "kind": "image", "prompt": "a {{thing}} at dusk"}
    also = success_data(call(library, ada, "POST /api/templates", template))["template"]["id"]
    for name, subject_id in (("character", made), ("template", also)):
        said = {"title": name, "price_credits": 0, f"{name}_id": subject_id}
        listing = success_data(call(app, ada, f"POST {PATH}", said))["listing"]["id"]
        approve(listing)
        success_data(call(app, bob, f"POST {PATH}/{listing}/purchase", {}))
        got = success_data(call(app, bob, f"POST {PATH}/{listing}/collect"))
        view = success_data(call(library, bob, f"GET /api/{name}s/{got['id']}"))[name]
        if name == "character":
            assert (view["name"], view["style"], view["reference_asset_ids"]) == ("Mira", "ink", got["asset_ids"])
            assert assets().get(bob.workspace_id, got["asset_ids"][0]).sha256 == asset.sha256
        else:
            assert (view["name"], view["prompt"], got["asset_ids"]) == ("Dusk", "a {{thing}} at dusk", [])


def test_roles_decide_who_buys_and_publishes(app: ModuleType) -> None:
    ada, bob, eve = create_person("ada"), create_person("bob"), rich("eve")
    workspaces = load_function("api/workspaces")
    atlas = create_organization(workspaces, ada)["id"]
    set_tier(atlas, "starter@1")
    join(workspaces, ada, atlas, bob, "viewer")
    inside = {"atelier-workspace": atlas}
    listing = offered(app, eve)
    assert error_of(call(app, bob, f"POST {PATH}/{listing}/purchase", {}, **inside)) == (403, "FORBIDDEN")
    assert error_of(call(app, bob, f"POST {PATH}", body(picture(bob).id), **inside)) == (403, "FORBIDDEN")
    assert error_of(call(app, ada, f"POST {PATH}/{listing}/purchase", {}, **inside)) == (402, "INSUFFICIENT_CREDITS")
    with pytest.raises(NotFound):
        showcase.deps().listings.find("lst_01M7XCN60Q0Z9AH99VAAQWYH99")


def test_the_list_is_read_page_by_page(app: ModuleType) -> None:
    ada = create_person("ada")
    made = [offered(app, ada, title=f"Number {number}") for number in range(3)]
    page = success_data(call(app, ada, f"GET {PATH}?limit=2"))
    rest = success_data(call(app, ada, f"GET {PATH}?limit=2&cursor={page['next_cursor']}"))
    assert [each["id"] for each in (*page["items"], *rest["items"])] == list(reversed(made))
    assert error_of(call(app, ada, f"GET {PATH}?cursor=bm9uZQ"))[0] == 422


def test_a_lineage_shows_what_was_bought_and_from_whom_and_no_more(app: ModuleType) -> None:
    ada, bob, cem, library = create_person("ada"), rich("bob"), rich("cem"), load_function("api/library")
    first = offered(app, ada, title="First")
    success_data(call(app, bob, f"POST {PATH}/{first}/purchase", {}))
    bobs = success_data(call(app, bob, f"POST {PATH}/{first}/collect"))["id"]
    remix = picture(bob, b"remix")
    AssetItem(bob.workspace_id, remix.id).update([AssetItem.made_from.set([bobs])])
    second = success_data(call(app, bob, f"POST {PATH}", body(remix.id, title="Second")))["listing"]["id"]
    approve(second)
    success_data(call(app, cem, f"POST {PATH}/{second}/purchase", {}))
    cems = success_data(call(app, cem, f"POST {PATH}/{second}/collect"))["id"]
    lineage = success_data(call(library, cem, f"GET /api/assets/{cems}/lineage"))
    assert [(each["title"], each["name"], each["distance"]) for each in lineage["bought_from"]] == [
        ("Second", "Bob", 1),
        ("First", "Ada", 2),
    ]
    [step] = lineage["steps"]
    assert (step["name"], step["listing_id"], step["credits"], lineage["credits"]) == ("Cem", second, None, 0)
    assert remix.id not in json.dumps(lineage)
    lineage = success_data(call(library, bob, f"GET /api/assets/{remix.id}/lineage"))
    assert [each["listing_id"] for each in lineage["steps"]] == [None, first]
    assert error_of(call(library, cem, f"GET /api/assets/{remix.id}/lineage")) == (404, "NOT_FOUND")


@pytest.mark.parametrize("licence", ["personal", "standard"])
def test_what_is_made_from_a_bought_work_owes_the_same_after_a_move(app: ModuleType, licence: str) -> None:
    ada, bob, cem, projects = create_person("ada"), rich("bob"), rich("cem"), load_function("api/projects")
    organization_id = create_organization(load_function("api/workspaces"), bob)["id"]
    in_organization = {"atelier-workspace": organization_id}
    first = offered(app, ada, title="First", licence=licence, price_credits=100)
    success_data(call(app, bob, f"POST {PATH}/{first}/purchase", {}))
    bobs = success_data(call(app, bob, f"POST {PATH}/{first}/collect"))["id"]
    project = create_project(bob.workspace_id, "Remixes")
    remix, second_remix = (picture(bob, name, project_id=project.id) for name in (b"remix", b"of the remix"))
    AssetItem(bob.workspace_id, remix.id).update([AssetItem.made_from.set([bobs])])
    AssetItem(bob.workspace_id, second_remix.id).update([AssetItem.made_from.set([remix.id])])
    move = {"workspace_id": organization_id}
    assert call(projects, bob, f"POST /api/projects/{project.id}/move", move)["statusCode"] == 202
    load_function("streams/library").handler(move_record(bob.workspace_id, project.id), None)

    for each in (remix, second_remix):
        sent = call(app, bob, f"POST {PATH}", body(each.id, title="Remix", price_credits=100), **in_organization)
        if licence == "personal":
            assert error_of(sent) == (409, "CONFLICT")
            continue
        listing_id = success_data(sent)["listing"]["id"]
        approve(listing_id)
        receipt = success_data(call(app, cem, f"POST {PATH}/{listing_id}/purchase", {}))["purchase"]
        assert [share["role"] for share in receipt["shares"]] == ["seller", "royalty"]


def notified_of(person: Person) -> list[str]:
    """What a person is notified of, oldest first, after the schedule, and the feed's consumer twice."""
    advance_showcase(None, deps=showcase.advance_deps(), clock=system_clock)
    found = feeds.feeds().after(person.workspace_id, 0, system_clock()).entries
    for _ in range(2):
        events = [each.event for each in found]
        notify_of_events(person.workspace_id, events, notifications.notify_deps(), system_clock())
    got = notifications.store().page(person.user_id, NotificationView.CURRENT, None, 50).notifications
    return [each.kind.value for each in sorted(got, key=lambda each: each.created_at)]


def test_creators_are_notified_of_sales_royalties_and_decisions_once(app: ModuleType) -> None:
    ada, bob, cem = create_person("ada"), rich("bob"), rich("cem")
    first = offered(app, ada)
    success_data(call(app, bob, f"POST {PATH}/{first}/purchase", {}))
    bobs = success_data(call(app, bob, f"POST {PATH}/{first}/collect"))["id"]
    remix = picture(bob, b"remix")
    AssetItem(bob.workspace_id, remix.id).update([AssetItem.made_from.set([bobs])])
    second = success_data(call(app, bob, f"POST {PATH}", body(remix.id)))["listing"]["id"]
    approve(second)
    success_data(call(app, cem, f"POST {PATH}/{second}/purchase", {}))
    success_data(call(app, cem, f"POST {PATH}/{second}/refund"))
    decide(second, ListingDecision.REJECT, "no", Origin(), deps=showcase.deps(), now=system_clock())
    success_data(call(app, bob, f"POST {PATH}/{second}/appeal"))
    approve(second)
    sale, refund = "listing_sold", "sale_refunded"
    assert notified_of(ada) == ["listing_approved", sale, "royalty_earned", refund]
    assert notified_of(bob) == ["listing_approved", sale, refund, "listing_rejected", "listing_approved"]
    assert notified_of(cem) == []


def test_an_erased_creators_listings_are_gone_and_buyers_keep_theirs(app: ModuleType) -> None:
    ada, bob = create_person("ada"), rich("bob")
    sold, unsold = offered(app, ada, title="Sold"), offered(app, ada, title="Unsold")
    success_data(call(app, bob, f"POST {PATH}/{sold}/purchase", {}))
    store = showcase.listings()
    for _ in range(2):
        end_listings(ada.workspace_id, store=store, files=stored_files, pause=lambda _: None, now=system_clock())
    assert success_data(call(app, bob, f"GET {PATH}?q=sold"))["items"] == []
    assert (store.has_snapshot(sold), store.has_snapshot(unsold)) == (True, False)
    for kind in ("listing#", "earning#", "earned#"):
        for item in ListingItem.query(ada.workspace_id, ListingItem.sk.startswith(kind)):
            item.delete()
    got = success_data(call(app, bob, f"POST {PATH}/{sold}/collect"))
    assert assets().get(bob.workspace_id, got["id"]).listing_id == sold
    # The schedule publishes what it finds, and is not stopped by what is gone.
    assert advance_showcase(None, deps=showcase.advance_deps(), clock=system_clock) >= 2
    assert advance_showcase(None, deps=showcase.advance_deps(), clock=system_clock) == 0


def test_moderators_decide_and_only_they(app: ModuleType) -> None:
    ada, bob, root = create_person("ada"), create_person("bob"), create_administrator("root")
    made = success_data(call(app, ada, f"POST {PATH}", body(picture(ada).id)))["listing"]["id"]
    assert error_of(call(app, ada, "GET /api/admin/showcase"))[0] in (403, 404)
    queue = success_data(call(app, root, "GET /api/admin/showcase"))["items"]
    assert made in [each["id"] for each in queue]
    shown = success_data(call(app, root, f"GET /api/admin/showcase/{made}"))["listing"]
    assert (shown["workspace_id"], len(shown["file_urls"]), shown["reports"]) == (ada.workspace_id, 1, [])
    no, decide_it = {"decision": "reject", "reason": "Blurred"}, f"POST /api/admin/showcase/{made}/decide"
    assert success_data(call(app, root, decide_it, no))["listing"]["status"] == "rejected"
    assert success_data(call(app, ada, f"GET {PATH}/{made}/mine"))["listing"]["reason"] == "Blurred"
    assert success_data(call(app, ada, f"POST {PATH}/{made}/appeal"))["listing"]["status"] == "pending"
    yes = {"decision": "approve", "reason": "Better"}
    success_data(call(app, root, decide_it, yes))
    liked = success_data(call(app, bob, f"POST {PATH}/{made}/like"))
    assert liked == {"likes": 1, "likes_it": True}
    assert success_data(call(app, bob, f"GET {PATH}/{made}"))["listing"]["likes"] == 1
    assert success_data(call(app, bob, f"DELETE {PATH}/{made}/like")) == {"likes": 0, "likes_it": False}
    report = {"reason": "spam", "text": "again"}
    assert success_data(call(app, bob, f"POST {PATH}/{made}/report", report))["is_first"]
    assert not success_data(call(app, bob, f"POST {PATH}/{made}/report", report))["is_first"]
    assert error_of(call(app, bob, f"POST {PATH}/{made}/report", {"reason": "dull"}))[0] == 422
    assert success_data(call(app, bob, f"POST /api/creators/{ada.user_id}/follow"))["follows"]
    [seen] = success_data(call(app, bob, "GET /api/listings/followed"))["items"]
    assert seen["id"] == made
    assert success_data(call(app, bob, "GET /api/listings/rules"))["split"]["fee_percent"] == 10
    for query in ("q=lighthouse", "tag=sea", f"creator={ada.user_id}", "order=popular"):
        assert made in [each["id"] for each in success_data(call(app, bob, f"GET {PATH}?{query}"))["items"]]
    assert success_data(call(app, bob, f"GET {PATH}?q=!"))["items"] == []
    for cursor in ("bm9uZQ", "bGlzdGluZyNhI2IjYw"):
        assert error_of(call(app, bob, f"GET {PATH}?cursor={cursor}"))[0] == 422
        assert error_of(call(app, bob, f"GET {PATH}?q=sea&cursor={cursor}"))[0] == 422
