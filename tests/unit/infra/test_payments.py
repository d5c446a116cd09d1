"""How the local stack takes payments: with the simulator and its kept keys, or with a key of Stripe's test mode."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import stripe

from infra.local.emulator import Emulator
from infra.local.payments import PaymentsError, Simulation, TestMode, choose_payments
from tests.webhook_receiver import webhook_receiver

EDGE = "http://localhost:1"


@contextmanager
def started(folder: Path, public_url: str = EDGE, *, starts_empty: bool = False) -> Iterator[Simulation]:
    """A simulation beside an emulator that has not run; `starts_empty`: whether that lost its state."""
    emulator = Emulator(folder)
    emulator.starts_empty = starts_empty
    payments = Simulation(folder)
    payments.start(public_url, emulator)
    try:
        yield payments
    finally:
        payments.stop()


def client(payments: Simulation) -> stripe.StripeClient:
    addresses: stripe.BaseAddresses = {"api": payments.parameters["StripeUrl"]}
    return stripe.StripeClient(str(payments.secret["api_key"]), base_addresses=addresses, max_network_retries=0)


def test_keys_port_and_account_are_drawn_once_and_kept_for_their_owner(tmp_path: Path) -> None:
    with started(tmp_path) as payments:
        first = (payments.secret, payments.parameters)
        customer = client(payments).v1.customers.create({"name": "Ada"}).id
    with started(tmp_path) as payments:
        assert (payments.secret, payments.parameters) == first
        assert [each.id for each in client(payments).v1.customers.list()] == [customer]
    for name in ("stripe.json", "stripe.sqlite3"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
    assert first[0]["api_key"] != Simulation(tmp_path / "other")._read_keys()["api_key"]


def test_a_port_that_another_program_has_meanwhile_is_replaced(tmp_path: Path) -> None:
    with started(tmp_path) as payments:
        url = payments.url
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(url.rpartition(":")[2])))
        other.listen()
        with started(tmp_path) as payments:
            assert payments.url != url
            assert client(payments).v1.customers.list().data == []


def test_an_account_whose_shop_has_lost_its_tables_is_set_aside(tmp_path: Path) -> None:
    with started(tmp_path) as payments:
        client(payments).v1.customers.create({"name": "Ada"})
    with started(tmp_path, starts_empty=True) as payments:
        assert client(payments).v1.customers.list().data == []
    assert len(list(tmp_path.glob("unusable-stripe-*/stripe.sqlite3"))) == 1


def test_an_account_that_cannot_be_read_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "stripe.sqlite3").write_bytes(b"no database")
    with pytest.raises(PaymentsError, match=r"stripe\.sqlite3 cannot be read as a Stripe account: .*; move it away"):
        Simulation(tmp_path).start(EDGE, _going_on(tmp_path))


def _going_on(folder: Path, since: float | None = None, *, ended_in_order: bool = True) -> Emulator:
    emulator = Emulator(folder)
    emulator.starts_empty = False
    emulator.copied_at, emulator.ended_in_order = since, ended_in_order
    return emulator


@pytest.mark.parametrize("ended_in_order", [True, False])
def test_webhooks_that_the_tables_have_lost_are_sent_again(tmp_path: Path, ended_in_order: bool) -> None:
    with webhook_receiver() as receiver:
        with started(tmp_path, receiver.url) as payments:
            client(payments).v1.customers.create({"name": "Ada"})
            assert receiver.posts == []
            payments.serve()
            receiver.wait_for(1)
            accepted = client(payments).v1.events.list().data[0].created
        payments = Simulation(tmp_path)
        payments.start(receiver.url, _going_on(tmp_path, accepted, ended_in_order=ended_in_order))
        # The tables may have the event, and still not have acted on it.
        assert payments.needs_reconciling
        payments.serve()
        if not ended_in_order:
            receiver.wait_for(2)
        payments.stop()
        events = [json.loads(body)["id"] for _, _, body in receiver.posts]
    assert len(events) == (1 if ended_in_order else 2)
    assert len(set(events)) == 1
    assert {path for path, _, _ in receiver.posts} == {"/api/webhooks/stripe"}
    later = Simulation(tmp_path)
    later.start(EDGE, _going_on(tmp_path, accepted + 3600))
    assert not later.needs_reconciling
    later.stop()


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"STRIPE_SECRET_KEY": "sk_live_51abc"}, "is a live key, and would charge real cards"),
        ({"STRIPE_SECRET_KEY": "rk_live_51abc"}, "is a live key, and would charge real cards"),
        ({"STRIPE_SECRET_KEY": "pk_test_51abc"}, "is no key of a test account"),
    ],
)
def test_a_key_that_is_not_of_a_test_account_is_refused(
    tmp_path: Path, environment: Mapping[str, str], reason: str
) -> None:
    with pytest.raises(PaymentsError, match=reason) as refused:
        choose_payments(tmp_path, environment)
    assert "51abc" not in str(refused.value)


def test_a_test_key_takes_the_place_of_the_simulator(tmp_path: Path) -> None:
    environment = {"STRIPE_SECRET_KEY": "sk_test_51abc"}
    payments = choose_payments(tmp_path, environment)
    payments.start("http://localhost:8080", Emulator(tmp_path))
    assert isinstance(payments, TestMode)
    assert payments.parameters == {"Payments": "stripe", "StripeUrl": "", "StripeTestClocks": ""}
    assert payments.secret == {"api_key": "sk_test_51abc", "webhook_secrets": []}
    [line] = payments.lines
    assert "stripe listen --forward-to http://localhost:8080/api/webhooks/stripe" in line
    assert "STRIPE_WEBHOOK_SECRET" in line
    signed = choose_payments(tmp_path, {**environment, "STRIPE_WEBHOOK_SECRET": "whsec_cli"})
    assert signed.secret["webhook_secrets"] == ["whsec_cli"]
    with pytest.raises(PaymentsError, match=r"are in Stripe's test mode: .*choose a folder with DATA="):
        choose_payments(tmp_path, {})


def test_without_a_key_the_simulator_is_used(tmp_path: Path) -> None:
    assert isinstance(choose_payments(tmp_path, {"STRIPE_SECRET_KEY": ""}), Simulation)
    with started(tmp_path), pytest.raises(PaymentsError, match="are those of the simulator"):
        choose_payments(tmp_path, {"STRIPE_SECRET_KEY": "sk_test_51abc"})
