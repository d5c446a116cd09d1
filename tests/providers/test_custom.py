"""A workspace's own endpoint: it works if it speaks OpenAI's API, and cannot be used to reach internal addresses."""

from __future__ import annotations

import io
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from atelier.adapters.providers._http import ANSWER_BYTES_MAX
from atelier.adapters.providers.custom import Custom
from atelier.addresses import Resolver
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_port import Done, ErrorClass, Failed, Input, Job, Unknown
from infra.simulators.kit.faults import METADATA_URL
from infra.simulators.kit.samples import sample_png
from infra.simulators.openai import OpenAISimulator
from infra.simulators.xai import XAISimulator
from tests.raw_server import Serve, raw_server, respond_ok, respond_with, self_signed

CHAT_ANSWER = json.dumps({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}).encode()
OUTSIDE = "151.101.1.91"


@pytest.fixture
def simulator() -> Iterator[OpenAISimulator]:
    with OpenAISimulator() as running:
        yield running


def at(url: str, key: str = "sk-standin", **given: Any) -> Custom:
    """An adapter that may reach this one server on loopback."""
    host = url.partition("://")[2].partition("/")[0]
    return Custom(api_key=key, base_url=url, **{"local_hosts": frozenset({host}), "answer_seconds_max": 2, **given})


def job(kind: str = "text", prompt: str = "a fox", **parameters: Any) -> Job:
    model = "llama-4"
    return Job(
        new_id("att", system_clock()), kind, f"custom/{model}", prompt, parameters=parameters, settings={"model": model}
    )


def nowhere(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


def leading(*addresses: str) -> Resolver:
    return lambda host, port: list(addresses)


# ---- an endpoint that speaks the API ---------------------------------------------------------------------------------


def test_the_kind_selects_the_chat_images_or_speech_endpoint(simulator: OpenAISimulator) -> None:
    provider = at(simulator.base_url)
    text = provider.submit(job("text", "say hello", max_tokens=50, system="be brief"))
    picture = provider.submit(job("image", n=2, width=64, height=32))
    sound = provider.submit(job("audio", "hello", voice="nova", format="wav"))
    assert isinstance(text, Done)
    assert isinstance(picture, Done)
    assert isinstance(sound, Done)
    assert text.outputs[0].data == b"The simulator heard: say hello"
    assert [Image.open(io.BytesIO(output.data or b"")).size for output in picture.outputs] == [(64, 32)] * 2
    assert (sound.outputs[0].data or b"")[:4] == b"RIFF"
    assert [call["path"] for call in simulator.calls] == [
        "/v1/chat/completions",
        "/v1/images/generations",
        "/v1/audio/speech",
    ]
    assert simulator.calls[0]["body"] == {
        "model": "llama-4",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "say hello"}],
        "max_tokens": 50,
    }
    assert all(call["headers"]["authorization"] == "Bearer sk-standin" for call in simulator.calls)


def test_an_input_image_is_sent_to_the_edits_endpoint(simulator: OpenAISimulator) -> None:
    work = replace(job("image"), inputs={"image": (Input(sample_png(64, 32, 1), "image/png"),)})
    end = at(simulator.base_url).submit(work)
    assert isinstance(end, Done)
    assert Image.open(io.BytesIO(end.outputs[0].data or b"")).size == (64, 32)
    assert simulator.calls[0]["path"] == "/v1/images/edits"


def test_a_page_is_an_html_chat_response(simulator: OpenAISimulator) -> None:
    end = at(simulator.base_url).submit(job("page"))
    assert isinstance(end, Done)
    assert end.outputs[0].content_type == "text/html"


def test_an_unsupported_kind_fails_as_model_gone(simulator: OpenAISimulator) -> None:
    end = at(simulator.base_url).submit(job("video"))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.MODEL_GONE
    assert simulator.calls == []


def test_an_image_url_in_the_response_is_fetched() -> None:
    with XAISimulator() as elsewhere:
        provider = at(elsewhere.base_url, elsewhere.api_key)
        fetched: list[bytes] = []
        end = provider.submit(job("image"))
        assert isinstance(end, Done)
        fetched += [output.data or b"" for output in end.outputs]
        assert [Image.open(io.BytesIO(data)).size for data in fetched] == [(1024, 1024)]
        assert all(output.url is None for output in end.outputs)


