"""The guarded fetcher against everything a forged or hostile result URL can try."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atelier.adapters.media.fetch import Fetcher, FetchFailed, FetchGone, FetchRefused
from atelier.addresses import is_public
from infra.simulators.kit.faults import METADATA_URL
from tests.raw_server import Serve, raw_server, respond_ok, respond_with, self_signed

HOSTS = ("replicate.delivery",)
INSIDE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:53aa:64c:0:fbff:5601:5601",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "not an address",
]
OUTSIDE = ["8.8.8.8", "151.101.1.91", "2606:4700::6810:84e5", "64:ff9b::808:808"]


def local(place: str) -> Fetcher:
    return Fetcher(local_hosts=frozenset({place}))


def nowhere(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


# ---- URLs and addresses that are refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        METADATA_URL,
        "http://replicate.delivery/x.png",
        "ftp://replicate.delivery/x.png",
        "file:///etc/hostname",
        "data:image/png;base64,AAAA",
        "//replicate.delivery/x.png",
        "replicate.delivery/x.png",
        "",
        "https://",
        "https:///x.png",
        "https://evil.example/x.png",
        "https://replicate.delivery.evil.example/x.png",
        "https://evilreplicate.delivery/x.png",
        "https://replicate.delivery@evil.example/x.png",
        "https://user:password@replicate.delivery/x.png",
        "https://evil.example/?https://replicate.delivery/",
        "https://evil.example#replicate.delivery",
        "https://evil.example\\.replicate.delivery/x.png",
        "https://replicate.delivery:8443/x.png",
        "https://replicate.delivery:0/x.png",
        "https://replicate.delivery:99999/x.png",
        "https://replicate.delivery/x y.png",
        "https://replicate.delivery/\r\nHost: evil.example",
        "https://repl\u0131cate.delivery/x.png",
        "https://replicate.delivery\u3002evil.example/",
        "https://127.0.0.1/x.png",
        "https://2130706433/x.png",
        "https://0x7f000001/x.png",
        "https://0177.0.0.1/x.png",
        "https://[::ffff:169.254.169.254]/x.png",
        "https://[::1]/x.png",
        "https://localhost/x.png",
        f"https://replicate.delivery/{'x' * 5000}",
    ],
)
def test_a_url_that_is_not_https_at_an_allowed_host_is_refused_before_any_dns_lookup(url: str) -> None:
    with pytest.raises(FetchRefused):
        Fetcher(resolve=nowhere).fetch(url, hosts=HOSTS)


@pytest.mark.parametrize("address", INSIDE)
def test_an_internal_address_is_not_public_in_any_notation(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_external_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_an_allowed_host_that_resolves_to_an_internal_address_is_refused(address: str) -> None:
    fetcher = Fetcher(resolve=lambda host, port: ["8.8.8.8", address])
    with pytest.raises(FetchRefused, match="inside"):
        fetcher.fetch("https://cdn.replicate.delivery/x.png", hosts=HOSTS)


@pytest.mark.parametrize("number", ["2130706433", "0x7f.1", "127.1"])
def test_a_numeric_host_is_checked_as_the_address_it_stands_for(number: str) -> None:
    # Even if the host were in the allow-list, its address is refused.
    with pytest.raises(FetchRefused, match="inside"):
        Fetcher().fetch(f"https://{number}/x.png", hosts=(number,))


def test_a_host_that_does_not_resolve_is_a_retryable_failure() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    for resolve in (fails, lambda host, port: []):
        with pytest.raises(FetchFailed):
            Fetcher(resolve=resolve).fetch("https://replicate.delivery/x.png", hosts=HOSTS)


# ---- the address of the connection -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "replicate.delivery", "*.replicate.delivery")


@contextmanager
def delivery(certificate: Path, names: list[str | None]) -> Iterator[tuple[Fetcher, str, list[bytes], list[str]]]:
    """A TLS server on loopback in the role of replicate.delivery, and a fetcher whose resolver returns its address."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    looked_up: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        # A second lookup returns another address, as in DNS rebinding.
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.2"]

    with raw_server(respond_ok(b"picture"), tls) as (place, heads):
        port = place.rpartition(":")[2]
        host = f"cdn.replicate.delivery:{port}"
        yield Fetcher(frozenset({host}), resolve, trusting), f"https://{host}/a/x.png?b=1", heads, looked_up


def test_the_connection_goes_to_the_checked_address_with_the_name_in_tls_and_host(certificate: Path) -> None:
    names: list[str | None] = []
    with delivery(certificate, names) as (fetcher, url, heads, looked_up):
        assert fetcher.fetch(url, hosts=HOSTS) == b"picture"
        assert looked_up == ["cdn.replicate.delivery"]
        assert names == ["cdn.replicate.delivery"]
        assert heads[0].startswith(b"GET /a/x.png?b=1 HTTP/1.1\r\nHost: cdn.replicate.delivery:")
        assert b"uthorization" not in heads[0]


