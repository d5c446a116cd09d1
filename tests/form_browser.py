"""As much of a browser as the forms of Studio need: cookies, compression, the form's token."""

from __future__ import annotations

import gzip
import http.client
import re
from urllib.parse import urlencode, urlsplit


class FormBrowser:
    """Opens pages and signs in. `cookies`: by name, those that the pages have set."""

    def __init__(self, base_url: str) -> None:
        self._address = urlsplit(base_url).netloc
        self.cookies: dict[str, str] = {}

    def open_page(self, path: str) -> tuple[float, int, str]:
        """(own milliseconds, bytes as sent, text) of a page."""
        answer, body = self._send("GET", path)
        assert answer.status == 200, (path, answer.status)
        own = re.search(r"own;dur=([\d.]+)", answer.headers["server-timing"])
        assert own
        text = gzip.decompress(body) if answer.headers["content-encoding"] == "gzip" else body
        return float(own[1]), len(body), text.decode()

    def sign_in(self, account: dict[str, str]) -> None:
        """Sends the sign-in form."""
        _, _, text = self.open_page("/sign-in")
        token = re.search(r'name="form_token" value="([^"]+)"', text)
        assert token
        answer, _ = self._send("POST", "/sign-in", {**account, "form_token": token[1], "next": "/"})
        assert answer.status == 303, answer.status

    def _send(
        self, method: str, path: str, fields: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        headers = {"accept-encoding": "gzip", "cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if fields is not None:
            body, headers["content-type"] = urlencode(fields), "application/x-www-form-urlencoded"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        for cookie in answer.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer, content