def test_an_image_url_at_an_internal_address_is_not_fetched() -> None:
    with raw_server(respond_ok(b"secret")) as (inside, heads):
        urls = [METADATA_URL, "file:///etc/hostname", f"http://{inside}/x.png", f"https://{inside}/x.png", "//x", ""]
        body = json.dumps({"data": [{"url": url} for url in urls]}).encode()
        with raw_server(respond_ok(body)) as (place, _):
            end = at(f"http://{place}").submit(job("image"))
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.TRANSIENT
        assert heads == []


def test_the_key_check_names_a_wrong_key_path_or_scheme(simulator: OpenAISimulator) -> None:
    assert at(simulator.base_url).check() is None
    for provider, error_class, word in (
        (at(simulator.base_url, "sk-wrong"), ErrorClass.AUTH, "key"),
        (at(f"{simulator.url}/v2"), ErrorClass.MODEL_GONE, "address"),
        (Custom(api_key="k", base_url="https://localhost/v1"), ErrorClass.AUTH, "https"),
    ):
        end = provider.check()
        assert end is not None
        assert end.error_class is error_class
        assert word in end.message
    listed = at(simulator.base_url).models()
    assert listed is not None
    assert "gpt-image-2" in {model.name for model in listed}


def test_an_endpoint_without_a_key_gets_no_authorization_header() -> None:
    with raw_server(respond_ok(CHAT_ANSWER)) as (place, heads):
        assert isinstance(at(f"http://{place}", "").submit(job()), Done)
        assert b"uthorization" not in heads[0]


# ---- addresses that are refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/v1",
        "ftp://api.example/v1",
        "file:///etc/hostname",
        "data:application/json,{}",
        "//api.example/v1",
        "api.example/v1",
        "",
        "https://",
        "https:///v1",
        "https://user:password@api.example/v1",
        "https://api.example@evil.example/v1",
        "https://api.example\\.evil.example/v1",
        "https://api.example:0/v1",
        "https://api.example:99999/v1",
        "https://api.example/v 1",
        "https://api.example/\r\nHost: evil.example",
        "https://\u0131pi.example/v1",
        "https://[::1/v1",
    ],
)
def test_a_url_that_is_not_plain_https_is_refused_before_any_dns_lookup(url: str) -> None:
    provider = Custom(api_key="sk-secret", base_url=url, resolve=nowhere)
    for end in (provider.submit(job()), provider.check()):
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.AUTH
        assert "secret" not in end.message


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "169.254.169.254",
        "2130706433",
        "0x7f.1",
        "127.1",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "10.0.0.1",
        "100.64.0.1",
    ],
)
def test_an_internal_host_is_refused_in_every_notation(host: str) -> None:
    end = Custom(api_key="sk", base_url=f"https://{host}/v1").submit(job())
    assert isinstance(end, Failed)
    # Some notations are not an address on this system; they fail to resolve.
    assert end.error_class in (ErrorClass.AUTH, ErrorClass.TRANSIENT)
    assert end.error_class is ErrorClass.AUTH or host in ("2130706433", "0x7f.1", "127.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00:ec2::254", "odd"])
def test_a_name_with_one_internal_address_is_refused(address: str) -> None:
    provider = Custom(api_key="sk", base_url="https://api.example/v1", resolve=leading(OUTSIDE, address))
    end = provider.submit(job())
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.AUTH


def test_a_name_that_does_not_resolve_is_a_transient_failure() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    for resolve in (fails, leading()):
        end = Custom(api_key="sk", base_url="https://api.example/v1", resolve=resolve).submit(job())
        assert isinstance(end, Failed)
        assert end.error_class is ErrorClass.TRANSIENT


