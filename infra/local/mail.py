"""The mails of the local stack, as pages: nothing leaves this machine; the embedded AWS keeps what its SES was given
until it stops. The pages exist on this machine alone."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

PATH = "/local/mail"
# All mails as JSON, for tests and tools.
MESSAGES_PATH = f"{PATH}/messages"
DOMAIN = "atelier.example"
SENDER = f"atelier@{DOMAIN}"
PARAMETERS = {"MailFrom": SENDER}
_INBOX = "/_ministack/ses/messages"
_LINK = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,]")
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
li {{ margin: .5rem 0; }} small {{ opacity: .75; }}
pre {{ white-space: pre-wrap; padding: 1rem; border: 1px solid #8886; }}
iframe {{ width: 100%; height: 44rem; border: 1px solid #8886; }}
</style></head><body>{body}</body></html>
"""
# The mail's own HTML runs no script and loads nothing; a click on its link may leave the frame.
_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-top-navigation-by-user-activation"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'"


class LocalMail:
    """endpoint: gives the address of the embedded AWS."""

    def __init__(self, endpoint: Callable[[], str]) -> None:
        self._endpoint = endpoint

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The list of mails, newest first; one mail; its HTML alone; or all mails as JSON."""
        try:
            messages = await self._messages()
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=503, text="The embedded AWS does not answer. Try again in a moment.\n")
        path = request.raw_path.partition("?")[0]
        if path.rstrip("/") == PATH:
            return _page("Mails", _list(messages))
        if path == MESSAGES_PATH:
            return web.json_response(messages)
        message_id, _, part = path.removeprefix(f"{PATH}/").partition("/")
        message = next((each for each in messages if each["id"] == message_id), None)
        if message is None:
            return web.Response(status=404, text="There is no such mail; a start of the stack begins with none.\n")
        if part == "html":
            return web.Response(
                text=str(message["html"]).replace("<head>", '<head><base target="_top">', 1),
                content_type="text/html",
                headers={"content-security-policy": _FRAME_POLICY},
            )
        return _page(str(message["subject"]), _one(message))

    async def _messages(self) -> list[dict[str, Any]]:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._endpoint() + _INBOX) as answer:
            accounts: Mapping[str, list[dict[str, Any]]] = json.loads(await answer.read())["messages"]
        found = [
            {
                "id": each["MessageId"].partition("@")[0],
                "to": each["To"],
                "from": each["Source"],
                "subject": each["Subject"],
                "text": each["BodyText"],
                "html": each["BodyHtml"] or "",
                "at": datetime.fromtimestamp(each["Timestamp"], UTC).isoformat(timespec="milliseconds"),
            }
            for messages in accounts.values()
            for each in messages
        ]
        return sorted(found, key=lambda message: str(message["at"]), reverse=True)


def _list(messages: list[dict[str, Any]]) -> str:
    lines = [
        f'<li><a href="{PATH}/{html.escape(each["id"])}">{html.escape(each["subject"])}</a><br>'
        f"<small>to {html.escape(', '.join(each['to']))}, {html.escape(each['at'])}</small></li>"
        for each in messages
    ]
    shown = f"<ol>{''.join(lines)}</ol>" if lines else "<p>No mail has been sent since the stack was started.</p>"
    return f"<h1>Mails</h1><p>What Atelier has sent. Nothing leaves this machine.</p>{shown}"


def _one(message: Mapping[str, Any]) -> str:
    place = f"{PATH}/{html.escape(message['id'])}"
    text = _LINK.sub(r'<a href="\g<0>">\g<0></a>', html.escape(message["text"], quote=False))
    return (
        f'<p><a href="{PATH}">All mails</a></p><h1>{html.escape(message["subject"])}</h1>'
        f"<p>From {html.escape(message['from'])}<br>To {html.escape(', '.join(message['to']))}<br>{message['at']}</p>"
        f'<h2>HTML</h2><iframe src="{place}/html" title="The mail" '
        f'sandbox="allow-top-navigation-by-user-activation"></iframe>'
        f"<h2>Text</h2><pre>{text}</pre>"
    )


def _page(title: str, body: str) -> web.Response:
    return web.Response(
        text=_PAGE.format(title=html.escape(title), body=body),
        content_type="text/html",
        headers={"content-security-policy": _PAGE_POLICY, "cache-control": "no-store"},
    )
