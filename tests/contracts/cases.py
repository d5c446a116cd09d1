"""The cases of the provider tests: each adapter with its simulator, and the simulators' refusals and faults."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from atelier.adapters.providers._signing_keys import signing_keys
from atelier.adapters.providers.registry import AdapterRegistry
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.model import Model
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import ErrorClass, Input, Job, Provider
from infra.simulators.all import PROVIDERS as SIMULATED
from infra.simulators.all import create_simulator, simulator_class
from infra.simulators.kit.faults import UNKNOWN, Fault, Refusal
from infra.simulators.kit.samples import sample_png, sample_wav
from infra.simulators.kit.server import Simulator

# The models, and the kinds, with which each provider is tested. A remote provider's simulator names its own.
MODELS_TESTED = (
    *(("local/canvas", "image"), ("local/writer", "text"), ("local/page", "page"), ("local/voice", "audio")),
    *(tried for provider in SIMULATED for tried in simulator_class(provider).tried_with),
)
PROVIDERS = frozenset(model.partition("/")[0] for model, _ in MODELS_TESTED)
CATALOGUE = catalogue(PROVIDERS)
# Long enough for every answer that comes. An answer that never comes is not awaited longer than it takes to be sure
# that the request was sent.
ANSWER_SECONDS_MAX, SILENCE_SECONDS_MAX = 10.0, 0.2
HANG = "create:hang"

# Small, because the embedded provider paints each pixel.
IMAGE_SIZE = (256, 320)

REMOTE_PROVIDERS = SIMULATED
# The rows of FALLBACKS.md in their order, each with the error classes that it may have; UNKNOWN: nobody can say whether
# the work was done. A simulator's refusals and faults name their row.
ROWS = {
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
    "answer lost": {UNKNOWN},
    "answer never ends": {UNKNOWN},
    "answer is no JSON": {UNKNOWN},
    "answer holds nothing": {UNKNOWN},
    "gateway's 502": {UNKNOWN},
}
UNKNOWN_OUTCOME_ROWS = frozenset(row for row, classes in ROWS.items() if UNKNOWN in classes)


def markers_by_row(provider_id: str, kind: str) -> dict[str, str]:
    """The rows of FALLBACKS.md that a provider has for a kind, in their order, each with the simulator's marker."""
    simulated = simulator_class(provider_id)
    found = {each.row: f"create:{name}" for name, each in simulated.refusals.items()}
    found |= {fault.row: marker for marker, fault in simulated.faults.items() if fault.can_happen_to(kind)}
    return {row: found[row] for row in ROWS if row in found}


@dataclass(frozen=True)
class FailureCase:
    """A refusal or a fault of a provider, tried with a model and kind. `settings`: replaces settings of the model."""

    model: str
    kind: str
    marker: str
    expected: Refusal | Fault
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return "-".join((self.model, self.kind, *map(str, self.settings.values()), self.marker))


def _failure_cases() -> Generator[FailureCase]:
    for provider_id in SIMULATED:
        simulated = simulator_class(provider_id)
        creations: dict[str, Refusal | Fault] = {f"create:{name}": each for name, each in simulated.refusals.items()}
        creations |= {marker: each for marker, each in simulated.faults.items() if marker.startswith("create:")}
        for model, kind in simulated.tried_with:
            for marker, expected in (creations | simulated.faults).items():
                if isinstance(expected, Refusal) or expected.can_happen_to(kind):
                    yield FailureCase(model, kind, marker, expected)
            if kind in simulated.further_apis:
                for marker, expected in creations.items():
                    yield FailureCase(model, kind, marker, expected, {"api": simulated.further_apis[kind]})


FAILURE_CASES = tuple(_failure_cases())


INPUTS = {"image": Input(sample_png(64, 48, 1), "image/png"), "audio": Input(sample_wav(0.2), "audio/wav")}


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

    def job(
        self,
        prompt: str = "a fox in the snow",
        *,
        webhook: str | None = None,
        settings: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> Job:
        width, height = IMAGE_SIZE
        size = {"width": width, "height": height} if self.kind == "image" and "width" in self.model.parameters else {}
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
            settings={**self.model.settings, **(settings or {})},
            webhook_url=webhook,
            run_seconds_max=self.model.run_seconds_max,
            inputs={role: (INPUTS[role],) for role, count in self.model.inputs.items() if count["minimum"]},
        )


@contextmanager
def run_simulator(provider_id: str) -> Generator[Simulator | None, None, None]:
    """Runs a provider's simulator until the block ends; None for the embedded provider."""
    if provider_id not in SIMULATED:
        yield None
        return
    # Signing keys are cached by URL, and a new simulator may get a port that was used before.
    signing_keys.cache_clear()
    with create_simulator(provider_id, run_seconds=0.02) as simulator:
        yield simulator


def adapter(
    provider_id: str,
    simulator: Simulator | None,
    *,
    key: str | None = None,
    answer_seconds_max: float = ANSWER_SECONDS_MAX,
) -> Provider:
    """The provider's adapter, with `key` or with the key that its simulator accepts."""
    if simulator is None:
        return AdapterRegistry(CATALOGUE.data.providers, {}, frozenset()).create(provider_id, ProviderCredentials(""))
    registry = AdapterRegistry(CATALOGUE.data.providers, {provider_id: simulator.base_url}, frozenset({simulator.host}))
    credentials = ProviderCredentials(
        key or simulator.api_key,
        webhook_secret=simulator.access.get("webhook_secret"),
        account=simulator.access.get("user_id"),
    )
    return registry.create(provider_id, credentials, answer_seconds_max=answer_seconds_max)


class RunningProviders:
    """The adapters and their simulators, which tests share: starting a server and an HTTP client costs more than most
    tests. A case begins with a reset simulator; one that was stopped by a test is replaced."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._running: dict[str, tuple[Simulator | None, Provider]] = {}

    def case(self, model_id: str, kind: str) -> ProviderCase:
        model = CATALOGUE.model(model_id)
        simulator, provider = self._running.get(model.provider, (None, None))
        if simulator is not None:
            simulator.reset()
        if provider is None or (simulator is not None and simulator.stopping.is_set()):
            simulator = self._opened.enter_context(run_simulator(model.provider))
            provider = adapter(model.provider, simulator)
            self._running[model.provider] = simulator, provider
        return ProviderCase(provider, model, kind, simulator)
