"""The cases of the provider tests: each adapter with its simulator, and the faults that can occur, as data."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from atelier.adapters.providers.fal import signing_keys
from atelier.adapters.providers.registry import AdapterRegistry
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import ErrorClass, Job, Provider
from infra.simulators.all import PROVIDERS as SIMULATED
from infra.simulators.all import create_simulator, simulator_class
from infra.simulators.kit.server import Simulator

# The models, and the kinds, with which each provider is tested. A remote provider's simulator names its own.
MODELS_TESTED = (
    *(("local/canvas", "image"), ("local/writer", "text"), ("local/page", "page"), ("local/voice", "audio")),
    *(tried for provider in SIMULATED for tried in simulator_class(provider).tried_with),
)
PROVIDERS = frozenset(model.partition("/")[0] for model, _ in MODELS_TESTED)
CATALOGUE = catalogue(PROVIDERS)
# Long enough for every answer that comes, short enough for tests of answers that never come.
ANSWER_SECONDS_MAX = 3.0

REMOTE_PROVIDERS = SIMULATED
FAULT_NAMES = (
    *("bad parameters", "refused for its content", "made, then held back", "wrong key", "no money left"),
    *("too many requests", "out of service", "no capacity", "model gone", "fell over while running"),
    *("did not begin in time", "did not end in time", "taken, and nothing came", "answer lost", "answer never ends"),
    *("answer is no JSON", "answer holds nothing", "gateway's 502"),
)
# Fault → provider → the marker for its simulator. A fault cannot occur at a provider that is not listed.
FAULTS: dict[str, dict[str, str]] = {
    fault: {
        provider: marker
        for provider in SIMULATED
        if (marker := simulator_class(provider).faults.get(fault)) is not None
    }
    for fault in FAULT_NAMES
}
# Faults of the table above that cannot occur for one kind of work. For example, an empty answer to a speech request is
# an empty audio file, not a broken answer.
IMPOSSIBLE_FAULTS = {
    ("xai", "text", "made, then held back"),
    ("xai", "video", "taken, and nothing came"),
    ("openai", "audio", "answer holds nothing"),
    ("custom", "audio", "answer holds nothing"),
}
ERROR_CLASSES = {
    "bad parameters": {ErrorClass.INVALID_INPUT},
    "refused for its content": {ErrorClass.MODERATED},
    "made, then held back": {ErrorClass.MODERATED, ErrorClass.MODERATED_BILLED},
    "wrong key": {ErrorClass.AUTH},
    "no money left": {ErrorClass.PROVIDER_BILLING},
    "too many requests": {ErrorClass.RATE_LIMITED},
    "out of service": {ErrorClass.TRANSIENT, ErrorClass.CAPACITY},
    "no capacity": {ErrorClass.CAPACITY},
    "model gone": {ErrorClass.MODEL_GONE},
    "fell over while running": {ErrorClass.TRANSIENT},
    "did not begin in time": {ErrorClass.TIMEOUT_UNSTARTED},
    "did not end in time": {ErrorClass.TIMEOUT_STARTED},
    "taken, and nothing came": {ErrorClass.TRANSIENT, ErrorClass.MODERATED_BILLED},
}
UNKNOWN_OUTCOME_FAULTS = (
    "answer lost",
    "answer never ends",
    "answer is no JSON",
    "answer holds nothing",
    "gateway's 502",
)


@dataclass(frozen=True)
class ProviderCase:
    """A provider's adapter with a model of the catalogue, a kind, and its simulator; the embedded provider has none."""

    provider: Provider
    model: Model
    kind: str
    simulator: Simulator | None = None

    @property
    def provider_id(self) -> str:
        return self.model.provider

    @property
    def local_hosts(self) -> frozenset[str]:
        return frozenset({self.simulator.host}) if self.simulator else frozenset()

    @property
    def submitted_jobs(self) -> int:
        """How many jobs were submitted to the simulator."""
        assert self.simulator is not None
        paths = (call["path"] for call in self.simulator.calls if call["method"] == "POST")
        return sum(not path.partition("?")[0].endswith(("/cancel", "/files", "/token")) for path in paths)

    def job(self, prompt: str = "a fox in the snow", *, webhook: str | None = None, **given: Any) -> Job:
        size = {"width": 512, "height": 640} if self.kind == "image" and "width" in self.model.parameters else {}
        voice = {"voice": "alloy"} if (self.provider_id, self.kind) == ("custom", "audio") else {}
        # The simulator needs long to encode long audio.
        short = {"duration_seconds": 1} if self.kind == "audio" and "duration_seconds" in self.model.parameters else {}
        parameters = CATALOGUE.parameters_for(self.model.id, size | voice | short | given, seed=11)
        return Job(
            new_id("att", system_clock()),
            self.kind,
            self.model.id,
            prompt,
            parameters=parameters,
            settings=self.model.settings,
            webhook_url=webhook,
            run_seconds_max=self.model.run_seconds_max,
        )


def faults_of(provider_id: str, kind: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Those of the named faults that can occur at a provider for a kind, each with the marker for its simulator."""
    return [
        (name, FAULTS[name][provider_id])
        for name in names
        if provider_id in FAULTS[name] and (provider_id, kind, name) not in IMPOSSIBLE_FAULTS
    ]


@contextmanager
def run_simulator(provider_id: str) -> Generator[Simulator | None, None, None]:
    """Runs a provider's simulator until the block ends; None for the embedded provider."""
    if provider_id not in SIMULATED:
        yield None
        return
    # fal's signing keys are cached by URL, and a new simulator may get a port that was used before.
    signing_keys.cache_clear()
    with create_simulator(provider_id, run_seconds=0.02) as simulator:
        yield simulator


def adapter(provider_id: str, simulator: Simulator | None, key: str | None = None) -> Provider:
    """The provider's adapter, with `key` or with the key that its simulator accepts."""
    if simulator is None:
        return AdapterRegistry(CATALOGUE.data.providers, {}, frozenset()).create(provider_id, ProviderCredentials(""))
    registry = AdapterRegistry(CATALOGUE.data.providers, {provider_id: simulator.base_url}, frozenset({simulator.host}))
    credentials = ProviderCredentials(
        key or simulator.api_key,
        webhook_secret=simulator.access.get("webhook_secret"),
        account=simulator.access.get("user_id"),
    )
    return registry.create(provider_id, credentials, answer_seconds_max=ANSWER_SECONDS_MAX)


@contextmanager
def provider_case(model_id: str, kind: str) -> Generator[ProviderCase, None, None]:
    """The case of a model and kind, with its simulator running until the block ends."""
    model = CATALOGUE.model(model_id)
    with run_simulator(model.provider) as simulator:
        yield ProviderCase(adapter(model.provider, simulator), model, kind, simulator)
