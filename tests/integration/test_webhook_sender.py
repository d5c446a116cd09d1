"""The sender of webhooks against receivers that hang, lie, redirect and answer without end."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from atelier.adapters.webhooks.sender import HttpWebhookSender
from atelier.webhook_endpoints.model import ANSWER_BYTES_KEPT
from tests.raw_server import Serve, raw_server, respond_ok, respond_with, self_signed

HEADERS = {"webhook-id": "whd_A", "content-type": "application/json"}
PUBLIC = "8.8.8.8"
INSIDE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00::1"]
URL = "https://receiver.example/hook"


def local(place: str, seconds_max: float = 2) -> HttpWebhookSender:
    return HttpWebhookSender(frozenset({place}), seconds_max=seconds_max)


def test_the_bytes_and_the_headers_arrive_as_they_are() -> None:
    got: list[bytes] = []
    body = '{"a":"ü"}'.encode()

    def serve(connection: socket.socket, _stop: threading.Event) -> None:
        got.append(b"served")
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(serve) as (place, heads):
        answer = local(place).send(f"http://{place}/hook?a=b", HEADERS, body)
    assert (answer.status, answer.error) == (204, None)
    assert heads[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"\r\nwebhook-id: whd_A\r\n" in heads[0]
    assert f"content-length: {len(body)}".encode() in heads[0]


@pytest.mark.parametrize("location", ["http://127.0.0.1:9/", "http://169.254.169.254/", "https://example.com/"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int, location: str) -> None:
    with raw_server(respond_with(f"HTTP/1.1 {status} Moved\nLocation: {location}\nContent-Length: 0\n")) as (
        place,
        heads,
    ):
        answer = local(place).send(f"http://{place}/", HEADERS, b"{}")
    assert (answer.status, answer.error) == (status, "redirects are not followed")
    assert len(heads) == 1


def test_of_an_endless_answer_one_kilobyte_is_read() -> None:
    sent = [0]

    def serve(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        while not stop.is_set():
            sent[0] += connection.send(b"x" * 65536)

    with raw_server(serve) as (place, _):
        answer = local(place).send(f"http://{place}/", HEADERS, b"{}")
    assert (answer.status, len(answer.body)) == (200, ANSWER_BYTES_KEPT)
    assert sent[0] < 20_000_000


def slow(pieces: bytes, pause: float) -> Serve:
    def serve(connection: socket.socket, stop: threading.Event) -> None:
        for piece in pieces:
            if stop.wait(pause):
                return
            connection.sendall(bytes([piece]))

    return serve


def hang(_connection: socket.socket, stop: threading.Event) -> None:
    stop.wait(9)


def close(_connection: socket.socket, _stop: threading.Event) -> None:
    """Answer nothing."""


def speak_another_protocol(connection: socket.socket, _stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.parametrize(
    ("serve", "status", "error"),
    [
        (hang, None, "no answer within 0.5 s"),
        (slow(b"HTTP/1.1 200 OK\r\n" * 9, 0.1), None, "no answer within 0.5 s"),
        (close, None, "the connection was reset"),
        (speak_another_protocol, None, "BadStatusLine"),
        (respond_with("HTTP/1.1 200 OK\nContent-Length: 500\n", b"early"), 200, None),
        (respond_with("HTTP/1.1 200 OK\n" + "x: y\n" * 300), None, "HTTPException"),
        (respond_with("HTTP/1.1 200 OK\nx: " + "y" * 70000 + "\n"), None, "LineTooLong"),
    ],
    ids=["hangs", "drips", "closes", "is no http", "closes early", "many headers", "long header"],
)
def test_a_receiver_that_misbehaves_is_a_failure_in_bounded_time(serve: Serve, status: int | None, error: str) -> None:
    begin = time.monotonic()
    with raw_server(serve) as (place, _):
        answer = local(place, 0.5).send(f"http://{place}/", HEADERS, b"{}")
        assert time.monotonic() - begin < 2
    assert (answer.status, answer.error) == (status, error)


def test_a_slow_body_does_not_take_away_a_success() -> None:
    def serve(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        stop.wait(5)

    with raw_server(serve) as (place, _):
        answer = local(place, 0.5).send(f"http://{place}/", HEADERS, b"{}")
    assert (answer.status, answer.body) == (200, "")


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_refused_at_check_and_at_sending(address: str) -> None:
    sender = HttpWebhookSender(resolve=lambda host, port: [PUBLIC, address])
    assert sender.check(URL) == "receiver.example leads inside"
    assert sender.send(URL, HEADERS, b"{}").error == "refused: receiver.example leads inside"


def test_a_name_whose_address_changed_since_the_check_is_refused() -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    sender = HttpWebhookSender(resolve=lambda host, port: answers.pop(0))
    assert sender.check(URL) is None
    assert sender.send(URL, HEADERS, b"{}").error == "refused: receiver.example leads inside"


def test_a_name_is_looked_up_once_for_each_request(tmp_path: Path) -> None:
    """A second lookup, which could give another address than the one that was checked, never happens."""
    lookups: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    file = self_signed(tmp_path, "receiver.example")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    with raw_server(respond_ok(b"ok"), server) as (place, heads):
        port = place.rpartition(":")[2]
        trusting = ssl.create_default_context(cafile=str(file))
        sender = HttpWebhookSender(frozenset({"receiver.example:*", "other.example:*"}), resolve, trusting, 2)
        answer = sender.send(f"https://receiver.example:{port}/", HEADERS, b"{}")
        assert (answer.status, answer.body) == (200, "ok")
        # The certificate is that of the host's name, whatever address was connected to.
        refused = sender.send(f"https://other.example:{port}/", HEADERS, b"{}")
        assert refused.status is None
        assert str(refused.error).startswith("TLS: ")
    assert lookups == ["receiver.example", "other.example"]
    assert len(heads) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/",
        "https://8.8.8.8:22/",
        "https://a:b@8.8.8.8/",
        "https://8.8.8.8\\@127.0.0.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://8.8.8.8/\r\nx: y",
        "gopher://8.8.8.8/",
    ],
)
def test_an_address_that_was_stored_before_a_rule_is_refused_at_sending(url: str) -> None:
    answer = HttpWebhookSender().send(url, HEADERS, b"{}")
    assert answer.status is None
    assert answer.error


@pytest.mark.parametrize(
    ("header", "seconds"), [("120", 120), ("Fri, 01 Jan 2021 00:00:00 GMT", 0), ("-5", None), ("soon", None)]
)
def test_retry_after_is_read_in_both_forms(header: str, seconds: int | None) -> None:
    with raw_server(respond_with(f"HTTP/1.1 503 Busy\nRetry-After: {header}\nContent-Length: 0\n")) as (place, _):
        assert local(place).send(f"http://{place}/", HEADERS, b"{}").retry_after_seconds == seconds


def test_an_answer_that_is_no_text_is_shown_harmlessly() -> None:
    with raw_server(respond_ok(b"\x00\x1b[31m\xff<b>")) as (place, _):
        assert local(place).send(f"http://{place}/", HEADERS, b"{}").body == "\ufffd\ufffd[31m\ufffd<b>"
