"""Likes, reports, moderation, search and what is popular, on the embedded DynamoDB."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.showcase.ranks import EVENTS_MAX
from atelier.caller import Caller
from atelier.errors import Conflict, NotFound
from atelier.events.showcase_events import ListingRoyalty, ListingSale
from atelier.ids import new_id
from atelier.showcase.buy import Acquirer, buy
from atelier.showcase.model import Listing, ListingStatus, Report
from atelier.showcase.moderate import ListingDecision, appeal, report
from atelier.showcase.present import find_listings, list_followed
from atelier.showcase.publish import remove
from atelier.showcase.react import follow, like, unlike
from atelier.showcase.schemas import OwnWorksQuery, ShowcaseQuery
from atelier.showcase.words import search_words
from tests.conftest import Tables
from tests.integration.showcase_world import ShowcaseWorld
from tests.integration.world import run_concurrently

DAY = timedelta(days=1)
Status = ListingStatus


@pytest.fixture
def world(tables: Tables) -> ShowcaseWorld:
    return ShowcaseWorld(tables)


def likes(world: ShowcaseWorld, listing: Listing, *names: str) -> None:
    for name in names:
        like(listing.id, f"usr_{name}", deps=world.deps, now=world.now)


def reported(world: ShowcaseWorld, listing: Listing, name: str) -> bool:
    new = Report(listing.id, f"usr_{name}", "spam", "", world.now)
    return report(new, world.world(name).workspace_id, deps=world.deps, now=world.now)


def popular(world: ShowcaseWorld) -> list[str]:
    mine = {name: world.creator(name).workspace_id for name in world.worlds}
    found = world.deps.listings.popular(None, 50).listings
    return [each.id for each in found if each.workspace_id in mine.values()]


def searched(world: ShowcaseWorld, text: str, **wanted: str) -> list[str]:
    words, query = search_words(text), ShowcaseQuery(q=text, **wanted)  # type: ignore[arg-type]
    return [each.id for each in find_listings(f"word#{words[0]}", words, query, world.deps).listings]


def state(world: ShowcaseWorld, listing: Listing) -> ListingStatus:
    return world.deps.listings.find(listing.id).status


def test_likes_count_once_each_however_many_come_at_once(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada")
    done = run_concurrently(30, lambda number: likes(world, listing, f"P{number % 15}"))
    assert not [each for each in done if isinstance(each, Exception)]
    assert world.deps.reactions.likes(listing.id) == 15
    done = run_concurrently(10, lambda number: unlike(listing.id, f"usr_P{number % 5}", deps=world.deps, now=world.now))
    assert not [each for each in done if isinstance(each, Exception)]
    assert world.deps.reactions.likes(listing.id) == 10
    world.advance()
    assert world.deps.listings.find(listing.id).likes == 10
    hidden = world.publish("Ada", world.asset("Ada").id)
    with pytest.raises(NotFound):
        likes(world, hidden, "Bob")


def test_what_is_popular_decays_and_only_what_changed_is_visited(world: ShowcaseWorld) -> None:
    old, new, dull = world.offered("Ada"), world.offered("Ada"), world.offered("Ada")
    likes(world, old, *[f"P{number}" for number in range(6)])
    likes(world, new, "Bob")
    assert world.advance() >= 3
    assert popular(world)[0] == old.id
    assert world.advance() == 0
    before = world.deps.listings.find(dull.id)
    world.time_passes(10 * DAY)
    likes(world, new, "Cem", "Dee")
    assert world.advance() == 1
    assert popular(world)[:2] == [new.id, old.id]
    assert world.deps.listings.find(dull.id) == before
    world.buy(dull, "Bob")
    world.advance()
    assert popular(world)[0] == dull.id
    world.refund(dull, "Bob")
    world.advance()
    assert world.deps.listings.find(dull.id).trend == pytest.approx(before.trend or 0, abs=50)
    assert popular(world)[-1] == dull.id


def test_a_like_while_the_schedule_counts_is_counted_by_the_next_run(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada")
    likes(world, listing, "Bob")
    due = next(each for each in world.advance_deps.store.due(world.now, 50) if each.listing_id == listing.id)
    likes(world, listing, *[f"P{number}" for number in range(20)])
    world.advance_deps.store.settle(due)
    world.advance()
    assert world.deps.listings.find(listing.id).likes == 21


def test_events_of_a_listing_are_published_once(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada")
    world.buy(listing, "Bob")
    world.refund(listing, "Bob")
    world.advance()
    remove(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    world.advance()
    told = sorted(event.type for event in world.bus.events.values() if getattr(event, "listing_id", "") == listing.id)
    expected = ["approved", "refunded", "removed", "sold", "submitted"]
    assert told == [f"listing.{each}" for each in expected]


def test_a_royalty_is_told_to_who_gets_it_and_so_is_its_refund(world: ShowcaseWorld) -> None:
    first = world.offered("Ada")
    world.buy(first, "Bob")
    bobs = world.collect(first, "Bob").id
    second = world.offered("Bob", 200, made_from=[bobs])
    world.buy(second, "Cem")
    world.refund(second, "Cem")
    for _ in range(2):
        world.advance()
    told = [event for event in world.bus.events.values() if getattr(event, "listing_id", "") == second.id]
    earned = [each for each in told if isinstance(each, ListingRoyalty)]
    ada = world.creator("Ada")
    assert {(each.workspace_id, each.user_id, each.credits) for each in earned} == {(ada.workspace_id, "usr_Ada", 20)}
    assert sorted(each.change for each in earned) == ["royalty_earned", "royalty_taken_back"]
    sales = {each.change: (each.workspace_id, each.credits) for each in told if isinstance(each, ListingSale)}
    bob = world.creator("Bob").workspace_id
    assert sales == {"sold": (bob, 160), "refunded": (bob, 160)}


def test_all_events_of_a_busy_listing_are_published_by_one_visit(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 0)
    for number in range(EVENTS_MAX + 1):
        buyer = Acquirer(new_id("wsp", world.now), f"usr_{number}", may_spend=True)
        buy(listing.id, None, buyer, deps=world.deps, now=world.now)
    world.advance()
    assert not world.advance_deps.store.outbox(listing.id)
    sold = [each for each in world.bus.events.values() if each.type == "listing.sold"]
    assert len([each for each in sold if getattr(each, "listing_id", "") == listing.id]) == EVENTS_MAX + 1


def test_three_reports_hide_a_listing_until_a_moderator_decides(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada")
    with pytest.raises(Conflict, match="your own"):
        reported(world, listing, "Ada")
    assert reported(world, listing, "Bob")
    assert not reported(world, listing, "Bob")
    assert reported(world, listing, "Cem")
    assert state(world, listing) is Status.VISIBLE
    run_concurrently(4, lambda number: reported(world, listing, f"D{number % 2}"))
    assert state(world, listing) is Status.HIDDEN
    assert not searched(world, "lighthouse")
    assert popular(world) == []
    with pytest.raises(Conflict, match="not on offer"):
        world.buy(listing, "Bob")
    assert listing.id in [each.id for each in world.deps.listings.in_review(None, 50).listings]
    assert [each.reason for each in world.deps.listings.reports(listing.id, 9)] == ["spam"] * 3 or len(
        world.deps.listings.reports(listing.id, 9)
    ) == 4
    world.decide(listing, ListingDecision.APPROVE)
    assert state(world, listing) is Status.VISIBLE
    # Those who have reported it before are not counted again.
    assert not reported(world, listing, "Bob")
    assert world.deps.listings.find(listing.id).reports == 0
    assert searched(world, "lighthouse") == [listing.id]


def test_a_rejected_listing_may_be_decided_once_more(world: ShowcaseWorld) -> None:
    listing = world.publish("Ada", world.asset("Ada").id)
    with pytest.raises(Conflict):
        appeal(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    rejected = world.decide(listing, ListingDecision.REJECT)
    assert (rejected.status, rejected.reason) == (Status.REJECTED, "reason")
    with pytest.raises(NotFound):
        appeal(world.creator("Eve"), listing.id, deps=world.deps, now=world.now)
    for _ in range(2):
        assert appeal(world.creator("Ada"), listing.id, deps=world.deps, now=world.now).status is Status.PENDING
    world.decide(listing, ListingDecision.REJECT)
    with pytest.raises(Conflict, match="before"):
        appeal(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    remove(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    with pytest.raises(Conflict, match="removed"):
        world.decide(listing, ListingDecision.APPROVE)


def test_listings_are_found_by_all_words_and_by_tag(world: ShowcaseWorld) -> None:
    blue = world.offered("Ada", title="Blaue Brücke", description="An old bridge", tags=("stone", "sea"))
    red = world.offered("Bob", title="Red bridge", description="", tags=("sea",))
    assert searched(world, "bridge") == sorted([blue.id, red.id], reverse=True)
    assert searched(world, "OLD  Bridge!") == [blue.id]
    assert searched(world, "brucke") == [blue.id]
    assert searched(world, "brid") == []
    assert searched(world, "bridge", tag="stone") == [blue.id]
    assert searched(world, "bridge stone") == [blue.id]
    page = find_listings("tag#sea", [], ShowcaseQuery(tag="sea", limit=1), world.deps)
    rest = world.deps.listings.found("tag#sea", page.next_key, 50)
    ours = [each.id for each in (*page.listings, *rest.listings) if each.id in (blue.id, red.id)]
    assert sorted(ours) == sorted([blue.id, red.id])
    remove(world.creator("Ada"), blue.id, deps=world.deps, now=world.now)
    assert searched(world, "bridge") == [red.id]


def test_a_follower_sees_what_the_followed_publish(world: ShowcaseWorld) -> None:
    for name in ("Ada", "Bob"):
        follow(f"usr_{name}", "usr_F", deps=world.deps, now=world.now)
    with pytest.raises(Conflict):
        follow("usr_F", "usr_F", deps=world.deps, now=world.now)
    made = {world.offered(name).id for name in ("Ada", "Bob", "Cem")}
    caller = Caller("usr_F", "wsp_F", "owner")
    seen = list_followed(world.deps, caller, OwnWorksQuery(limit=50), world.now).items
    assert {each.creator.user_id for each in seen} == {"usr_Ada", "usr_Bob"}
    assert len(made & {each.id for each in seen}) == 2
