"""Google and GitHub of the local stack: their simulators, at paths of the edge, so that signing in with them works
offline. Browsers and functions reach them at the same address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from infra.local.forwarding import forward
from infra.simulators.oauth.github import GitHubSimulator
from infra.simulators.oauth.google import GoogleSimulator
from infra.simulators.oauth.identity_provider import IdentityProviderSimulator

CALLBACK_PATH = "/api/auth/oauth/{name}/callback"
SIMULATORS: dict[str, type[IdentityProviderSimulator]] = {"google": GoogleSimulator, "github": GitHubSimulator}


class SimulatedIdentityProviders:
    """The simulators of all identity providers. They keep nothing: whoever types the same address again is the same
    person."""

    def __init__(self) -> None:
        self._running: dict[str, IdentityProviderSimulator] = {}

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of template.yaml; those of running simulators."""
        return {"OAuthUrls": ",".join(f"{name}={each.public_url}" for name, each in self._running.items())}

    @property
    def secret(self) -> dict[str, object]:
        """What the secret of OAuth holds: the product's registration at each."""
        return {name: each.access for name, each in self._running.items()}

    @property
    def pages(self) -> dict[str, Callable[[web.BaseRequest], Awaitable[web.Response]]]:
        """What answers requests at and below each path of the edge."""
        return {path_of(name): partial(self._answer, name) for name in SIMULATORS}

    def start(self, public_url: str) -> None:
        """Called with the edge's address, before the first deployment."""
        for name, simulator in SIMULATORS.items():
            callback = public_url + CALLBACK_PATH.format(name=name)
            self._running[name] = simulator(public_url=public_url + path_of(name), redirect_uri=callback).start()

    def stop(self) -> None:
        """Stops them; they may not be running."""
        while self._running:
            self._running.popitem()[1].stop()

    async def _answer(self, name: str, request: web.BaseRequest) -> web.Response:
        simulator = self._running.get(name)
        if simulator is None:
            return web.Response(status=503, text="The stack is starting. Load this again in a moment.\n")
        return await forward(request, path_of(name), simulator.url)


def path_of(name: str) -> str:
    """The path of the edge at and below which a simulator answers."""
    return f"/local/{name}"
