"""The main use case, as a black box over HTTP: sign up, generate an image, see it, see its cost."""

from __future__ import annotations

import io
from collections import Counter

import httpx
from PIL import Image

from tests.local.client import AccountClient, run_concurrently
from tests.local.conftest import Stack


def test_a_new_user_generates_an_image_and_sees_its_cost(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    assert person.balance()["available"] == 50
    answer = person.generate(wait=25, width=320, height=200, seed=7)
    assert answer.status_code == 200, answer.text
    made = answer.json()["data"]["generation"]
    assert answer.headers["location"] == f"/api/generations/{made['id']}"
    assert (made["status"], made["progress"], made["provider"], made["model"]) == (
        "succeeded", 100, "local", "local/canvas",
    )  # fmt: skip
    [asset] = made["assets"]
    picture = person.http.get(asset["url"])
    assert picture.headers["content-type"] == f"image/{asset['format']}"
    assert Image.open(io.BytesIO(picture.content)).size == (320, 200) == (asset["width"], asset["height"])
    assert Image.open(io.BytesIO(person.http.get(asset["thumbnail_url"]).content)).format == "WEBP"
    listed = person.get("/api/assets").json()["data"]["items"]
    assert [item["id"] for item in listed] == [asset["id"]]
    assert person.get(f"/api/assets/{asset['id']}").json()["data"]["asset"]["sha256"] == asset["sha256"]
    kinds = [movement["kind"] for movement in person.statement()]
    assert kinds == ["settled", "hold", "grant"]
    why = person.get(f"/api/credits/generations/{made['id']}").json()["data"]
    assert why["credits_charged"] == made["credits_charged"] == 50 - person.balance()["available"] > 0
    assert why["price_version"] == made["price_version"]
    person.assert_books_balance()


def test_media_is_served_only_by_signed_url_and_supports_ranges(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    [asset] = person.generate(wait=25).json()["data"]["generation"]["assets"]
    url = asset["url"]
    whole = httpx.get(stack.base_url + url)
    assert whole.status_code == 200
    assert "max-age" in whole.headers["cache-control"]
    part = httpx.get(stack.base_url + url, headers={"Range": "bytes=0-7"})
    assert (part.status_code, part.content) == (206, whole.content[:8])
    again = httpx.get(stack.base_url + url, headers={"If-None-Match": whole.headers["etag"]})
    assert again.status_code == 304
    path, _, query = url.partition("?")
    for refused in (
        path,
        f"{path}?{query.replace('Signature=', 'Signature=A')}",
        f"{path}x?{query}",
        "/media/",
        "/media",
    ):
        assert httpx.get(stack.base_url + refused).status_code in (403, 404), refused
    other = path.replace(asset["sha256"], "0" * 64)
    assert httpx.get(f"{stack.base_url}{other}?{query}").status_code == 403


def test_the_end_of_a_generation_is_waited_for_with_one_request(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    made = person.generate().json()["data"]["generation"]
    path = f"/api/generations/{made['id']}"
    waited = person.http.get(path, headers={"Prefer": "wait=25"})
    assert (waited.status_code, waited.headers.get("preference-applied")) == (200, "wait=25")
    generation = waited.json()["data"]["generation"]
    assert (generation["status"], generation["queue"]) == ("succeeded", None)
    assert "preference-applied" not in person.get(path).headers


def test_a_recipe_and_a_retry_reproduce_the_same_image(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    first = person.generate(wait=25).json()["data"]["generation"]
    recipe = person.get(f"/api/generations/{first['id']}/recipe").json()["data"]["recipe"]
    again = person.http.post("/api/generate", json=recipe, headers={"Prefer": "wait=25"}).json()["data"]["generation"]
    retried = person.http.post(f"/api/generations/{first['id']}/retry", headers={"Prefer": "wait=25"})
    third = retried.json()["data"]["generation"]
    assert len({each["id"] for each in (first, again, third)}) == 3
    assert len({each["assets"][0]["sha256"] for each in (first, again, third)}) == 1


def test_twenty_concurrent_generations_succeed_and_are_each_charged_once(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    person.balance()
    answers = run_concurrently(20, lambda number: person.generate(f"number {number}"))
    assert Counter(answer.status_code for answer in answers) == {202: 20}
    ended = [person.wait_for_end(answer.json()["data"]["generation"]["id"]) for answer in answers]
    assert Counter(each["status"] for each in ended) == {"succeeded": 20}
    balance = person.balance()
    assert (balance["available"], balance["held"]) == (50 - sum(each["credits_charged"] for each in ended), 0)
    person.assert_books_balance()


def test_twenty_concurrent_requests_with_one_idempotency_key_are_charged_once(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    answers = run_concurrently(20, lambda _: person.generate(key="order 1"))
    assert {answer.status_code for answer in answers} == {202}
    ids = {answer.json()["data"]["generation"]["id"] for answer in answers}
    assert len(ids) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19
    person.wait_for_end(ids.pop())
    assert Counter(movement["kind"] for movement in person.statement()) == {"grant": 1, "hold": 1, "settled": 1}
    other = person.generate("another prompt", key="order 1")
    assert (other.status_code, other.json()["error"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_credits_for_five_generations_accept_exactly_five_of_twenty(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    answers = run_concurrently(20, lambda number: person.generate(f"number {number}", width=1600, height=1600))
    price = next(a.json()["data"]["generation"]["credits_held"] for a in answers if a.status_code == 202)
    assert 50 // price == 5
    refused = [answer.json() for answer in answers if answer.status_code == 402]
    assert Counter(answer.status_code for answer in answers) == {202: 5, 402: 15}
    assert {body["error"] for body in refused} == {"INSUFFICIENT_CREDITS"}
    assert all(body["details"]["limit"] == "wallet" and body["details"]["needed"] == price for body in refused)
    for answer in answers:
        if answer.status_code == 202:
            assert person.wait_for_end(answer.json()["data"]["generation"]["id"])["status"] == "succeeded"
    person.assert_books_balance()


def test_generations_are_listed_newest_first_by_pages_and_filters(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    made = [person.generate(f"number {number}", wait=25).json()["data"]["generation"]["id"] for number in range(3)]
    first = person.get("/api/generations", limit=2).json()["data"]
    rest = person.get("/api/generations", limit=2, cursor=first["next_cursor"]).json()["data"]
    assert [item["id"] for item in (*first["items"], *rest["items"])] == made[::-1]
    assert person.get("/api/generations", status="failed").json()["data"]["items"] == []
    assert len(person.get("/api/generations", status="succeeded", model="local/canvas").json()["data"]["items"]) == 3


def test_a_cancellation_before_the_start_is_free_and_idempotent(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    generation_id = person.generate().json()["data"]["generation"]["id"]
    cancelled = person.http.post(f"/api/generations/{generation_id}/cancel")
    assert cancelled.status_code in (200, 202, 409), cancelled.text
    ended = person.wait_for_end(generation_id)
    # Either may win the race, but there is never a charge without an image.
    assert (ended["status"], ended["credits_charged"] > 0, len(ended["assets"])) in [
        ("cancelled", False, 0), ("succeeded", True, 1),
    ]  # fmt: skip
    again = person.http.post(f"/api/generations/{generation_id}/cancel")
    assert again.status_code == (200 if ended["status"] == "cancelled" else 409)
    assert person.balance()["held"] == 0
    person.assert_books_balance()
