"""The showcase as strangers use it, over HTTP: published, approved, bought, made into something else, bought again."""

from __future__ import annotations

from typing import Any

import httpx

from tests.local.administrator import create_administrator
from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack


def data_of(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["data"]


def image(account: AccountClient, made_from: str | None = None) -> str:
    """An image that the account has made, out of another one if that is said."""
    form: dict[str, Any] = {"image_asset_id": made_from} if made_from else {"width": 128, "height": 96}
    recipe = {"kind": "image", "model": "local/canvas", "prompt": "sea", "parameters": form}
    made = data_of(account.http.post("/api/generate", json=recipe), 202)["generation"]["id"]
    asset_id: str = account.wait_for_end(made)["assets"][0]["id"]
    return asset_id


def offered(account: AccountClient, moderator: AccountClient, asset_id: str, price: int, title: str) -> str:
    """A listing that everybody sees."""
    work = {"asset_id": asset_id, "title": title, "tags": ["sea"], "price_credits": price}
    made: str = data_of(account.http.post("/api/showcase", json=work), 201)["listing"]["id"]
    assert account.get(f"/api/showcase/{made}").status_code == 404
    yes = {"decision": "approve", "reason": "Fine"}
    data_of(moderator.http.post(f"/api/admin/showcase/{made}/decide", json=yes))
    return made


def rich(stack: Stack, moderator: AccountClient) -> AccountClient:
    """Somebody with credits that can pay creators."""
    account = AccountClient(stack.base_url)
    workspace_id = account.get("/api/workspaces").json()["data"]["items"][0]["id"]
    gift = {"credits": 500, "reason": "For the showcase"}
    once = {"Idempotency-Key": workspace_id}
    given = moderator.http.post(f"/api/admin/wallets/{workspace_id}/adjust", json=gift, headers=once)
    assert given.status_code in (200, 201), given.text
    return account


def earned(account: AccountClient) -> Any:
    user_id = data_of(account.get("/api/users/me"))["id"]
    return data_of(account.get(f"/api/creators/{user_id}/earnings"))


def test_a_work_is_bought_and_what_is_made_of_it_pays_royalties(stack: Stack) -> None:
    root, ada = create_administrator(stack.base_url, stack.running), AccountClient(stack.base_url)
    bob, cem = rich(stack, root), rich(stack, root)
    visitor = httpx.Client(base_url=stack.base_url)
    first = offered(ada, root, image(ada), 100, "Quiet harbour")
    shown = data_of(visitor.get(f"/api/showcase/{first}"))["listing"]
    assert (shown["disclosure"], shown["price_credits"]) == ("generated", 100)
    assert visitor.get(shown["thumbnail_url"]).status_code == 200

    refused = AccountClient(stack.base_url).http.post(f"/api/showcase/{first}/purchase", json={})
    assert (refused.status_code, refused.json()["error"]) == (402, "INSUFFICIENT_CREDITS")
    assert bob.http.post(f"/api/showcase/{first}/purchase", json={"price_credits": 90}).status_code == 409
    receipt = data_of(bob.http.post(f"/api/showcase/{first}/purchase", json={"price_credits": 100}), 201)["purchase"]
    assert (receipt["fee_credits"], receipt["shares"]) == (10, [{"role": "seller", "credits": 90}])
    bobs = data_of(bob.http.post(f"/api/showcase/{first}/collect"))["id"]
    asset = data_of(bob.get(f"/api/assets/{bobs}"))["asset"]
    assert visitor.get(asset["url"]).content[:4] == b"\x89PNG"

    second = offered(bob, root, image(bob, made_from=bobs), 200, "Loud harbour")
    data_of(cem.http.post(f"/api/showcase/{second}/purchase", json={}), 201)
    assert (earned(ada)["balance_credits"], earned(ada)["waiting_credits"], earned(bob)["waiting_credits"]) == (
        90,
        20,
        160,
    )
    data_of(cem.http.post(f"/api/showcase/{second}/refund"))
    assert (earned(ada)["waiting_credits"], earned(bob)["waiting_credits"]) == (0, 0)
    # What is bought again after a refund is final, and the next run of the schedule pays for it.
    data_of(cem.http.post(f"/api/showcase/{second}/purchase", json={}), 201)
    poll_until(lambda: earned(bob)["balance_credits"], lambda credits: credits == 160, 90)
    assert (earned(ada)["balance_credits"], earned(ada)["waiting_credits"]) == (110, 0)
    for account in (ada, bob, cem):
        account.assert_books_balance()

    data_of(cem.http.post(f"/api/showcase/{first}/like"))
    popular = poll_until(
        lambda: [each["id"] for each in data_of(visitor.get("/api/showcase?order=popular"))["items"] if each["likes"]],
        lambda ids: first in ids,
        90,
    )
    assert popular
    assert first in [each["id"] for each in data_of(visitor.get("/api/showcase?q=quiet"))["items"]]
    lineage = data_of(bob.get(f"/api/assets/{bobs}/lineage"))
    assert [each["title"] for each in lineage["bought_from"]] == ["Quiet harbour"]
    assert cem.http.delete(f"/api/showcase/{first}").status_code == 404
    data_of(ada.http.delete(f"/api/showcase/{first}"))
    assert visitor.get(f"/api/showcase/{first}").status_code == 404
    assert data_of(bob.http.post(f"/api/showcase/{first}/collect"))["id"] == bobs