def test_a_certificate_for_another_name_or_from_an_unknown_issuer_is_rejected(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with raw_server(respond_ok(b"picture"), tls) as (place, heads):
        port = place.rpartition(":")[2]
        for host, context in (("other.example", trusting), ("replicate.delivery", None)):
            fetcher = Fetcher(frozenset({f"{host}:{port}"}), lambda host, port: ["127.0.0.1"], context)
            with pytest.raises(FetchFailed):
                fetcher.fetch(f"https://{host}:{port}/x.png", hosts=HOSTS)
        assert heads == []


def test_a_local_server_is_reached_only_at_its_allowed_host_and_port() -> None:
    with raw_server(respond_ok(b"picture")) as (place, _), raw_server(respond_ok(b"secret")) as (other, heads):
        assert local(place).fetch(f"http://{place}/x.png", hosts=HOSTS) == b"picture"
        with pytest.raises(FetchRefused):
            local(place).fetch(f"http://{other}/x.png", hosts=HOSTS)
        assert heads == []


def test_the_next_checked_address_is_tried_after_an_unreachable_one() -> None:
    with raw_server(respond_ok(b"picture")) as (place, _):
        port = place.rpartition(":")[2]
        fetcher = Fetcher(frozenset({f"two.example:{port}"}), lambda host, port: ["127.0.0.77", "127.0.0.1"])
        assert fetcher.fetch(f"http://two.example:{port}/x.png", hosts=HOSTS) == b"picture"


# ---- responses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with raw_server(respond_ok(b"secret")) as (inside, heads):
        head = f"HTTP/1.1 {status} Found\nLocation: http://{inside}/\nContent-Length: 0\n"
        with raw_server(respond_with(head)) as (place, _), pytest.raises(FetchRefused):
            local(place).fetch(f"http://{place}/x.png", hosts=HOSTS)
        assert heads == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, FetchGone),
        (403, FetchGone),
        (404, FetchGone),
        (410, FetchGone),
        (429, FetchFailed),
        (500, FetchFailed),
        (503, FetchFailed),
        (204, FetchRefused),
        (206, FetchRefused),
        (400, FetchRefused),
    ],
)
def test_a_status_that_is_not_200_is_typed(status: int, error: type[Exception]) -> None:
    with raw_server(respond_with(f"HTTP/1.1 {status} X\nContent-Length: 0\n")) as (place, _), pytest.raises(error):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS)


def test_a_content_length_over_the_maximum_is_refused_without_reading_the_body() -> None:
    head = "HTTP/1.1 200 OK\nContent-Length: 999999999999\n"
    with raw_server(respond_with(head)) as (place, _), pytest.raises(FetchRefused, match="bytes"):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS, bytes_max=1000)


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_without_a_length_is_stopped_at_the_maximum(chunked: bool) -> None:
    sent: list[int] = []

    def endless(connection: socket.socket, stop: threading.Event) -> None:
        coding = "Transfer-Encoding: chunked\r\n" if chunked else ""
        connection.sendall(f"HTTP/1.1 200 OK\r\n{coding}\r\n".encode())
        piece = b"\0" * 65536
        while not stop.is_set():
            connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
            sent.append(len(piece))

    with raw_server(endless) as (place, _), pytest.raises(FetchRefused, match="more than"):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS, bytes_max=1_000_000)
    assert sum(sent) < 50_000_000


def test_a_body_of_exactly_the_maximum_size_is_accepted() -> None:
    with raw_server(respond_ok(bytes(1000))) as (place, _):
        assert len(local(place).fetch(f"http://{place}/x.png", hosts=HOSTS, bytes_max=1000)) == 1000


def test_a_compressed_body_is_refused() -> None:
    head = "HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 4\n"
    with (
        raw_server(respond_with(head, b"\x1f\x8b\0\0")) as (place, heads),
        pytest.raises(FetchRefused, match="compressed"),
    ):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS)
    assert b"Accept-Encoding: identity\r\n" in heads[0]


def drip(opening: bytes) -> Serve:
    def serve(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(opening)
        while not stop.wait(0.02):
            connection.sendall(b"x")

    return serve


@pytest.mark.parametrize(
    "opening",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 "],
    ids=["body", "header", "status"],
)
def test_a_slow_response_fails_at_the_deadline(opening: bytes) -> None:
    started = time.monotonic()
    with raw_server(drip(opening)) as (place, _), pytest.raises(FetchFailed):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS, seconds_max=0.4)
    assert time.monotonic() - started < 3


def test_a_silent_server_fails_at_the_deadline() -> None:
    with raw_server(lambda connection, stop: stop.wait(10) and None) as (place, _), pytest.raises(FetchFailed):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS, seconds_max=0.3)


@pytest.mark.parametrize(
    "serve",
    [
        respond_with("HTTP/1.1 200 OK\nContent-Length: 10\n", b"short"),
        respond_with("not http at all\n"),
        respond_with("HTTP/1.1 200 OK\n" + "".join(f"X-{number}: y\n" for number in range(200))),
        respond_with("HTTP/1.1 200 OK\nX-Long: " + "y" * 100_000 + "\n"),
        lambda connection, stop: connection.close(),
    ],
    ids=["cut", "garbage", "many headers", "long header", "closed"],
)
def test_a_broken_response_raises_fetch_failed(serve: Serve) -> None:
    with raw_server(serve) as (place, _), pytest.raises(FetchFailed):
        local(place).fetch(f"http://{place}/x.png", hosts=HOSTS)


def test_a_closed_port_raises_fetch_failed() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(FetchFailed):
            local(place).fetch(f"http://{place}/x.png", hosts=HOSTS)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(respond_ok(b"proxied")) as (proxy, heads), raw_server(respond_ok(b"picture")) as (place, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy}")
        assert local(place).fetch(f"http://{place}/x.png", hosts=HOSTS) == b"picture"
        assert heads == []
