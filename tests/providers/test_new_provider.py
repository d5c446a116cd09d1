"""A new provider is an adapter, a file of the catalogue and a simulator: nothing else in the product names it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import atelier.adapters.providers
from atelier.adapters.providers.registry import AdapterRegistry
from atelier.catalogue.catalogue import FOLDER as CATALOGUE_FOLDER
from atelier.catalogue.catalogue import CatalogueData, catalogue, load, providers_with_keys
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import WORK_SECONDS_MAX
from infra.simulators.all import PROVIDERS as SIMULATED

ROOT = Path(__file__).parents[2]
ADAPTERS = "layers/atelier/python/atelier/adapters/providers"
CATALOGUE = "layers/atelier/python/atelier/catalogue"
# Places outside a provider's own files that may name one: what they mean is not the list of providers.
ALLOWED = {
    f"{CATALOGUE}/compiled.json",
    f"{CATALOGUE}/openai.yaml",  # the successor of a retired model is another provider's
    "infra/data.yaml",  # an example in the description of the secret
    "infra/local/__main__.py",  # an example in the help
    "infra/simulators/all.py",  # the fallback that it shows
    "infra/simulators/xai.py",  # xAI speaks OpenAI's API
    "infra/simulators/custom.py",  # so does an endpoint of a workspace's own
    "layers/atelier/python/atelier/openai_api/model_names.py",  # OpenAI's names of models are used without a prefix
    "layers/atelier/python/atelier/settings.py",  # the moderation service, and examples
    "layers/atelier/python/atelier/openapi.json",  # examples
    "layers/atelier/python/atelier/wiring/moderation.py",  # the moderation service
    "template.yaml",  # the moderation service, and examples
}
TOY_ADAPTER = '''
"""A toy."""

def create_adapter(credentials, local_hosts, **options):
    return {"key": credentials.key, **options}
'''
TOY_CATALOGUE = """
providers:
  toy: {needs_key: true, synchronous: true, signature_headers: []}
models:
  - {id: toy/train, provider: toy, kind: image, title: Train, procedural: false, parameters: {}, credits: {free: true},
     cost: [{unit: call, microusd: 0}], priced_at: 2026-11-20, sunset_at: null, run_seconds_max: 60,
     result_ttl_seconds: null, supports_webhook: false, supports_deadline: false, supports_idempotency: false,
     list_for_reconcile: false, bills_on_cancel: false, charges_on_policy_rejection: "no", output_hosts: [],
     settings: {}}
"""


@pytest.fixture
def with_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueData:
    """The catalogue with a further provider, whose two files are in a temporary folder."""
    folder = tmp_path / "catalogue"
    shutil.copytree(CATALOGUE_FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "toy.yaml").write_text(TOY_CATALOGUE)
    (tmp_path / "toy.py").write_text(TOY_ADAPTER)
    search_path = [*atelier.adapters.providers.__path__, str(tmp_path)]
    monkeypatch.setattr(atelier.adapters.providers, "__path__", search_path)
    return load(folder, frozenset({"toy"})).data


def test_two_files_make_a_provider(with_toy: CatalogueData) -> None:
    registry = AdapterRegistry(with_toy.providers, {"toy": "https://toy.example"}, frozenset())
    access = {"toy": {"api_key": "k"}}
    assert registry.create_enabled(frozenset({"toy"}), lambda: access, for_attempts=True) == {
        "toy": {"key": "k", "base_url": "https://toy.example", "answer_seconds_max": WORK_SECONDS_MAX}
    }
    assert registry.create("toy", ProviderCredentials("own", base_url="https://own.example")) == {
        "key": "own",
        "base_url": "https://own.example",
    }
    assert [model.id for model in with_toy.models_making("image", frozenset({"toy"}))] == ["toy/train"]


def test_every_provider_has_an_adapter_a_catalogue_file_and_a_simulator() -> None:
    facts = catalogue(frozenset[str]()).data.providers
    assert set(SIMULATED) == set(providers_with_keys())
    for provider in facts:
        assert (ROOT / CATALOGUE / f"{provider}.yaml").exists()
        assert any((ROOT / ADAPTERS / name).exists() for name in (f"{provider}.py", f"{provider}/__init__.py"))


@pytest.mark.parametrize("provider", sorted(set(providers_with_keys()) - {"custom"}))
def test_no_other_product_file_names_a_provider(provider: str) -> None:
    own = {f"{ADAPTERS}/{provider}.py", f"{CATALOGUE}/{provider}.yaml", f"infra/simulators/{provider}.py"}
    named = re.compile(rf"[\"'\[ ,]{provider}[\"'/=@:\],]|(providers|simulators)\.{provider}\b")
    files = [ROOT / "template.yaml"]
    files += [file for folder in ("layers/atelier", "functions", "infra") for file in (ROOT / folder).rglob("*.*")]
    found = {
        str(file.relative_to(ROOT))
        for file in files
        if file.suffix in (".py", ".yaml", ".json") and named.search(_code(file))
    }
    assert found - own - ALLOWED == set(), "a new provider would have to change these files: read the catalogue instead"


def _code(file: Path) -> str:
    """The text of a file without its comments and the prose of its docstrings."""
    text = file.read_text()
    if file.suffix == ".py":
        text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    return re.sub(r"(?m)(^|\s)#.*$", "", text)
