"""The link that `make run` prints: it opens Studio signed in as the demo account. It exists on this machine alone."""

from __future__ import annotations

import hmac
import json
import secrets
from pathlib import Path

import aiohttp
from aiohttp import web

PATH = "/local/sign-in"
# The names of Studio's own cookie for the account's name, and of the account.
NAME_COOKIE, NAME = "__Host-studio-name", "Demo"


class DemoSignIn:
    """`link_path`: the link's path and query; its key is new with each start. `account_file`: e-mail and password of
    the demo account."""

    def __init__(self, account_file: Path) -> None:
        self._account_file = account_file
        self._key = secrets.token_urlsafe(16)
        self.link_path = f"{PATH}?key={self._key}"

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Signs in through the public API, and hands its cookie on to the browser."""
        given = request.query.get("key", "")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            return web.Response(
                status=403, text="This link is of an earlier start. `make run` has printed a new one.\n"
            )
        if not self._account_file.exists():
            return web.Response(status=404, text="There is no demo account yet. Wait a moment, and load this again.\n")
        account = json.loads(self._account_file.read_text("utf-8"))
        # Our own port, and not the request's Host header, which may name another machine.
        _, port = request.get_extra_info("sockname")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://127.0.0.1:{port}/api/auth/login", json=account) as signed_in,
        ):
            if signed_in.status != 200:
                return web.Response(status=502, text=f"Signing in was answered {signed_in.status}. Try again.\n")
            cookies = signed_in.headers.getall("set-cookie")
        response = web.Response(status=303, headers={"location": "/"})
        for cookie in (*cookies, f"{NAME_COOKIE}={NAME}; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Strict"):
            response.headers.add("set-cookie", cookie)
        return response