def test_loopback_is_reached_only_at_an_allowed_host_and_port() -> None:
    with raw_server(respond_ok(CHAT_ANSWER)) as (place, _), raw_server(respond_ok(CHAT_ANSWER)) as (other, heads):
        assert isinstance(at(f"http://{place}").submit(job()), Done)
        for url in (f"http://{other}", f"https://{other}"):
            end = at(url, local_hosts=frozenset({place})).submit(job())
            assert isinstance(end, Failed)
            assert end.error_class is ErrorClass.AUTH
        assert heads == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with raw_server(respond_ok(CHAT_ANSWER)) as (inside, heads):
        head = f"HTTP/1.1 {status} Found\nLocation: http://{inside}/v1/chat/completions\nContent-Length: 0\n"
        with raw_server(respond_with(head)) as (place, _):
            assert isinstance(at(f"http://{place}").submit(job()), Failed)
        assert heads == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(respond_ok(CHAT_ANSWER)) as (proxy, heads), raw_server(respond_ok(CHAT_ANSWER)) as (place, _):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy}")
        assert isinstance(at(f"http://{place}").submit(job()), Done)
        assert heads == []


# ---- the address of the connection -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "api.example", "*.api.example")


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_the_connection_goes_to_the_checked_address_with_the_name_in_tls_and_host(
    certificate: Path, server_tls: ssl.SSLContext
) -> None:
    names: list[str | None] = []
    looked_up: list[str] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        # A second lookup returns another address, as in DNS rebinding.
        return ["127.0.0.77", "127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.2"]

    with raw_server(respond_ok(CHAT_ANSWER), server_tls) as (place, heads):
        host = f"eu.api.example:{place.rpartition(':')[2]}"
        trusting = ssl.create_default_context(cafile=str(certificate))
        provider = at(f"https://{host}/v1", resolve=resolve, tls=trusting)
        assert isinstance(provider.submit(job()), Done)
    assert looked_up == ["eu.api.example"]
    assert names == ["eu.api.example"]
    assert heads[0].startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"\r\nHost: {host}\r\n".encode().lower() in heads[0].lower()


def test_a_certificate_for_another_name_or_from_an_unknown_issuer_is_rejected(
    certificate: Path, server_tls: ssl.SSLContext
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    with raw_server(respond_ok(CHAT_ANSWER), server_tls) as (place, heads):
        port = place.rpartition(":")[2]
        for host, context in (("other.example", trusting), ("api.example", None)):
            end = at(f"https://{host}:{port}/v1", resolve=leading("127.0.0.1"), tls=context).submit(job())
            assert isinstance(end, Failed)
            assert end.error_class is ErrorClass.TRANSIENT
        assert heads == []


# ---- responses -------------------------------------------------------------------------------------------------------


def dripping(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not stop.wait(0.02):
        connection.sendall(b"1\r\n \r\n")


def endless(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    piece = b" " * (1 << 20)
    for _ in range(ANSWER_BYTES_MAX // len(piece) + 8):
        if not stop.is_set():
            connection.sendall(piece)


@pytest.mark.parametrize("serve", [dripping, endless], ids=["dripping", "endless"])
def test_an_endless_response_is_stopped_and_the_outcome_is_unknown(serve: Serve) -> None:
    with raw_server(serve) as (place, _):
        assert isinstance(at(f"http://{place}", answer_seconds_max=0.5).submit(job()), Unknown)


def test_a_compressed_response_is_not_requested() -> None:
    with raw_server(respond_ok(CHAT_ANSWER)) as (place, heads):
        at(f"http://{place}").submit(job())
        assert b"accept-encoding: identity" in heads[0].lower()


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"choices": 7},
        {"choices": [7]},
        {"choices": [{"message": {"content": [1]}}]},
        {"choices": [{"message": {"content": "x" * 10}}], "usage": {"prompt_tokens": "many", "total_tokens": -1}},
        {"data": [{"b64_json": "%%%"}, {"url": 7}, 7]},
        {"data": [{"b64_json": 7}], "usage": []},
        {"error": "no"},
        {"error": {"code": 7, "message": None}},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_malformed_response_never_raises(kind: str, answer: Any) -> None:
    with raw_server(respond_ok(json.dumps(answer).encode())) as (place, _):
        end = at(f"http://{place}").submit(
            replace(job(kind), inputs={"image": (Input(sample_png(4, 4, 1), "image/png"),)})
        )
    assert isinstance(end, (Done, Failed, Unknown))
    if isinstance(end, Done):
        assert end.usage == {}
