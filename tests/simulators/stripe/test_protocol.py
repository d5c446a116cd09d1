"""How the simulator talks: errors, idempotency keys, lists, expansion, and faults on request."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
import stripe

from infra.simulators.stripe.form import parse_form
from infra.simulators.stripe.server import StripeSimulator
from tests.simulators.stripe.flows import NOW, monthly, new_clock, new_customer, new_price, subscribe


def with_retries(simulator: StripeSimulator) -> stripe.StripeClient:
    return stripe.StripeClient(simulator.api_key, base_addresses={"api": simulator.url}, max_network_retries=2)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a[b]=1&a[c][0]=2&a[c][1]=3", {"a": {"b": "1", "c": {"0": "2", "1": "3"}}}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[][b]=1&a[][c]=2&a[][b]=3", {"a": {"0": {"b": "1", "c": "2"}, "1": {"b": "3"}}}),
        ("a[b][0]=x&a[b][1]=%26", {"a": {"b": {"0": "x", "1": "&"}}}),
        ("a=", {"a": ""}),
        ("", {}),
    ],
)
def test_nested_fields_of_a_form_are_read(text: str, fields: dict[str, Any]) -> None:
    assert parse_form(text) == fields


@pytest.mark.parametrize("text", ["a=1&a[b]=2", "a[b]=1&a[b][c]=2"])
def test_a_form_that_contradicts_itself_is_refused(simulator: StripeSimulator, text: str) -> None:
    headers = {"authorization": f"Bearer {simulator.api_key}"}
    answer = httpx.post(f"{simulator.url}/v1/customers", content=text, headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"nick": "Ada"}, "nick", "parameter_unknown"),
        ({"address": {"planet": "Mars"}}, "address[planet]", "parameter_unknown"),
        ({"balance": "much"}, "balance", "parameter_invalid_integer"),
        ({"email": "nobody"}, "email", "email_invalid"),
        ({"tax_exempt": "perhaps"}, "tax_exempt", None),
        ({"test_clock": "clock_none"}, "test_clock", "resource_missing"),
        ({"metadata": {"x" * 41: "1"}}, f"metadata[{'x' * 41}]", None),
    ],
)
def test_a_wrong_parameter_is_named(
    client: stripe.StripeClient, fields: dict[str, Any], param: str, code: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.create(fields)
    assert (refused.value.http_status, refused.value.param, refused.value.code) == (400, param, code)
    assert refused.value.request_id.startswith("req_")


def test_a_missing_parameter_a_missing_object_and_a_missing_route(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="Missing required param: currency") as refused:
        client.v1.prices.create({"unit_amount": 100})  # pyright: ignore[reportArgumentType]
    assert refused.value.code == "parameter_missing"
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_none'") as gone:
        client.v1.customers.retrieve("cus_none")
    assert (gone.value.http_status, gone.value.code) == (404, "resource_missing")
    answer = httpx.get(f"{simulator.url}/v1/nothing", headers={"authorization": f"Bearer {simulator.api_key}"})
    assert answer.status_code == 404
    assert "Unrecognized request URL (GET: /v1/nothing)" in answer.json()["error"]["message"]


def test_a_wrong_key_and_another_api_version_are_refused(simulator: StripeSimulator) -> None:
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided"):
        stripe.StripeClient("sk_test_other", base_addresses={"api": simulator.url}).v1.customers.list()
    assert httpx.get(f"{simulator.url}/v1/customers").status_code == 401
    assert httpx.get(f"{simulator.url}/v1/customers", auth=(simulator.api_key, "")).status_code == 200
    client = stripe.StripeClient(simulator.api_key, base_addresses={"api": simulator.url}, stripe_version="2020-08-27")
    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version"):
        client.v1.customers.list()


# ---- idempotency -----------------------------------------------------------------------------------------------------


def test_a_key_gives_its_first_answer_again_even_when_that_was_an_error(client: stripe.StripeClient) -> None:
    options: Any = {"idempotency_key": "order-1"}
    first = client.v1.customers.create({"name": "Ada"}, options)
    again = client.v1.customers.create({"name": "Ada"}, options)
    assert (first.id, len(client.v1.customers.list().data)) == (again.id, 1)
    assert again.last_response.headers["idempotent-replayed"] == "true"
    declined: Any = {"amount": 1000, "currency": "usd", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(declined, {"idempotency_key": "order-2"})
    assert len(client.v1.payment_intents.list().data) == 1


def test_a_key_is_for_one_request_only(client: stripe.StripeClient) -> None:
    options: Any = {"idempotency_key": "order-1"}
    client.v1.customers.create({"name": "Ada"}, options)
    with pytest.raises(stripe.IdempotencyError, match="only be used with the same parameters") as other:
        client.v1.customers.create({"name": "Bob"}, options)
    assert other.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="for the same endpoint"):
        client.v1.products.create({"name": "Ada"}, options)


def test_a_key_is_free_after_a_refused_parameter_and_after_a_day(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    options: Any = {"idempotency_key": "order-1"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"nick": "Ada"}, options)  # pyright: ignore[reportArgumentType]
    first = client.v1.customers.create({"name": "Ada"}, options)
    simulator.advance(days=1, seconds=1)
    assert client.v1.customers.create({"name": "Ada"}, options).id != first.id


# ---- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "error"),
    [
        ("create:429", stripe.RateLimitError),
        ("create:403", stripe.PermissionError),
        ("create:401", stripe.AuthenticationError),
        ("create:busy", stripe.APIError),
        ("create:500", stripe.APIError),
        ("create:502", stripe.APIError),
        ("create:503", stripe.APIError),
        ("create:garbage", stripe.APIError),
        ("create:lost", stripe.APIConnectionError),
    ],
)
def test_a_marker_in_any_text_makes_a_request_fail(
    client: stripe.StripeClient, marker: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        client.v1.customers.create({"description": f"[[{marker}]]"})
    done = marker in ("create:500", "create:502", "create:lost", "create:garbage")
    assert len(client.v1.customers.list().data) == done


def test_an_answer_that_was_lost_is_given_to_the_retry(simulator: StripeSimulator) -> None:
    client = with_retries(simulator)
    simulator.behave("create:lost")
    customer = client.v1.customers.create({"name": "Ada"})
    assert [each.id for each in client.v1.customers.list()] == [customer.id]


def test_a_500_is_the_answer_for_its_key_though_the_work_is_done(
    client: stripe.StripeClient, simulator: StripeSimulator
) -> None:
    simulator.behave("create:500")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "order-1"})
    assert [customer.name for customer in client.v1.customers.list()] == ["Ada"]


def test_a_refused_request_is_not_the_answer_for_its_key(simulator: StripeSimulator) -> None:
    simulator.behave("create:429", creations=1)
    client = with_retries(simulator)
    with pytest.raises(stripe.RateLimitError):
        client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "order-1"})
    assert client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "order-1"}).name == "Ada"


def test_reading_fails_on_request_too(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    simulator.behave("read:429", creations=2)
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError):
            client.v1.customers.list()
    assert client.v1.customers.list().data == []


def test_two_requests_with_one_key_at_a_time_make_one_customer(simulator: StripeSimulator) -> None:
    simulator.behave("create:slow=0.05", creations=8)
    found: list[str] = []

    def create() -> None:
        client = with_retries(simulator)
        found.append(client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "order-1"}).id)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found))) == (8, 1)


# ---- lists and expansion ---------------------------------------------------------------------------------------------


def test_lists_are_paged_in_both_directions(client: stripe.StripeClient) -> None:
    made = [client.v1.customers.create({"name": str(number)}).id for number in range(7)][::-1]
    page = client.v1.customers.list({"limit": 3})
    assert ([each.id for each in page], page.has_more) == (made[:3], True)
    after = client.v1.customers.list({"limit": 3, "starting_after": page.data[-1].id})
    assert [each.id for each in after] == made[3:6]
    before = client.v1.customers.list({"limit": 2, "ending_before": after.data[-1].id})
    assert ([each.id for each in before], before.has_more) == (made[3:5], True)
    assert [each.id for each in client.v1.customers.list({"limit": 2}).auto_paging_iter()] == made
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.list({"limit": 101})
    with pytest.raises(stripe.InvalidRequestError, match="No such object"):
        client.v1.customers.list({"starting_after": "cus_none"})


def test_lists_are_filtered(client: stripe.StripeClient, simulator: StripeSimulator) -> None:
    early = client.v1.customers.create({"email": "ada@example.com"})
    simulator.advance(days=2)
    late = client.v1.customers.create({"email": "bob@example.com"})
    assert [each.id for each in client.v1.customers.list({"email": "ada@example.com"})] == [early.id]
    assert [each.id for each in client.v1.customers.list({"created": {"gt": NOW + 1000}})] == [late.id]
    assert [each.id for each in client.v1.customers.list({"created": {"lte": NOW + 1000}})] == [early.id]


def test_prices_are_found_by_lookup_keys_which_can_be_transferred(client: stripe.StripeClient) -> None:
    old = new_price(client, 1000, lookup_key="pro_month")
    new_price(client, 500, lookup_key="starter_month")
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        new_price(client, 1200, lookup_key="pro_month")
    new = new_price(client, 1200, lookup_key="pro_month", transfer_lookup_key=True)
    (found,) = client.v1.prices.list({"lookup_keys": ["pro_month", "none"], "active": True})
    assert (found.id, found.unit_amount) == (new.id, 1200)
    client.v1.prices.update(old.id, {"active": False, "metadata": {"archived": "yes"}})
    assert {price.id for price in client.v1.prices.list({"active": True})} & {old.id} == set()
    assert client.v1.prices.retrieve(old.id).lookup_key is None


def test_metadata_is_merged_and_removed(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}, "name": "Ada"}).id
    changed = client.v1.customers.update(customer, {"metadata": {"a": "", "c": "3"}, "name": ""})
    assert (changed.metadata.to_dict(), changed.name) == ({"b": "2", "c": "3"}, None)
    assert client.v1.customers.update(customer, {"metadata": ""}).metadata.to_dict() == {}


def test_references_are_expanded_four_levels_deep(client: stripe.StripeClient) -> None:
    customer = new_customer(client, new_clock(client))
    subscription = subscribe(
        client, customer, monthly(client).id, expand=["latest_invoice.payments.data.payment.payment_intent"][:0]
    )
    expand = ["data.latest_invoice.payments", "data.customer.invoice_settings.default_payment_method"]
    (found,) = client.v1.subscriptions.list({"customer": customer, "expand": expand})
    assert found.latest_invoice.payments.data[0].payment.payment_intent.startswith("pi_")
    assert found.customer.invoice_settings.default_payment_method.card.last4 == "4242"
    with pytest.raises(stripe.InvalidRequestError, match=r"cannot be expanded \(colour\)"):
        client.v1.subscriptions.retrieve(subscription.id, {"expand": ["colour"]})
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        client.v1.subscriptions.retrieve(subscription.id, {"expand": ["a.b.c.d.e"]})


def test_an_event_says_what_changed(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada", "metadata": {"a": "1"}}).id
    client.v1.customers.update(customer, {"name": "Ada L.", "metadata": {"a": "2"}}, {"idempotency_key": "rename-1"})
    (event,) = client.v1.events.list({"type": "customer.updated"})
    assert event.data.previous_attributes.to_dict() == {"name": "Ada", "metadata": {"a": "1"}}
    assert (event.request.idempotency_key, event.api_version) == ("rename-1", stripe.api_version)
    assert client.v1.events.retrieve(event.id).data.object["name"] == "Ada L."
    assert [each.type for each in client.v1.events.list({"type": "customer.*"})] == [
        "customer.updated",
        "customer.created",
    ]


def test_objects_are_searched_by_their_fields(client: stripe.StripeClient) -> None:
    pro = new_price(client, 2000, "Pro", lookup_key="pro", metadata={"tier": "pro"})
    old = new_price(client, 900, "Old", active=False, metadata={"tier": "pro"})

    def found(query: str) -> list[str]:
        return [price.id for price in client.v1.prices.search({"query": query, "limit": 1}).auto_paging_iter()]

    assert found("metadata['tier']:'pro'") == [old.id, pro.id]
    assert found("active:'true' AND metadata['tier']:'pro'") == [pro.id]
    assert found("lookup_key:'pro' OR unit_amount<1000") == [old.id, pro.id]
    assert found("-active:'true'") == [old.id]
    assert found("lookup_key:null") == [old.id]
    for query in ("tier", "active:'true' AND", "active:'true' AND type:'x' OR type:'y'", "active:true"):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.prices.search({"query": query})
