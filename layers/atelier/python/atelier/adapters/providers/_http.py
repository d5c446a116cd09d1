"""The HTTP client of adapters without an SDK: one request, sent once, with limits on the size and time of its response.

It distinguishes three failures that billing depends on: refused (a response with an error status), not sent (the
provider cannot have started anything) and no answer (the provider may have started the work).
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from atelier.dataclass import dataclass
from atelier.provider_port import LATE_SECONDS_MAX, ErrorClass, Failed, Job, Unknown

if TYPE_CHECKING:
    import ssl

    import httpx

CONNECT_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = 80 * 1024 * 1024
RETRY_AFTER_SECONDS_MAX = 3600

# Our own messages for the caller, because a provider's message may mention our account or ask to buy credit there.
# Only when the request itself is at fault is the provider's message shown, after cleaning (`shown`).
MESSAGE_BY_CLASS = {
    ErrorClass.INVALID_INPUT: "The provider refused these parameters.",
    ErrorClass.MODERATED: "The provider's safety check refused this. Try another prompt.",
    ErrorClass.MODERATED_BILLED: "The provider's safety check refused the result. Try another prompt.",
    ErrorClass.AUTH: "The provider does not accept the key.",
    ErrorClass.PROVIDER_BILLING: "The provider does not accept work on this key now.",
    ErrorClass.RATE_LIMITED: "The provider is taking no more requests for a moment.",
    ErrorClass.CAPACITY: "The provider has no capacity for this now.",
    ErrorClass.TRANSIENT: "The provider could not make this.",
    ErrorClass.MODEL_GONE: "The provider no longer offers this model.",
    ErrorClass.TIMEOUT_UNSTARTED: "The provider did not begin in time.",
    ErrorClass.TIMEOUT_STARTED: "The provider did not finish in time.",
    ErrorClass.UNKNOWN_OUTCOME: "The provider lost track of this.",
}
# What a refusal means whose body says no more.
CLASS_BY_STATUS = {
    401: ErrorClass.AUTH,
    402: ErrorClass.PROVIDER_BILLING,
    403: ErrorClass.AUTH,
    404: ErrorClass.MODEL_GONE,
    410: ErrorClass.MODEL_GONE,
    429: ErrorClass.RATE_LIMITED,
}


REQUEST_FAULT_CLASSES = frozenset({ErrorClass.INVALID_INPUT, ErrorClass.MODERATED, ErrorClass.MODERATED_BILLED})
PROVIDER_TEXT_CHARACTERS_MAX = 400
CODE_PATTERN = re.compile(r"[a-z][a-z0-9_.-]{2,63}")
CONTEXT_TOO_LONG_CODE = "context_length_exceeded"
CONTEXT_TOO_LONG_PATTERN = re.compile(
    r"context[ _]length|maximum (?:context|prompt) length|(?:prompt|input) is too long|context (?:window|limit)"
    r"|exceeds? the (?:maximum|model's) (?:number of tokens|context)|too many (?:input )?tokens",
    re.IGNORECASE,
)
# URLs, and anything that may be a key, a token or an account id: a long run of letters and digits.
SECRET_PATTERN = re.compile(
    r"[a-z][a-z0-9+.-]{1,9}://\S{1,500}|\b(?:sk|pk|rk|r8|xai|key|org|proj|user|acct|bearer)[-_ ]\S{4,200}"
    r"|(?<![A-Za-z0-9_])(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{24,200}",
    re.IGNORECASE,
)
ACCOUNT_PATTERN = re.compile(r"billing|\bcredits?\b|balance|quota|api key|your (?:account|organi[sz]ation|plan)", re.I)


class NotSent(Exception):
    """No connection was made, so the provider cannot have started anything."""


class NoAnswer(Exception):
    """The request was sent, at least in part, and no usable response came: the provider may have started the work."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response of any status; header names are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when the body is no JSON object."""
        try:
            value: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    def holds_object(self) -> bool:
        """Whether the body is a JSON object."""
        try:
            return isinstance(json.loads(self.body), dict)
        except ValueError:
            return False

    def retry_after_seconds(self) -> int | None:
        """Seconds to wait, 1 to RETRY_AFTER_SECONDS_MAX, from `retry-after-ms`, else from `retry-after` (seconds or a
        date, compared with the response's own `date`). None without a usable header."""
        milliseconds, seconds = self.headers.get("retry-after-ms", ""), self.headers.get("retry-after", "")
        if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", milliseconds):
            return _clamped_seconds(float(milliseconds) / 1000)
        if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", seconds):
            return _clamped_seconds(float(seconds))
        try:
            at = parsedate_to_datetime(seconds)
            sent_at = parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None
        return _clamped_seconds((_with_timezone(at) - _with_timezone(sent_at)).total_seconds())


@cache
def tls_context(*, trust_env: bool = True) -> ssl.SSLContext:
    """The TLS settings of connections to providers. They are made once: to read the certificate authorities takes
    longer than all other work of a request, and adapters live for one job. trust_env: see httpx."""
    import httpx

    return httpx.create_ssl_context(trust_env=trust_env)


