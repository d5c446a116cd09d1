"""A workspace's custom provider: any endpoint that is compatible with OpenAI's API.

The workspace chooses the URL, so it is treated as hostile: only https and only public IP addresses; the name is
resolved once and the connection goes to the checked address; no redirect is followed, and the key is sent nowhere else.
Images that are returned as URLs are fetched in the same way, without the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

from atelier.adapters.providers._http import HttpClient, NoAnswer, NotSent, Reply, tls_context
from atelier.adapters.providers._openai_compatible.adapter import OpenAICompatible, bearer
from atelier.adapters.providers._openai_compatible.values import JsonObject
from atelier.addresses import Resolver, is_public, resolve_host
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import AdapterOptions, ErrorClass, Failed, Job, Output, Unknown

if TYPE_CHECKING:
    import ssl

    import httpx

ADDRESSES_MAX = 4
FETCH_SECONDS_MAX = 20.0
APIS = {"text": "chat", "page": "chat", "image": "images", "audio": "speech"}


class AddressNotAllowed(NotSent):
    """The URL may not be opened: it is not https, or its name resolves to an address that is not public."""


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> Custom:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return Custom(api_key=credentials.key, local_hosts=local_hosts, **options)


class Custom(OpenAICompatible):
    """The adapter for a custom provider. `model` in the settings is the model's name at the endpoint; without `api`,
    the API follows from the kind of the job.

    base_url: a custom provider has no usual address, and without one every request is refused.
    local_hosts: `host:port` pairs that may be opened with http and at private addresses: the provider simulators of a
    local stack; empty in a deployment."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        local_hosts: frozenset[str] = frozenset(),
        resolve: Resolver = resolve_host,
        tls: ssl.SSLContext | None = None,
        answer_seconds_max: float = 50.0,
    ) -> None:
        self._connections: Callable[[], httpx.BaseTransport] = lambda: _guarded_transport(local_hosts, resolve, tls)
        super().__init__(self._http_client(base_url, bearer(api_key) if api_key else {}, answer_seconds_max))

    def check(self) -> Failed | None:
        failure = super().check()
        if failure is not None and failure.error_class is ErrorClass.MODEL_GONE:
            return Failed(failure.error_class, "Nothing at this address speaks OpenAI's API.")
        return failure

    def _api_name(self, job: Job) -> str:
        return str(job.settings.get("api") or APIS.get(job.kind))

    def _image_options(self, job: Job) -> JsonObject:
        # The models of a custom provider are unknown here, so a seed is sent and the endpoint may refuse it.
        extra = {name: job.parameters[name] for name in ("seed",) if job.parameters.get(name) is not None}
        return super()._image_options(job) | extra

    def _send(self, path: str, **request: object) -> Reply | Failed | Unknown:
        return super()._send(path, **request) if _is_unambiguous(self._wire.base_url) else _address_refusal()

    def _get(self, path: str) -> Reply | Failed:
        return super()._get(path) if _is_unambiguous(self._wire.base_url) else _address_refusal()

    def _connection_failure(self, error: NotSent) -> Failed:
        return _address_refusal() if isinstance(error, AddressNotAllowed) else super()._connection_failure(error)

    def _image_output(self, image: JsonObject, content_type: str | None) -> Output | None:
        output = super()._image_output(image, content_type)
        if output is None or output.url is None:
            return output
        data = self._fetch(output.url)
        return Output(data) if data else None

    def _fetch(self, url: str) -> bytes | None:
        if not _is_unambiguous(url):
            return None
        parts = urlsplit(url)
        try:
            reply = self._http_client(f"{parts.scheme}://{parts.netloc}", {}, FETCH_SECONDS_MAX).request("GET", url)
        except (NotSent, NoAnswer):
            return None
        return reply.body if reply.ok else None

    def _http_client(self, base_url: str, headers: Mapping[str, str], answer_seconds_max: float) -> HttpClient:
        # No compression: a small compressed response could unpack to a huge one.
        headers = {**headers, "accept-encoding": "identity"}
        return HttpClient(base_url, headers, answer_seconds_max=answer_seconds_max, make_transport=self._connections)


def _address_refusal() -> Failed:
    return Failed(ErrorClass.AUTH, "This address is not opened: it must be https, and out in the internet.")


def _is_unambiguous(url: str) -> bool:
    """Whether every URL parser reads this URL in the same way, so that the checked host is the host connected to."""
    if not re.fullmatch(r"https?://[!-~]{1,4000}", url) or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and parts.username is None and parts.password is None
    except ValueError:
        return False


def _guarded_transport(
    local_hosts: frozenset[str], resolve: Resolver, tls: ssl.SSLContext | None
) -> httpx.BaseTransport:
    import httpx

    class Guard(httpx.BaseTransport):
        """An httpx transport that resolves the host, checks its addresses, and connects only to one of them."""

        def __init__(self) -> None:
            self._connections = httpx.HTTPTransport(
                verify=tls or tls_context(trust_env=False),
                trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),
            )

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
            local = f"{host}:{port}" in local_hosts
            if url.scheme != "https" and not local:
                raise AddressNotAllowed("only https is opened")
            try:
                addresses = resolve(host, port)[:ADDRESSES_MAX]
            except (OSError, UnicodeError) as error:
                raise NotSent("the name does not resolve") from error
            if not local and not all(is_public(address) for address in addresses):
                raise AddressNotAllowed("the name leads inside")
            # The connection goes to an IP address, but the certificate must be valid for the host name.
            request.extensions = {**request.extensions, "sni_hostname": host}
            for address in addresses:
                request.url = url.copy_with(host=address.partition("%")[0])
                try:
                    return self._connections.handle_request(request)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    # Nothing was sent, so another address of the host may be tried.
                    continue
            raise NotSent("no address of the name takes a connection")

        def close(self) -> None:
            self._connections.close()

    return Guard()
