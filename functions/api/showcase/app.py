"""The showcase over HTTP: what people publish, what others buy of it, and what creators earn."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.showcase import buy, moderate, present, publish, react
from atelier.showcase.model import Report
from atelier.showcase.publish import Creator
from atelier.showcase.schemas import (
    BuyRequest,
    CollectedView,
    DecideListingRequest,
    EarningsView,
    FollowView,
    LikeView,
    ListingEnvelope,
    ListingList,
    MineView,
    OwnListingEnvelope,
    OwnListingList,
    OwnWorksQuery,
    PublishWorkRequest,
    PurchaseEnvelope,
    PurchaseList,
    ReportedView,
    ReportRequest,
    ReviewedListingEnvelope,
    ReviewQueue,
    ShowcaseQuery,
    ShowcaseRules,
)
from atelier.wiring import auth, showcase

api = Api("showcase", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
PATH, ONE = "/api/showcase", "/api/showcase/<listing_id>"
read = partial(api.route, "GET", permission="showcase.read")
publishes = partial(api.route, permission="showcase.publish", answer=OwnListingEnvelope)
buys = partial(api.route, "POST", permission="showcase.buy")


@api.route("GET", PATH, query=ShowcaseQuery, answer=ListingList)
def list_showcase(request: Request[Empty]) -> Response:
    """List what is published; no account is needed."""
    return Response(present.list_showcase(showcase.deps(), request.query, request.now))


@publishes("POST", PATH, body=PublishWorkRequest, statuses=(201,), errors=(403, 409, 503))
def publish_work(request: Request[PublishWorkRequest]) -> Response:
    """Publish an asset, a character or a template. Everybody sees it once a moderator has approved it."""
    fields, key, deps = request.body.fields, request.idempotency_key, showcase.deps()
    made, replayed = publish.publish(_creator(request), fields, key, deps=deps, now=request.now)
    return created(f"{PATH}/{made.id}", present.own_envelope(made, deps, request.now), replayed=replayed)


@api.route("GET", ONE, answer=ListingEnvelope, errors=(404,))
def get_listing(request: Request[Empty]) -> Response:
    """Get one listing; no account is needed."""
    return Response(present.read_listing(showcase.deps(), _id(request), request.now))


@publishes("DELETE", ONE, errors=(403, 404, 503))
def remove_listing(request: Request[Empty]) -> Response:
    """Take your listing back. Who has bought it keeps it."""
    deps = showcase.deps()
    removed = publish.remove(_creator(request), _id(request), deps=deps, now=request.now)
    return Response(present.own_envelope(removed, deps, request.now))


@read(f"{ONE}/mine", answer=MineView, errors=(403, 404))
def get_mine(request: Request[Empty]) -> Response:
    """Get a listing with what it is to you: yours, or bought."""
    return Response(present.read_mine(showcase.deps(), request.caller, _id(request), request.now))


@buys(f"{ONE}/purchase", body=BuyRequest, answer=PurchaseEnvelope, statuses=(201,), errors=(402, 403, 404, 409, 503))
def buy_listing(request: Request[BuyRequest]) -> Response:
    """Buy a listing for your workspace, once; the answer is the receipt."""
    buyer, price = present.buyer_of(request.caller, request.idempotency_key), request.body.price_credits
    done = buy.buy(_id(request), price, buyer, deps=showcase.deps(), now=request.now)
    place = f"{ONE.replace('<listing_id>', _id(request))}/purchase"
    return created(place, present.purchase_envelope(done, request.now), replayed=done.replayed)


@read(f"{ONE}/purchase", answer=PurchaseEnvelope, errors=(403, 404))
def get_purchase(request: Request[Empty]) -> Response:
    """Get the receipt of what your workspace has bought."""
    return Response(present.read_purchase(showcase.deps(), request.caller, _id(request), request.now))


@buys(f"{ONE}/refund", answer=PurchaseEnvelope, errors=(403, 404, 409, 503))
def refund_purchase(request: Request[Empty]) -> Response:
    """Have a purchase refunded: within 24 hours, unless it was collected, once for each listing."""
    done = buy.refund(_id(request), present.buyer_of(request.caller), deps=showcase.deps(), now=request.now)
    return Response(present.purchase_envelope(done, request.now))


@buys(f"{ONE}/collect", answer=CollectedView, errors=(403, 404, 409, 503))
def collect_purchase(request: Request[Empty]) -> Response:
    """Take what you have bought into your library, to use it; from then on there is no refund."""
    done = buy.collect(_id(request), present.buyer_of(request.caller), deps=showcase.deps(), now=request.now)
    return Response(present.collected_view(done, request.now))


@api.route("POST", f"{ONE}/like", permission="showcase.react", answer=LikeView, errors=(403, 404, 503))
def like_listing(request: Request[Empty]) -> Response:
    """Like a listing. Doing it again changes nothing."""
    deps, caller = showcase.deps(), request.caller
    react.like(_id(request), caller.user_id, deps=deps, now=request.now)
    return Response(present.like_view(deps, caller, _id(request)))


@api.route("DELETE", f"{ONE}/like", permission="showcase.react", answer=LikeView, errors=(403, 404, 503))
def unlike_listing(request: Request[Empty]) -> Response:
    """Take your like back. Doing it again changes nothing."""
    deps, caller = showcase.deps(), request.caller
    react.unlike(_id(request), caller.user_id, deps=deps, now=request.now)
    return Response(present.like_view(deps, caller, _id(request)))


@api.route(
    "POST",
    f"{ONE}/report",
    permission="showcase.react",
    body=ReportRequest,
    answer=ReportedView,
    errors=(403, 404, 409, 503),
)
def report_listing(request: Request[ReportRequest]) -> Response:
    """Report a listing to the moderators, once. When several people have, nobody sees it until they have decided."""
    body, caller = request.body, request.caller
    new = Report(_id(request), caller.user_id, body.reason, body.text, request.now)
    is_first = moderate.report(new, caller.workspace_id, deps=showcase.deps(), now=request.now)
    return Response(ReportedView(listing_id=new.listing_id, is_first=is_first))


@publishes("POST", f"{ONE}/appeal", errors=(403, 404, 409, 503))
def appeal_decision(request: Request[Empty]) -> Response:
    """Ask the moderators for another decision about a listing that they have rejected, once."""
    deps = showcase.deps()
    after = moderate.appeal(_creator(request), _id(request), deps=deps, now=request.now)
    return Response(present.own_envelope(after, deps, request.now))


@read("/api/listings/rules", answer=ShowcaseRules, errors=(403,))
def get_rules(request: Request[Empty]) -> Response:
    """Get what publishing and buying go by: how a price is split, licences, reasons of reports."""
    return Response(present.rules())


@read("/api/listings/followed", query=OwnWorksQuery, answer=ListingList, errors=(403,))
def list_followed(request: Request[Empty]) -> Response:
    """List what those publish whom you follow, newest first."""
    return Response(present.list_followed(showcase.deps(), request.caller, request.query, request.now))


@api.route(
    "POST", "/api/creators/<user_id>/follow", permission="showcase.react", answer=FollowView, errors=(403, 404, 409)
)
def follow_creator(request: Request[Empty]) -> Response:
    """Follow a creator. Doing it again changes nothing."""
    user_id = request.path_id("user_id", "usr")
    react.follow(user_id, request.caller.user_id, deps=showcase.deps(), now=request.now)
    return Response(FollowView(user_id=user_id, follows=True))


@api.route("DELETE", "/api/creators/<user_id>/follow", permission="showcase.react", answer=FollowView, errors=(403,))
def unfollow_creator(request: Request[Empty]) -> Response:
    """Follow a creator no more. Doing it again changes nothing."""
    user_id = request.path_id("user_id", "usr")
    react.unfollow(user_id, request.caller.user_id, deps=showcase.deps())
    return Response(FollowView(user_id=user_id, follows=False))


@api.route("GET", "/api/admin/showcase", permission="platform.read", query=OwnWorksQuery, answer=ReviewQueue)
def list_reviews(request: Request[Empty]) -> Response:
    """List the listings that wait for a moderator, the longest waiting first."""
    return Response(present.list_reviews(showcase.deps(), request.query, request.now))


@api.route(
    "GET",
    "/api/admin/showcase/<listing_id>",
    permission="platform.read",
    answer=ReviewedListingEnvelope,
    errors=(404,),
)
def get_review(request: Request[Empty]) -> Response:
    """Get a listing as moderators see it: with its files, its content and what was reported."""
    deps = showcase.deps()
    return Response(present.reviewed_envelope(deps.listings.find(_id(request)), deps, request.now))


@api.route(
    "POST",
    "/api/admin/showcase/<listing_id>/decide",
    permission="platform.act",
    step_up=True,
    body=DecideListingRequest,
    answer=ReviewedListingEnvelope,
    errors=(404, 409, 503),
)
def decide_listing(request: Request[DecideListingRequest]) -> Response:
    """Decide whether everybody sees a listing."""
    body, deps, now = request.body, showcase.deps(), request.now
    after = moderate.decide(_id(request), body.decision, body.reason, request.origin, deps=deps, now=now)
    return Response(present.reviewed_envelope(after, deps, now))


@read("/api/listings", query=OwnWorksQuery, answer=OwnListingList, errors=(403,))
def list_own_listings(request: Request[Empty]) -> Response:
    """List what your workspace has published, newest first."""
    return Response(present.list_own(showcase.deps(), request.caller, request.query, request.now))


@read("/api/purchases", query=OwnWorksQuery, answer=PurchaseList, errors=(403,))
def list_purchases(request: Request[Empty]) -> Response:
    """List what your workspace has bought."""
    return Response(present.list_purchases(showcase.deps(), request.caller, request.query, request.now))


@read("/api/creators/<user_id>/earnings", query=OwnWorksQuery, answer=EarningsView, errors=(403, 404))
def get_earnings(request: Request[Empty]) -> Response:
    """Get what a creator has earned in this workspace: the sums, and each sale and royalty, newest first."""
    user_id = request.path_id("user_id", "usr")
    return Response(present.read_earnings(showcase.deps(), request.caller, user_id, request.query))


def _creator(request: Request[Any]) -> Creator:
    return Creator(request.caller.workspace_id, request.caller.user_id, request.origin)


def _id(request: Request[Any]) -> str:
    return request.path_id("listing_id", "lst")
