"""The person's session, in cookies that pages cannot read.

The refresh token is the API's own cookie, which the browser sends to Studio too because both have one origin. Studio
adds a cookie with the access token, so that most pages need no call to refresh. It keeps nothing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from studio.api_client import Answer, ApiClient, ApiError, Json

REFRESH_COOKIE = "__Host-atelier-refresh"
ACCESS_COOKIE = "__Host-studio-access"
NAME_COOKIE = "__Host-studio-name"
# There while the account's address is not verified, as far as this browser knows.
UNVERIFIED_COOKIE = "__Host-studio-unverified"
# There while the person administers the platform, as far as this browser knows.
ADMIN_COOKIE = "__Host-studio-admin"
# How many notifications are unread, for a minute; without it, a page asks for the number after it has been shown.
UNREAD_COOKIE = "__Host-studio-unread"
UNREAD_SECONDS = 60
# The organisation in which the person works: its id and name. There is none in the personal workspace.
WORKSPACE_COOKIE = "__Host-studio-workspace"
# The access cookie ends a little before its token does, so that a page's calls do not meet an expired one.
SPARE_SECONDS = 20
NAME_SECONDS = 30 * 86400


class SignInNeeded(Exception):
    """There is no session, or it has ended."""


class Session:
    """Opens, continues and ends the session of one request. `set_cookies`: Set-Cookie values for the response."""

    def __init__(self, api: ApiClient, cookies: Mapping[str, str]) -> None:
        self._api = api
        self._cookies = cookies
        self.set_cookies: list[str] = []
        self.name = unquote(cookies.get(NAME_COOKIE, ""))
        self.is_unverified = UNVERIFIED_COOKIE in cookies
        self.is_admin = ADMIN_COOKIE in cookies
        known = cookies.get(UNREAD_COOKIE, "")
        # None = nobody knows.
        self.unread: int | None = int(known) if known.isascii() and known.isdigit() and len(known) < 8 else None
        api.access_token = cookies.get(ACCESS_COOKIE, "")
        api.workspace_id, _, name = cookies.get(WORKSPACE_COOKIE, "").partition(".")
        self.workspace_name = unquote(name)

    def require(self) -> None:
        """Makes sure that there is an access token; raises SignInNeeded, or ApiError when the API does not answer."""
        if not self._api.access_token:
            self.renew()

    def renew(self) -> None:
        """Exchanges the refresh token for a new pair. Raises SignInNeeded when the session has ended, or ApiError."""
        token = self._cookies.get(REFRESH_COOKIE)
        if not token:
            raise SignInNeeded
        self._api.access_token = ""
        try:
            answer = self._api.call("POST", "/api/auth/refresh", {}, headers={"cookie": f"{REFRESH_COOKIE}={token}"})
        except ApiError as error:
            if error.status in (401, 403):
                raise SignInNeeded from error
            raise
        self._keep(answer)

    def open(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Json:
        """Signs in or up, in whichever way the path takes. Returns the answer's data, which has no session if something
        is still missing (`sign_in_steps.py`). Raises ApiError."""
        self._api.access_token = ""
        answer = self._api.call("POST", path, body, headers=headers)
        if "access_token" in answer.data:
            self._keep(answer)
            self.name = str(answer.data["user"]["name"])
            self.set_cookies.append(_cookie(NAME_COOKIE, quote(self.name), NAME_SECONDS))
        return answer.data

    def set_unverified(self, is_unverified: bool) -> None:
        """Remembers whether the account's address is yet to be verified, so that pages can ask for its code."""
        if is_unverified != self.is_unverified:
            self.is_unverified = is_unverified
            seconds = NAME_SECONDS if is_unverified else 0
            self.set_cookies.append(_cookie(UNVERIFIED_COOKIE, "1" if is_unverified else "", seconds))

    def set_admin(self, is_admin: bool) -> None:
        """Remembers whether the person administers the platform, so that pages show the way to that room. What they may
        do, the API decides at each call."""
        if is_admin != self.is_admin:
            self.is_admin = is_admin
            self.set_cookies.append(_cookie(ADMIN_COOKIE, "1" if is_admin else "", NAME_SECONDS if is_admin else 0))

    def set_unread(self, unread: int) -> None:
        """Remembers how many notifications are unread, so that the next pages need not ask."""
        self.unread = unread
        self.set_cookies.append(_cookie(UNREAD_COOKIE, str(unread), UNREAD_SECONDS))

    def forget_unread(self) -> None:
        """Lets the next page ask how many notifications are unread."""
        self.set_cookies.append(_cookie(UNREAD_COOKIE, "", 0))

    def work_in(self, workspace_id: str, name: str) -> None:
        """Chooses the organisation in which the person works; an empty id = the personal workspace."""
        value = f"{workspace_id}.{quote(name)}" if workspace_id else ""
        self.set_cookies.append(_cookie(WORKSPACE_COOKIE, value, NAME_SECONDS if workspace_id else 0))

    def end(self) -> None:
        """Signs out here, and at the API if it answers: a person who signs out is out of this browser in any case."""
        token = self._cookies.get(REFRESH_COOKIE)
        try:
            headers = {"cookie": f"{REFRESH_COOKIE}={token}"} if token else {}
            self._api.call("POST", "/api/auth/logout", {}, headers=headers)
        except ApiError:
            pass
        self.set_cookies += [
            _cookie(name, "", 0)
            for name in (
                *(REFRESH_COOKIE, ACCESS_COOKIE, NAME_COOKIE, UNVERIFIED_COOKIE, ADMIN_COOKIE, UNREAD_COOKIE),
                WORKSPACE_COOKIE,
            )
        ]

    def _keep(self, answer: Answer) -> None:
        self._api.access_token = str(answer.data["access_token"])
        seconds = max(1, int(answer.data["expires_in"]) - SPARE_SECONDS)
        self.set_cookies += [*answer.cookies, _cookie(ACCESS_COOKIE, self._api.access_token, seconds)]
        if "user" in answer.data:
            # Another person may have signed in.
            self.forget_unread()
            self._api.workspace_id = ""
            self.work_in("", "")
            self.set_unverified(answer.data["user"]["email_verified"] is False)
            self.set_admin(answer.data["user"]["platform_role"] == "admin")


def _cookie(name: str, value: str, seconds: int) -> str:
    return f"{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict"
