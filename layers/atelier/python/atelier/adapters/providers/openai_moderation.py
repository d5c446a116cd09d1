"""OpenAI's moderation endpoint: free, for texts and images. It generates nothing, so it is no `Provider`.

It is called while a caller waits, in Lambda functions that call no provider and have no HTTP client library. Therefore
it uses the standard library's client, which is loaded anyway and allows an exact deadline.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from atelier.moderation.model import Category, Thumbnail
from atelier.moderation.ports import Findings

if TYPE_CHECKING:
    import http.client
    import ssl

BASE_URL = "https://api.openai.com/v1"
CONNECT_SECONDS_MAX = 1.0
ANSWER_BYTES_MAX = 1024 * 1024
# A longer text is split into pieces of this many characters, and one request takes this many pieces: the others go into
# further requests.
CHARACTERS_MAX, PIECES_MAX = 8_000, 64

# OpenAI's categories → ours. A topic that is mentioned without a threat or an instruction gets the mildest category.
CATEGORIES = {
    "sexual/minors": Category.MINORS,
    "illicit/violent": Category.WEAPONS,
    "self-harm/instructions": Category.SELF_HARM,
    "harassment/threatening": Category.THREATS,
    "hate/threatening": Category.THREATS,
    "hate": Category.HATE,
    "harassment": Category.HATE,
    "illicit": Category.CRIME,
    "violence": Category.VIOLENCE,
    "violence/graphic": Category.VIOLENCE,
    "self-harm": Category.VIOLENCE,
    "self-harm/intent": Category.VIOLENCE,
    "sexual": Category.SEXUAL,
}


class OpenAIModeration:
    """Implements the port `Moderator`. `model` is OpenAI's name of the model, from the catalogue.
    `base_url`: None = OpenAI's own."""

    def __init__(self, *, api_key: str, model: str, base_url: str | None = None) -> None:
        self._api_key = api_key
        self._model = model
        self._base = urlsplit((base_url or BASE_URL).rstrip("/"))
        self._tls: ssl.SSLContext | None = None

    def texts(self, texts: Sequence[str], *, seconds_max: float) -> Findings | None:
        owners: list[int] = []
        pieces: list[str] = []
        for owner, text in enumerate(texts):
            for start in range(0, len(text), CHARACTERS_MAX):
                owners.append(owner)
                pieces.append(text[start : start + CHARACTERS_MAX])
        results = self._piece_results(pieces, time.monotonic() + seconds_max)
        if results is None:
            return None
        found = [set[Category]() for _ in texts]
        for owner, result in zip(owners, results, strict=True):
            categories = _categories(result)
            if categories is None:
                return None
            found[owner] |= categories
        return tuple(map(frozenset, found))

    def _piece_results(self, pieces: Sequence[str], deadline: float) -> list[Any] | None:
        """The result of each piece; None unless all of them are there at the deadline (of time.monotonic), because a
        part of a text says nothing of the rest."""
        results: list[Any] = []
        for start in range(0, len(pieces), PIECES_MAX):
            batch, seconds_left = pieces[start : start + PIECES_MAX], deadline - time.monotonic()
            found = self._request(batch, seconds_left) if seconds_left > 0 else None
            if found is None or len(found) != len(batch):
                return None
            results += found
        return results

    def image(self, thumbnail: Thumbnail, *, seconds_max: float) -> frozenset[Category] | None:
        url = f"data:{thumbnail.content_type};base64,{base64.b64encode(thumbnail.data).decode()}"
        results = self._request([{"type": "image_url", "image_url": {"url": url}}], seconds_max)
        return _categories(results[0]) if results else None

    def _connection(self, seconds_max: float) -> http.client.HTTPConnection:
        import http.client
        import ssl

        host, port = self._base.hostname or "", self._base.port
        if self._base.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=seconds_max)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=seconds_max, context=self._tls)

    def _request(self, content: object, seconds_max: float) -> list[Any] | None:
        """The `results` of one moderation request; None when there is no valid response within `seconds_max`."""
        import http.client

        body = json.dumps({"model": self._model, "input": content}).encode()
        headers = {"authorization": f"Bearer {self._api_key}", "content-type": "application/json"}
        deadline = time.monotonic() + seconds_max
        data = bytearray()
        # No keep-alive: a connection that died while the Lambda function was frozen would look like no response.
        connection = self._connection(min(CONNECT_SECONDS_MAX, seconds_max))
        try:
            connection.connect()
            _limit_next_read(deadline, connection)
            connection.request("POST", f"{self._base.path}/moderations", body, headers)
            answer = connection.getresponse()
            while chunk := answer.read1(65536):
                data += chunk
                if len(data) > ANSWER_BYTES_MAX:
                    return None
                _limit_next_read(deadline, connection)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status != 200:
            return None
        try:
            document: Any = json.loads(data)
        except ValueError:
            return None
        results: Any = cast("dict[str, Any]", document).get("results") if isinstance(document, dict) else None
        return cast("list[Any]", results) if isinstance(results, list) else None


def _limit_next_read(deadline: float, connection: http.client.HTTPConnection) -> None:
    """Set the socket's time-out to the time left until the deadline. Raises TimeoutError when no time is left."""
    seconds_left = deadline - time.monotonic()
    if seconds_left <= 0:
        raise TimeoutError
    # The connection has no socket any more when the server has sent everything and closed it.
    if connection.sock is not None:  # pyright: ignore[reportUnnecessaryComparison]
        connection.sock.settimeout(seconds_left)


def _categories(result: object) -> frozenset[Category] | None:
    """The categories of a result; None when the result is malformed."""
    fields = cast("dict[str, Any]", result) if isinstance(result, dict) else {}
    flags: Any = fields.get("categories")
    if not isinstance(fields.get("flagged"), bool) or not isinstance(flags, dict):
        return None
    found = {name for name, is_so in cast("dict[str, Any]", flags).items() if is_so is True}
    return frozenset(CATEGORIES[name] for name in found if name in CATEGORIES)