class HttpClient:
    """An HTTP client for one provider. `headers` (with the credentials) are sent with every request, and only to the
    origin of `base_url`. `make_transport` creates the httpx transport to use; None =
    httpx's default."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        answer_seconds_max: float = 50.0,
        make_transport: Callable[[], httpx.BaseTransport] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._headers = dict(headers)
        self.answer_seconds_max = answer_seconds_max
        self._connections = make_transport
        self._client: httpx.Client | None = None

    def for_job(self, job: Job) -> HttpClient:
        """A copy of this client whose time-out is the job's own limit plus LATE_SECONDS_MAX, if that is shorter."""
        client = copy(self)
        client.answer_seconds_max = min(self.answer_seconds_max, job.run_seconds_max + LATE_SECONDS_MAX)
        return client

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        fields: Mapping[str, str] | None = None,
        files: list[tuple[str, tuple[str, bytes, str]]] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_seconds_max: float | None = None,
    ) -> Reply:
        """Send one request, never twice. `path` is relative to the base URL, or a full URL of the same origin that the
        provider returned. `body` is sent as JSON; `fields` and `files` (name, (file name, bytes, content type)) as
        multipart. Redirects are not followed. Raises NotSent or NoAnswer."""
        import httpx

        if self._client is None:
            # No keep-alive: a connection that died while the Lambda function was frozen would lose the response of the
            # next submission.
            transport = self._connections() if self._connections else None
            self._client = httpx.Client(
                limits=httpx.Limits(max_keepalive_connections=0),
                follow_redirects=False,
                verify=tls_context() if transport is None else True,
                transport=transport,
                # With a transport of our own, a proxy from the environment would bypass it.
                trust_env=transport is None,
            )
        url = path if path.startswith("http") else f"{self.base_url}{path}"
        seconds_max = answer_seconds_max or self.answer_seconds_max
        deadline = time.monotonic() + seconds_max
        timeout = httpx.Timeout(seconds_max, connect=CONNECT_SECONDS_MAX)
        try:
            target, base = httpx.URL(url), httpx.URL(self.base_url)
            if (target.scheme, target.netloc) != (base.scheme, base.netloc):
                raise NotSent("the address is not the provider's")
            with self._client.stream(
                method,
                url,
                json=body,
                data=fields,
                files=files,
                headers={**self._headers, **(headers or {})},
                timeout=timeout,
            ) as response:
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > ANSWER_BYTES_MAX:
                        raise NoAnswer("the answer is too large")
                    if time.monotonic() > deadline:
                        # httpx's time-out counts from one chunk to the next, so a slow response could last for ever.
                        raise NoAnswer("the answer takes too long")
                return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(content))
        except (
            *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
            *(httpx.InvalidURL, httpx.UnsupportedProtocol),
        ) as error:
            raise NotSent(type(error).__name__) from error
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error


def failure_of(
    error_class: ErrorClass,
    *,
    retry_after_seconds: int | None = None,
    usage: dict[str, int] | None = None,
    cost_microusd: int | None = None,
    provider_text: object = None,
    code: object = None,
    provider_wide: bool | None = None,
) -> Failed:
    """A Failed outcome with our message for its class. `provider_text` and `code` are the provider's own message and
    code; they are used only when the request is at fault."""
    message = MESSAGE_BY_CLASS[error_class]
    if error_class not in REQUEST_FAULT_CLASSES:
        return Failed(
            error_class, message, retry_after_seconds, usage or {}, cost_microusd, provider_wide=provider_wide
        )
    if isinstance(provider_text, str) and CONTEXT_TOO_LONG_PATTERN.search(provider_text[:PROVIDER_TEXT_CHARACTERS_MAX]):
        code = CONTEXT_TOO_LONG_CODE
    known = code if isinstance(code, str) and CODE_PATTERN.fullmatch(code) else None
    return Failed(
        error_class,
        safe_provider_text(provider_text) or message,
        retry_after_seconds,
        usage or {},
        cost_microusd,
        known,
    )


def class_of_status(status: int) -> ErrorClass:
    """The error class of a refused request by its HTTP status."""
    return CLASS_BY_STATUS.get(status, ErrorClass.INVALID_INPUT if 400 <= status < 500 else ErrorClass.TRANSIENT)


def provider_unreachable() -> Failed:
    """The Failed outcome when no connection was made: the cause concerns all models of the provider."""
    return failure_of(ErrorClass.TRANSIENT, provider_wide=True)


def send_creation(send: Callable[[], Reply]) -> Reply | Failed | Unknown:
    """Send a creation once, by `send`: its reply, or the outcome when there is none."""
    try:
        return send()
    except NotSent:
        return provider_unreachable()
    except NoAnswer as error:
        return Unknown(f"the request was not answered: {error}")


def check_failure(send: Callable[[], Reply], read_refusal: Callable[[Reply], Failed]) -> Failed | None:
    """The failure of a key check, a free request which `send` sends; None when the provider accepts the key."""
    try:
        reply = send()
    except (NotSent, NoAnswer):
        return failure_of(ErrorClass.TRANSIENT)
    return None if reply.ok else read_refusal(reply)


def safe_provider_text(provider_text: object) -> str | None:
    """A provider's error message, without URLs and secrets and shortened, to show to the caller. None when it is no
    text or mentions our account."""
    if not isinstance(provider_text, str) or ACCOUNT_PATTERN.search(provider_text[: 2 * PROVIDER_TEXT_CHARACTERS_MAX]):
        return None
    plain = " ".join(SECRET_PATTERN.sub("…", provider_text[: 2 * PROVIDER_TEXT_CHARACTERS_MAX]).split())
    return (
        (plain or None)
        if len(plain) <= PROVIDER_TEXT_CHARACTERS_MAX
        else f"{plain[: PROVIDER_TEXT_CHARACTERS_MAX - 1]}…"
    )


def _clamped_seconds(seconds: float) -> int:
    return min(max(math.ceil(seconds), 1), RETRY_AFTER_SECONDS_MAX)


def _with_timezone(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
