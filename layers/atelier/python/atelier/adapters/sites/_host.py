"""What the targets at other hosts share: one request at a time, what its refusal means, and the frame of a step.

A step stops where the host cannot go on: busy (429, 5xx, no answer) waits as long as the host asks for and then repeats
the request, which each target makes safe; refused credentials and real errors end the deployment."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from atelier.dataclass import dataclass
from atelier.deployments.model import SiteFile
from atelier.deployments.ports import HostAccount, TargetJob, TargetStep
from atelier.deployments.render.files import digest
from atelier.errors import ProviderFailed

if TYPE_CHECKING:
    import httpx

SECONDS_MAX = 60.0
WAIT_SECONDS = 10
WAIT_SECONDS_MAX = 900
POLL_SECONDS = 5
# Files in one step: its progress is stored after so many.
FILES_PER_STEP = 50
ERROR_CHARACTERS_MAX = 300
USER_AGENT = "Atelier/1.0"


class HostBusy(Exception):
    """The host cannot answer now; the same request may be sent again after some seconds."""

    def __init__(self, seconds: int, why: str) -> None:
        super().__init__(why)
        self.seconds = seconds


class HostRefused(Exception):
    """The host does not accept the credentials."""


class HostFailed(Exception):
    """The host does not do what it is asked for; the text is for people."""


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """An answer; header names are lower-case. body: JSON, or empty."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def get(self, name: str) -> Any:
        """A field of the body."""
        return cast("dict[str, Any]", self.body).get(name) if isinstance(self.body, dict) else None


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file for a host: one of the manifest, or one that only this host has."""

    file: SiteFile
    read: Callable[[], bytes]


class HostClient:
    """Requests to one host with one account. is_busy: recognises a refusal of the host's own that means "later"."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        now: Callable[[], float] = time.time,
        is_busy: Callable[[HostAnswer], bool] = lambda _: False,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"user-agent": USER_AGENT, **headers}
        self._now = now
        self._is_busy = is_busy

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accepts: Sequence[int] = (),
    ) -> HostAnswer:
        """Send one request. accepts: statuses of errors that the caller handles. Raises HostBusy, HostRefused,
        HostFailed."""
        import httpx

        try:
            response = _connections().request(
                method,
                self._base_url + path,
                json=body,
                content=content,
                headers={**self._headers, **(headers or {})},
            )
        except httpx.HTTPError as error:
            raise HostBusy(WAIT_SECONDS, "It does not answer.") from error
        found = HostAnswer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, _json(response))
        if found.status < 400 or found.status in accepts:
            return found
        if found.status in (408, 425, 429) or found.status >= 500 or self._is_busy(found):
            raise HostBusy(wait_seconds(found, self._now()), f"It answered {found.status}.")
        if found.status in (401, 403):
            raise HostRefused
        raise HostFailed(error_text(found))


@cache
def _connections() -> httpx.Client:
    """This process's connections, to whichever host: to read the certificate authorities takes longer than a step."""
    import httpx

    return httpx.Client(timeout=SECONDS_MAX, follow_redirects=False)


def wait_seconds(answer: HostAnswer, now: float) -> int:
    """How long a host asks to wait: by `Retry-After` (seconds or a date), by `X-RateLimit-Reset` (seconds since 1970),
    or by the reset in its body; WAIT_SECONDS without a hint."""
    hint = answer.headers.get("retry-after", "")
    if hint.isdecimal():
        return _clamped(int(hint))
    if hint:
        try:
            return _clamped(parsedate_to_datetime(hint).timestamp() - now)
        except ValueError:
            pass
    error: Any = answer.get("error")
    limit: Any = cast("dict[str, Any]", error).get("limit") if isinstance(error, dict) else None
    reset: Any = cast("dict[str, Any]", limit).get("reset") if isinstance(limit, dict) else None
    if reset is None and (answer.status == 429 or answer.headers.get("x-ratelimit-remaining") == "0"):
        reset = answer.headers.get("x-ratelimit-reset")
    if isinstance(reset, int | float) or (isinstance(reset, str) and reset.isdecimal()):
        return _clamped(float(reset) - now)
    return WAIT_SECONDS


