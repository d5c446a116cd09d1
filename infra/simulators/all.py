"""All providers' simulators at once, in this process, and the settings by which a stack uses them."""

from __future__ import annotations

import pkgutil
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import infra.simulators
from infra.simulators.kit.server import Simulator

# Each module beside this one is a provider's simulator, named after the provider's id, and exports `SIMULATOR`; one
# whose name begins with an underscore is a part of a simulator. A package is another vendor's.
PROVIDERS = tuple(
    module.name
    for module in pkgutil.iter_modules(infra.simulators.__path__)
    if not module.ispkg and not module.name.startswith("_") and module.name != __name__.rpartition(".")[2]
)
# A marker that makes only the provider of the first image candidate refuse, so that the next candidate takes over.
FALLBACK_MARKER = "fal/create:503"


@dataclass(frozen=True, slots=True)
class Simulators:
    """The running simulators by provider."""

    by_provider: Mapping[str, Simulator]

    @property
    def urls(self) -> dict[str, str]:
        """Base URLs by provider, for the template's parameter ProviderUrls."""
        return {provider: each.base_url for provider, each in self.by_provider.items()}

    @property
    def secrets(self) -> dict[str, object]:
        """The platform's access to the simulators, by provider."""
        return {provider: each.access for provider, each in self.by_provider.items() if each.on_platform}

    def usage_lines(self, base_url: str) -> list[str]:
        """Lines to print for the user: the simulators' addresses, how to make them fail, and a fallback to try."""
        lines = [
            f"{provider:<10}{each.base_url:<28}"
            f"say [[{provider}/{each.example_marker}]] in a prompt to make it misbehave"
            for provider, each in sorted(self.by_provider.items())
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


def create_simulator(provider_id: str, **options: Any) -> Simulator:
    """A provider's simulator, not yet started. options: the constructor's."""
    return simulator_class(provider_id)(**options)


def simulator_class(provider_id: str) -> type[Simulator]:
    """The class of a provider's simulator."""
    return import_module(f"infra.simulators.{provider_id}").SIMULATOR


@contextmanager
def run_all(*, run_seconds: float = 1.0) -> Generator[Simulators, None, None]:
    """Runs all simulators on free loopback ports until the block ends. run_seconds: how long ordinary work takes."""
    with ExitStack() as opened:
        yield Simulators(
            {
                provider: opened.enter_context(create_simulator(provider, run_seconds=run_seconds))
                for provider in PROVIDERS
            }
        )
