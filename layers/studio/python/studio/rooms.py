"""Which module of `pages` answers which paths. It is imported with the first request for one of them: all of them
together are a quarter of a cold start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

# The beginning of a path, or of what follows `/parts/` in it: the modules with such paths, in the order in which they
# are asked.
ROOMS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("welcome", "sign-up", "sign-out", "theme", "language"), ("account",)),
    "sign-in": ("account", "second_factor"),
    "step-up": ("second_factor",),
    "oauth": ("oauth",),
    "security": ("security",),
    "sites": ("sites", "deployments", "page_writing"),
    "site-parts": ("sites",),
    "profile": ("profile",),
    "identities": ("identities",),
    "create": ("create",),
    "generations": ("generations",),
    "library": ("library",),
    **dict.fromkeys(("verify", "confirm-email", "undo-email-change"), ("mailbox",)),
    **dict.fromkeys(("forgot-password", "reset-password", "mailbox"), ("mailbox",)),
    "notifications": ("notifications",),
    "unsubscribe": ("notifications",),
    "live": ("notifications", "livestreams"),
    "projects": ("projects", "moves"),
    "characters": ("characters",),
    "templates": ("templates",),
    "credits": ("credits",),
    "plan": ("plan",),
    "providers": ("providers",),
    "team": ("team",),
    "invitation": ("team",),
    "tokens": ("tokens",),
    "webhooks": ("webhooks",),
    "deployments": ("deployments",),
    "integrations": ("deployments",),
    "docs": ("docs",),
    "history": ("history",),
    "showcase": ("showcase",),
    "workshops": ("workshops",),
    "home": ("home",),
    "articles": ("articles",),
    "editorial": ("editorial",),
    "usage": ("usage",),
    "exports": ("exports",),
    "admin": ("editorial", "updates", "admin", "operations"),
}


def rooms() -> list[Room]:
    """The routes of all modules."""
    return [Room(name) for name in dict.fromkeys(name for names in ROOMS.values() for name in names)]


def beginning_of(path: str) -> str:
    """What ROOMS has of a path."""
    first, _, rest = path.removeprefix("/").partition("/")
    return rest.partition("/")[0] if first == "parts" else first


class Room(BaseRoute):
    """The routes of one module. `routes`: a list of them, for which the module is imported."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._beginnings = {beginning for beginning, modules in ROOMS.items() if module in modules}

    @cached_property
    def routes(self) -> list[Route]:
        return import_module(f"studio.pages.{self._module}").routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the module's own routes match; the one that does is kept for `handle`."""
        partial: tuple[Match, Scope] = Match.NONE, {}
        if beginning_of(scope["path"]) not in self._beginnings:
            return partial
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return match, {**found, "room.route": route}
            if match is Match.PARTIAL and not partial[1]:
                partial = match, {**found, "room.route": route}
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["room.route"].handle(scope, receive, send)
