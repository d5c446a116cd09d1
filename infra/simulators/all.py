"""All providers' simulators at once, in this process, and the settings by which a stack uses them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from infra.simulators._kit import Simulator
from infra.simulators.anthropic import AnthropicSimulator
from infra.simulators.fal import FalSimulator
from infra.simulators.openai import OpenAISimulator
from infra.simulators.replicate import ReplicateSimulator
from infra.simulators.stability import StabilitySimulator
from infra.simulators.xai import XAISimulator

# The path below a simulator's address where the provider's API begins.
BASE_PATHS = {"openai": "/v1", "xai": "/v1", "custom": "/v1"}
# One marker of each simulator to try first; the docstring of its module lists them all.
EXAMPLE_MARKERS = {
    "anthropic": "create:529",
    "custom": "create:429",
    "fal": "run:policy-late",
    "openai": "create:moderated",
    "replicate": "webhook:lost",
    "stability": "output:filtered",
    "xai": "create:credits",
}
# A marker that makes only the provider of the first image candidate refuse, so that the next candidate takes over.
FALLBACK_MARKER = "fal/create:503"


@dataclass(frozen=True, slots=True)
class Simulators:
    """The running simulators by provider. `custom` stands in for an endpoint that a workspace brings itself, so the
    platform has no key for it."""

    by_provider: Mapping[str, Simulator | ReplicateSimulator]

    @property
    def urls(self) -> dict[str, str]:
        """Base URLs by provider, for the template's parameter ProviderUrls."""
        return {provider: each.url + BASE_PATHS.get(provider, "") for provider, each in self.by_provider.items()}

    @property
    def secrets(self) -> dict[str, object]:
        """The platform's credentials for the simulators, by provider."""
        found: dict[str, object] = {}
        for provider, each in self.by_provider.items():
            if isinstance(each, ReplicateSimulator):
                found[provider] = {"api_token": each.api_token, "webhook_secret": each.webhook_secret}
            elif isinstance(each, FalSimulator):
                found[provider] = {"api_key": each.api_key, "user_id": each.user_id}
            elif provider != "custom":
                found[provider] = {"api_key": each.api_key}
        return found

    def usage_lines(self, base_url: str) -> list[str]:
        """Lines to print for the user: the simulators' addresses, how to make them fail, and a fallback to try."""
        lines = [
            f"{provider:<10}{url:<28}say [[{provider}/{EXAMPLE_MARKERS[provider]}]] in a prompt to make it misbehave"
            for provider, url in sorted(self.urls.items())
        ]
        return [
            *lines,
            "[[create:503]] without a name is for all of them; the modules of infra/simulators tell all words",
            "to see a fallback, paste this:",
            *_fallback_commands(base_url).splitlines(),
        ]


def _fallback_commands(base_url: str) -> str:
    json_type = "-H 'content-type: application/json'"
    account = r"{\"email\":\"me-$(date +%s)@example.com\",\"password\":\"a passphrase of nobody\","
    account += r"\"name\":\"Me\",\"token_delivery\":\"body\"}"
    read_token = """python3 -c 'import json,sys; print(json.load(sys.stdin)["data"]["access_token"])'"""
    read_attempts = (
        """python3 -c 'import json,sys; g=json.load(sys.stdin)["data"]["generation"]; """
        """[print(a["model"], a["status"], a["error_class"] or "") for a in g["attempts"]]; """
        """print(g["status"], g["credits_charged"], "of", g["credits_held"], "credits")'"""
    )
    return (
        f"""TOKEN=$(curl -s {base_url}/api/auth/signup {json_type} -d "{account}" | {read_token})\n"""
        f"""curl -s {base_url}/api/generate/image -H "authorization: Bearer $TOKEN" {json_type} """
        f"""-H 'prefer: wait=20' -d '{{"prompt":"a lake at dawn [[{FALLBACK_MARKER}]]"}}' | {read_attempts}"""
    )


@contextmanager
def run_all(*, run_seconds: float = 1.0) -> Generator[Simulators, None, None]:
    """Runs all simulators on free loopback ports until the block ends. run_seconds: how long ordinary work takes."""
    with ExitStack() as opened:
        yield Simulators(
            {
                "anthropic": opened.enter_context(AnthropicSimulator(run_seconds=run_seconds)),
                "custom": opened.enter_context(OpenAISimulator(run_seconds=run_seconds, name="custom")),
                "fal": opened.enter_context(FalSimulator(run_seconds=run_seconds)),
                "openai": opened.enter_context(OpenAISimulator(run_seconds=run_seconds)),
                "replicate": opened.enter_context(ReplicateSimulator(run_seconds=run_seconds)),
                "stability": opened.enter_context(StabilitySimulator(run_seconds=run_seconds)),
                "xai": opened.enter_context(XAISimulator(run_seconds=run_seconds)),
            }
        )