def error_text(answer: HostAnswer) -> str:
    """A host's error for people, in one line."""
    error: Any = answer.get("error")
    nested: Any = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    text = nested or answer.get("message") or f"status {answer.status}"
    return f"The host refused: {' '.join(str(text).split())[:ERROR_CHARACTERS_MAX]}"


class Progress:
    """What a step has done so far."""

    def __init__(self, job: TargetJob) -> None:
        self.state: dict[str, Any] = dict(job.deployment.state)
        self.lines: list[str] = []
        self.uploaded, self.bytes = 0, 0

    def sent(self, size: int) -> None:
        """A file was sent."""
        self.uploaded, self.bytes = self.uploaded + 1, self.bytes + size

    def step(self, **facts: Any) -> TargetStep:
        """The step's result."""
        return TargetStep(self.state, tuple(self.lines), uploaded=self.uploaded, uploaded_bytes=self.bytes, **facts)


class HostTarget(ABC):
    """SiteTarget at another host. name: the host's, for people."""

    name: str

    def __init__(self, base_url: str, *, now: Callable[[], float] = time.time) -> None:
        self.base_url = base_url
        self.now = now

    @abstractmethod
    def client(self, account: HostAccount) -> HostClient:
        """A client with an account."""

    @abstractmethod
    def advance(self, job: TargetJob, client: HostClient, progress: Progress) -> TargetStep:
        """The next piece of work; its progress is kept also when it raises."""

    @abstractmethod
    def stop(self, job: TargetJob, client: HostClient) -> None:
        """Stop what the host does."""

    @abstractmethod
    def greet(self, account: HostAccount, client: HostClient) -> None:
        """A call that needs the credentials and changes nothing."""

    def step(self, job: TargetJob) -> TargetStep:
        assert job.account is not None, "a deployment to another host has an integration"
        progress = Progress(job)
        try:
            return self.advance(job, self.client(job.account), progress)
        except HostBusy as busy:
            progress.lines.append(f"{self.name} is busy: {busy} Goes on in {busy.seconds} s.")
            return progress.step(wait_seconds=busy.seconds)
        except HostRefused:
            return progress.step(is_refused=True)
        except HostFailed as error:
            return progress.step(failure=f"{self.name}: {error}")

    def cancel(self, job: TargetJob) -> None:
        assert job.account is not None, "a deployment to another host has an integration"
        try:
            self.stop(job, self.client(job.account))
        except (HostBusy, HostRefused, HostFailed):
            # The host forgets what is never finished.
            return

    def test(self, account: HostAccount) -> str | None:
        try:
            self.greet(account, self.client(account))
        except HostBusy as error:
            raise ProviderFailed(f"{self.name} cannot be asked now: {error}") from error
        except HostRefused:
            return f"{self.name} does not accept the credentials."
        except HostFailed as error:
            return f"{self.name}: {error}"
        return None


def host_files(job: TargetJob, extra: Mapping[str, bytes]) -> list[HostFile]:
    """The files of a deployment with those that only this host has, sorted by path. A page goes before an extra file
    of its path."""
    own = {file.path: HostFile(file, _reader(job, file)) for file in job.manifest.files}
    added = {path: _extra(path, body) for path, body in extra.items()}
    return [each for _, each in sorted({**added, **own}.items())]


def _reader(job: TargetJob, file: SiteFile) -> Callable[[], bytes]:
    return lambda: job.read(file)


def _extra(path: str, body: bytes) -> HostFile:
    found = digest(body)
    file = SiteFile(path, "application/octet-stream", found.size, found.sha256, found.sha1, found.git)
    return HostFile(file, lambda: body)


def _clamped(seconds: float) -> int:
    return max(1, min(int(seconds + 0.999), WAIT_SECONDS_MAX))


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return {}
