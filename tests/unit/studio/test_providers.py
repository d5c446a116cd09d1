"""Which settings of providers are stored, and that a form's secret is on no page."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

from studio import csrf
from studio.application import handler
from studio.pages.providers import settings_to_store


def _new_loop() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())


def provider(name: str, **changed: Any) -> dict[str, Any]:
    usual = {"enabled": True, "priority": 100, "has_key": False, "use_own_key": None, "platform_fallback": False}
    return {"id": name, "kinds": [], "health": "unknown", "is_offered": True, **usual, **changed}


def test_only_providers_with_settings_of_their_own_are_stored() -> None:
    providers = [
        provider("usual"),
        provider("off", enabled=False),
        provider("first", priority=10),
        provider("paid", has_key=True, use_own_key="key_1", platform_fallback=True),
        # This workspace has a key and does not use it: unnamed, the key would be used.
        provider("platform", has_key=True),
    ]
    stored = settings_to_store(providers)
    assert [each["id"] for each in stored] == ["off", "first", "paid", "platform"]
    assert stored[2] == {
        "id": "paid",
        "enabled": True,
        "priority": 100,
        "use_own_key": "key_1",
        "platform_fallback": True,
    }


def test_a_secret_is_not_kept_by_the_page_that_asks_to_sign_in_again() -> None:
    token, _ = csrf.token_of({})
    fields = {csrf.FIELD: csrf.masked(token), "key_name": "our name", "secret_key": "sk-of-the-team"}
    path = "/studio/providers/openai/keys"
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/x-www-form-urlencoded", "host": "studio.example"},
        "cookies": [f"{csrf.COOKIE}={token}"],
        "requestContext": {
            "http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"},
            "domainName": "api.example",
            "apiId": "api",
        },
        "body": urlencode(fields),
        "isBase64Encoded": False,
    }
    # Of a thread of its own, as at Lambda: in a test's thread a browser's loop may be running.
    with ThreadPoolExecutor(1, initializer=_new_loop) as threads:
        answer = threads.submit(handler, event, None).result()
    assert answer["statusCode"] == 401
    assert 'name="kept:key_name" value="our name"' in answer["body"]
    assert "sk-of-the-team" not in answer["body"]
