"""Creating a generation, without AWS: what a request becomes, what is refused, and what is told about the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from atelier.catalogue.catalogue import Catalogue, catalogue
from atelier.errors import IdempotencyMismatch, NotFound, PaymentRequired, ProviderFailed, RateLimited, ValidationFailed
from atelier.generations import create
from atelier.generations.create import CreateDeps, CreateOptions
from atelier.generations.create_quote import create_quote
from atelier.generations.model import DeliveredFile, Failure, Generation, InputAsset, Status, stage_id
from atelier.generations.run_schemas import EnhanceRequest, PipelineRequest
from atelier.generations.schemas import MakeRequest, QuoteRequest
from atelier.generations.submit import SubmitDeps
from atelier.generations.wait import WAIT_SECONDS_MAX
from atelier.ledger.model import Grant, GrantSource, HoldPlan, Wallet
from atelier.library.character import Character
from atelier.library.template import Template
from atelier.provider_keys.model import WorkspaceProviders
from atelier.routing.circuit_breaker import Health
from atelier.routing.rank_offers import Routes
from tests.price_lists import with_tiers
from tests.unit.identity.fakes import InMemoryIdempotencyKeys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORKSPACE, USER = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99", "usr_01M7XCN60QCB8JGMC722TFVM7C"
TEMPLATE_ID, OTHER_TEMPLATE_ID = "tpl_01M7XCN60Q0Z9AH99VAAQWYH99", "tpl_01M7XCN60Q0Z9AH99VAAQWYH98"
ASSET_ID, CHARACTER_ID = "ast_01M7XCN60Q0Z9AH99VAAQWYH99", "chr_01M7XCN60Q0Z9AH99VAAQWYH99"
TEMPLATE = Template(TEMPLATE_ID, WORKSPACE, USER, "Boats", "image", "a boat", NOW, NOW)
CHARACTER = Character(CHARACTER_ID, WORKSPACE, USER, "Ada", ("ast_1",), NOW, NOW, parameters={"width": 256})
GRANT = Grant("grt_daily", GrantSource.DAILY, 50, 50, 0, 10, NOW, NOW + timedelta(days=1))
WALLET = Wallet(WORKSPACE, "free", 50, 0, 0, 0, 1, (GRANT,), NOW + timedelta(days=1), None, own_routes=False)
PICTURE = DeliveredFile("ast_2", "image", "5a", "png", 10, 64, 64)


@dataclass(frozen=True)
class Caller:
    user_id: str = USER
    workspace_id: str = WORKSPACE
    wallet: Wallet | None = WALLET
    counted_bytes: int | None = None
    token_id: str | None = None


class FakeWallets:
    def __init__(self, stored: Wallet = WALLET) -> None:
        self.stored, self.reads = stored, 0

    def wallet(self, workspace_id: str, *, consistent: bool = True) -> Wallet:
        self.reads += 1
        return self.stored


class FakeGenerations:
    def __init__(self) -> None:
        self.stored: dict[str, Generation] = {}
        self.opened: list[str] = []

    def open_with_hold(self, generation: Generation, opening: HoldPlan) -> None:
        self.stored[generation.id] = generation
        self.opened.append(generation.id)

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        if generation_id not in self.stored:
            raise NotFound
        return self.stored[generation_id]


class FindableKeys(InMemoryIdempotencyKeys):
    def find(self, workspace_id: str, key: str) -> str | None:
        return self.bound.get((workspace_id, key), (None, None))[1]


class FakeLibrary:
    """The input files, the templates and the characters of the workspace. `uses`: the templates that were run."""

    def __init__(self) -> None:
        self.templates = {TEMPLATE_ID: TEMPLATE}
        self.uses: list[str] = []

    def input_asset(self, workspace_id: str, asset_id: str, asset_type: str) -> InputAsset:
        return InputAsset(asset_id, "5a", "png", 64, 64)

    def is_kept(self, workspace_id: str, asset_id: str) -> bool:
        return True

    def counted_bytes(self, workspace_id: str) -> int:
        return 0

    def get(self, workspace_id: str, document_id: str) -> Template | Character:
        if document_id == CHARACTER_ID:
            return CHARACTER
        if document_id not in self.templates:
            raise NotFound
        return self.templates[document_id]

    def count_use(self, workspace_id: str, template_id: str) -> None:
        self.uses.append(template_id)


@dataclass
class World:
    """The dependencies in memory. `routes_from` says for each use of routes where they came from; `waits` has the
    seconds of each wait, and `after_wait` is the change that a wait brings."""

    generations: FakeGenerations = field(default_factory=FakeGenerations)
    wallets: FakeWallets = field(default_factory=FakeWallets)
    keys: FindableKeys = field(default_factory=FindableKeys)
    library: FakeLibrary = field(default_factory=FakeLibrary)
    routes_from: list[str] = field(default_factory=list[str])
    waits: list[int] = field(default_factory=list[int])
    after_wait: Callable[[Generation], Generation] = lambda generation: generation
    text: str | None = None
    providers: frozenset[str] = frozenset({"local"})
    catalogue: Catalogue | None = None

    def deps(self) -> CreateDeps:
        return CreateDeps(
            submit=SubmitDeps(
                catalogue=self.catalogue or catalogue(self.providers),
                lifetime_max=timedelta(hours=2),
                wallets=cast("Any", self.wallets),
                generations=cast("Any", self.generations),
                keys=self.keys,
                budgets=cast("Any", None),
                input_asset_store=cast("Any", self.library),
                pause=lambda tries: None,
                routes_of_wallet=lambda wallet: self.routes("wallet"),
            ),
            routes_of_workspace=lambda workspace_id: self.routes("workspace"),
            quote_key=lambda: b"key of quotes",
            characters=lambda: cast("Any", self.library),
            templates=lambda: cast("Any", self.library),
            check_webhook_url=lambda url: None if url.startswith("https:") else "only https is opened",
            read_text=lambda generation: self.text,
            wait=self.wait,
        )

    def routes(self, origin: str) -> Routes:
        self.routes_from.append(origin)
        return Routes(WORKSPACE, WorkspaceProviders(), lambda scope: Health(scope, checked_at=NOW), NOW, lambda _: NOW)

    def wait(self, generation: Generation, seconds: int, requested_at: datetime) -> Generation:
        self.waits.append(seconds)
        return self.after_wait(generation)

    def create(self, body: dict[str, Any], options: CreateOptions | None = None, **path: Any) -> Any:
        request = MakeRequest.model_validate({"prompt": "a fox"} | body)
        return create.create(self.deps(), Caller(), request, NOW, options or CreateOptions(), **path)


def ended(
    status: Status, failure: Failure | None = None, assets: tuple[DeliveredFile, ...] = ()
) -> Callable[[Generation], Generation]:
    """The change of a generation that ends."""
    if status is Status.SUCCEEDED:
        return lambda generation: generation.as_succeeded(assets, 3, NOW)
    return lambda generation: generation.as_ended(status, 3, failure, NOW)


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path", "refused_path"),
    [
        ({"kind": "image"}, {"kind": "video"}, "kind"),
        ({}, {}, "kind"),
        ({"prompt": None, "kind": "image"}, {}, "prompt"),
        ({"kind": "image", "variables": {"place": "sea"}}, {}, "variables"),
        ({"kind": "image", "stages": {"image": {}}}, {}, "stages"),
        ({"kind": "image", "model": "no/1"}, {}, "model"),
        ({"kind": "image", "quote_id": "quo_unknown"}, {}, "quote_id"),
        ({"prompt": None, "template_id": OTHER_TEMPLATE_ID}, {"template_id": TEMPLATE_ID}, "template_id"),
        ({"pipeline": "image_to_video"}, {"template_id": TEMPLATE_ID}, "pipeline"),
        ({"pipeline": "image_to_video", "model": "local/canvas"}, {}, "model"),
        ({"pipeline": "image_to_video", "kind": "image"}, {}, "kind"),
        ({"kind": "image", "webhook_url": "http://receiver.example/"}, {}, "webhook_url"),
        ({"pipeline": "image_to_video", "template_id": TEMPLATE_ID}, {}, "template_id"),
        ({"template_id": TEMPLATE_ID}, {}, "prompt"),
        ({"prompt": None, "template_id": TEMPLATE_ID, "kind": "video"}, {}, "kind"),
        ({"prompt": None}, {"template_id": TEMPLATE_ID, "kind": "video"}, "kind"),
        ({"kind": "audio", "enhance_prompt": True}, {}, "enhance_prompt"),
    ],
)
def test_a_contradiction_is_refused_and_nothing_is_stored(
    body: dict[str, Any], path: dict[str, str], refused_path: str
) -> None:
    world = World()
    with pytest.raises(ValidationFailed) as refusal:
        world.create(body, CreateOptions("key-1"), **path)
    assert [each["path"] for each in refusal.value.facts["fields"]] == [refused_path]
    assert (world.generations.stored, world.library.uses) == ({}, [])


@pytest.mark.parametrize(
    ("body", "path"),
    [({}, {"kind": "song"}), ({"prompt": None}, {"template_id": OTHER_TEMPLATE_ID})],
    ids=["kind", "template"],
)
def test_an_unknown_kind_or_template_is_not_found(body: dict[str, Any], path: dict[str, str]) -> None:
    world = World()
    with pytest.raises(NotFound):
        world.create(body, **path)
    assert world.generations.stored == {}


# ---- what a request becomes ------------------------------------------------------------------------------------------


def test_a_plain_request_becomes_one_generation_and_reads_the_routes_once() -> None:
    world = World()
    created = world.create({"kind": "image"})
    assert (created.replayed, created.waited_seconds, world.waits) == (False, None, [])
    assert (created.generation.recipe.prompt, created.generation.pipeline) == ("a fox", None)
    assert world.generations.opened == [created.generation.id]
    assert (world.wallets.reads, world.routes_from) == (0, ["wallet"])


def test_a_wallet_that_came_without_the_caller_is_read_once() -> None:
    world = World()
    request = MakeRequest.model_validate({"kind": "image", "prompt": "a fox"})
    create.create(world.deps(), Caller(wallet=None), request, NOW)
    assert world.wallets.reads == 1


@pytest.mark.parametrize(("wallet", "origin"), [(WALLET, "wallet"), (None, "workspace")])
def test_routes_come_from_the_callers_wallet_if_there_is_one(wallet: Wallet | None, origin: str) -> None:
    world = World()
    request = QuoteRequest.model_validate({"kind": "image", "prompt": "a fox"})
    create_quote(world.deps(), Caller(wallet=wallet), request, NOW)
    assert world.routes_from == [origin]


@pytest.mark.parametrize(
    ("body", "name", "stages"),
    [
        ({"kind": "image", "enhance_prompt": True}, "enhanced", ["enhance", "image"]),
        (
            {"kind": "avatar", "model": "replicate/sadtalker", "parameters": {"image_asset_id": ASSET_ID}},
            "talking_avatar",
            ["speech", "avatar"],
        ),
        ({"pipeline": "image_to_video"}, "image_to_video", ["image", "video"]),
        ({"pipeline": "image_to_video", "enhance_prompt": True}, "image_to_video", ["enhance", "image", "video"]),
    ],
)
def test_a_request_that_needs_several_stages_becomes_a_run(body: dict[str, Any], name: str, stages: list[str]) -> None:
    run = World(providers=frozenset({"local", "replicate"})).create(body)
    pipeline = run.generation.pipeline
    assert (pipeline.name, [stage.name for stage in pipeline.stages]) == (name, stages)


def test_a_pipeline_by_its_own_route_is_the_same_run() -> None:
    world = World()
    by_body = world.create({"pipeline": "image_to_video"}, CreateOptions("key-1")).generation
    request = PipelineRequest.model_validate({"pipeline": "image_to_video", "prompt": "a fox"})
    by_route = create.create_run(world.deps(), Caller(), request, NOW, CreateOptions("key-1"))
    assert (by_route.replayed, by_route.generation) == (True, by_body)


def test_a_run_and_a_retry_call_back_whom_the_request_named() -> None:
    world, address = World(), "https://receiver.example/hook"
    body = {"pipeline": "image_to_video", "prompt": "a fox", "webhook_url": address}
    run = create.create_run(world.deps(), Caller(), PipelineRequest.model_validate(body), NOW).generation
    with pytest.raises(ValidationFailed):
        create.create_run(
            world.deps(), Caller(), PipelineRequest.model_validate(body | {"webhook_url": "http://a/"}), NOW
        )
    made = world.create({"kind": "image", "webhook_url": address}).generation
    for earlier in (run, made):
        assert earlier.webhook_url == address
        world.generations.stored[earlier.id] = ended(Status.FAILED)(earlier)
        assert create.retry(world.deps(), Caller(), earlier.id, NOW).generation.webhook_url == address
    silent = world.create({"kind": "image"}).generation
    world.generations.stored[silent.id] = ended(Status.FAILED)(silent)
    assert create.retry(world.deps(), Caller(), silent.id, NOW).generation.webhook_url is None


def test_a_quote_is_redeemed_by_the_request_that_it_was_made_for() -> None:
    world = World()
    request = QuoteRequest.model_validate({"kind": "image", "prompt": "a fox"})
    quote = create_quote(world.deps(), Caller(), request, NOW)
    generation = world.create({"kind": "image", "quote_id": quote["quote_id"]}).generation
    assert quote["quote_id"].startswith(f"{generation.quote_id}.")
    assert generation.credits_held <= quote["credits_max"]
    with pytest.raises(ValidationFailed):
        world.create({"kind": "image", "prompt": "a dog", "quote_id": quote["quote_id"]})


def test_a_character_gives_its_images_and_the_parameters_left_open() -> None:
    body = {"kind": "image", "character_id": CHARACTER_ID, "parameters": {"height": 512}}
    recipe = World().create(body).generation.recipe
    assert recipe.character_id == CHARACTER_ID
    assert [source.asset_id for source in recipe.inputs["character"]] == ["ast_1"]
    assert (recipe.parameters["width"], recipe.parameters["height"]) == (256, 512)


# ---- tiers -----------------------------------------------------------------------------------------------------------

NO_TEXT = ["image", "video"]
NO_VIDEO = ["image", "text"]


def refused_feature(action: Callable[[], object]) -> tuple[str, list[str]]:
    """The feature that a tier does not include, and the tiers on sale that include it."""
    with pytest.raises(PaymentRequired) as refused:
        action()
    facts = refused.value.facts
    return facts["feature"], facts["tiers"]


@pytest.mark.parametrize(
    ("kinds", "body", "feature"),
    [
        (NO_VIDEO, {"kind": "video"}, "kind:video"),
        (NO_VIDEO, {"pipeline": "image_to_video"}, "kind:video"),
        (NO_TEXT, {"kind": "image", "enhance_prompt": True}, "kind:text"),
        (["text"], {"prompt": None, "template_id": TEMPLATE_ID}, "kind:image"),
    ],
    ids=["plain", "a stage", "the enhancement", "a template"],
)
def test_a_kind_that_the_tier_does_not_include_is_refused(kinds: list[str], body: dict[str, Any], feature: str) -> None:
    world = World(catalogue=with_tiers(free={"kinds": kinds}))
    paying = ["starter@1", "pro@1", "studio@1"]
    assert refused_feature(lambda: world.create(body, CreateOptions("key-1"))) == (feature, paying)
    assert (world.generations.stored, world.library.uses) == ({}, [])


def test_the_pipeline_route_enhancement_and_quotes_are_refused_alike() -> None:
    pipeline = PipelineRequest.model_validate({"pipeline": "image_to_video", "prompt": "a fox"})
    quote = QuoteRequest.model_validate({"kind": "video", "prompt": "a fox"})
    deps = World(catalogue=with_tiers(free={"kinds": ["image"]})).deps()
    assert refused_feature(lambda: create.create_run(deps, Caller(), pipeline, NOW))[0] == "kind:video"
    assert refused_feature(lambda: create_quote(deps, Caller(), quote, NOW))[0] == "kind:video"
    assert (
        refused_feature(lambda: create.enhance(deps, Caller(), EnhanceRequest(prompt="a fox"), NOW))[0] == "kind:text"
    )


def test_a_model_by_name_is_refused_and_auto_takes_those_that_are_left() -> None:
    everything = frozenset({"local", "replicate"})
    world = World(catalogue=with_tiers(everything, free={"models": ["local/canvas"]}))
    dear = {"kind": "image", "model": "replicate/sdxl"}
    assert refused_feature(lambda: world.create(dear))[0] == "model:replicate/sdxl"
    cheap = world.create({"kind": "image", "model": "local/canvas"}).generation
    assert cheap.candidates == ("local/canvas",)
    # `auto` prefers trained models, of which the tier includes none.
    assert refused_feature(lambda: world.create({"kind": "image"}))[0] == "kind:image"


def test_the_tier_of_the_wallet_decides_as_of_now() -> None:
    world = World(catalogue=with_tiers(free={"kinds": ["image"]}))
    request = MakeRequest.model_validate({"kind": "video", "prompt": "a fox"})
    until = NOW + timedelta(seconds=1)
    pro = replace(WALLET, tier="pro@1", tier_ends_at=until)
    assert create.create(world.deps(), Caller(wallet=pro), request, NOW).generation.recipe.kind == "video"
    ended_pro = Caller(wallet=replace(pro, tier_ends_at=NOW))
    assert refused_feature(lambda: create.create(world.deps(), ended_pro, request, NOW))[0] == "kind:video"


def test_the_repetition_of_an_accepted_request_is_answered_on_any_tier() -> None:
    world = World(catalogue=with_tiers(free={"kinds": ["image"]}))
    request, options = MakeRequest.model_validate({"kind": "video", "prompt": "a fox"}), CreateOptions("key-1")
    first = create.create(world.deps(), Caller(wallet=replace(WALLET, tier="pro@1")), request, NOW, options)
    again = create.create(world.deps(), Caller(), request, NOW, options)
    assert (again.replayed, again.generation) == (True, first.generation)


def test_a_quote_does_not_outlast_the_tier_that_it_was_made_on() -> None:
    world = World(catalogue=with_tiers(free={"kinds": ["image"]}))
    asked = QuoteRequest.model_validate({"kind": "video", "prompt": "a fox"})
    quote = create_quote(world.deps(), Caller(wallet=replace(WALLET, tier="pro@1")), asked, NOW)
    redeemed = {"kind": "video", "quote_id": quote["quote_id"]}
    assert refused_feature(lambda: world.create(redeemed))[0] == "kind:video"


@pytest.mark.parametrize(("tier", "watermark", "open_max"), [("free", True, 25), ("pro@1", False, 100)])
def test_watermark_and_open_generations_follow_the_tier(tier: str, watermark: bool, open_max: int) -> None:
    request = MakeRequest.model_validate({"kind": "image", "prompt": "a fox"})
    deps = World().deps()
    almost = replace(WALLET, tier=tier, holds_open=open_max - 1)
    assert create.create(deps, Caller(wallet=almost), request, NOW).generation.watermark is watermark
    # Before a refusal the wallet is read once more.
    world = World(wallets=FakeWallets(replace(almost, holds_open=open_max)))
    with pytest.raises(RateLimited) as refused:
        create.create(world.deps(), Caller(wallet=None), request, NOW)
    assert refused.value.limit == open_max


# ---- templates and idempotency keys ----------------------------------------------------------------------------------


def test_a_templates_use_is_counted_once_and_not_for_a_repetition() -> None:
    world, options = World(), CreateOptions("key-1")
    first = world.create({"prompt": None}, options, template_id=TEMPLATE_ID)
    again = world.create({"prompt": None, "template_id": TEMPLATE_ID}, CreateOptions("key-2"))
    assert world.library.uses == [TEMPLATE_ID, TEMPLATE_ID]
    repetition = world.create({"prompt": None}, options, template_id=TEMPLATE_ID)
    assert (first.replayed, again.replayed, repetition.replayed) == (False, False, True)
    assert repetition.generation == first.generation
    assert world.library.uses == [TEMPLATE_ID, TEMPLATE_ID]


def test_a_repetition_returns_its_generation_after_its_template_has_changed() -> None:
    world, options = World(), CreateOptions("key-1")
    first = world.create({"prompt": None}, options, template_id=TEMPLATE_ID)
    world.library.templates[TEMPLATE_ID] = replace(TEMPLATE, prompt="a ship")
    again = world.create({"prompt": None}, options, template_id=TEMPLATE_ID)
    assert (again.replayed, again.generation.recipe.prompt) == (True, "a boat")
    assert again.generation.id == first.generation.id


def test_a_key_that_was_used_for_another_request_is_refused() -> None:
    world, options = World(), CreateOptions("key-1")
    world.create({"kind": "image"}, options)
    for other in ({"kind": "image", "prompt": "a dog"}, {"kind": "image", "enhance_prompt": True}):
        with pytest.raises(IdempotencyMismatch):
            world.create(other, options)
    assert len(world.generations.stored) == 1


def test_the_same_key_serves_once_for_each_kind_of_request() -> None:
    world = World()
    first = world.create({"kind": "text"}, CreateOptions("key-1")).generation
    enhanced = create.enhance(world.deps(), Caller(), EnhanceRequest(prompt="a fox"), NOW, "key-1")
    retried = create.retry(world.deps(), Caller(), first.id, NOW, CreateOptions("key-1"))
    assert (enhanced.replayed, retried.replayed) == (False, False)
    assert len({first.id, enhanced.generation.id, retried.generation.id}) == 3


# ---- waiting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_seconds", "status_after", "waited_seconds"),
    [(None, Status.SUCCEEDED, None), (0, Status.SUCCEEDED, None), (7, Status.SUCCEEDED, 7), (7, None, None)],
    ids=["no wait", "a wait of 0", "ended in time", "still open"],
)
def test_a_wait_is_applied_only_when_it_brings_the_end(
    wait_seconds: int | None, status_after: Status | None, waited_seconds: int | None
) -> None:
    world = World(after_wait=ended(status_after) if status_after else lambda generation: generation)
    created = world.create({"kind": "image"}, CreateOptions(wait_seconds=wait_seconds))
    assert created.waited_seconds == waited_seconds
    assert world.waits == ([wait_seconds] if wait_seconds else [])
    assert created.generation.is_open == (waited_seconds is None)


# ---- enhancing a prompt ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after_wait", "text", "prompt", "status"),
    [
        (ended(Status.SUCCEEDED), "Prompt: “a red fox”", "a red fox", "succeeded"),
        (ended(Status.SUCCEEDED), "", "a fox", "succeeded"),
        (lambda generation: generation, None, None, "queued"),
    ],
    ids=["rewritten", "an empty text", "still open"],
)
def test_an_enhanced_prompt_is_that_of_the_models_text(
    after_wait: Callable[[Generation], Generation], text: str | None, prompt: str | None, status: str
) -> None:
    world = World(after_wait=after_wait, text=text)
    enhanced = create.enhance(world.deps(), Caller(), EnhanceRequest(prompt="a fox"), NOW)
    assert (enhanced.view["prompt"], enhanced.view["original"]) == (prompt, "a fox")
    assert (enhanced.view["status"], enhanced.view["generation_id"]) == (status, enhanced.generation.id)
    assert world.waits == [WAIT_SECONDS_MAX]


@pytest.mark.parametrize(
    ("status", "failure", "message", "error_class"),
    [
        (Status.FAILED, Failure("PROVIDER_FAILED", "capacity", "Busy."), "Busy.", "capacity"),
        (Status.CANCELLED, None, "This was cancelled.", None),
    ],
)
def test_an_enhancement_that_ended_without_a_text_is_an_error(
    status: Status, failure: Failure | None, message: str, error_class: str | None
) -> None:
    world = World(after_wait=ended(status, failure))
    with pytest.raises(ProviderFailed, match=message) as refusal:
        create.enhance(world.deps(), Caller(), EnhanceRequest(prompt="a fox"), NOW)
    assert refusal.value.facts["error_class"] == error_class
    assert refusal.value.facts["generation_id"] in world.generations.stored


# ---- retries ---------------------------------------------------------------------------------------------------------


def failed_run(world: World) -> tuple[Generation, Generation]:
    """A failed run of two stages, of which the first was delivered; the run and this stage."""
    run = world.create({"pipeline": "image_to_video"}).generation
    planned = run.pipeline.stages[0]
    stage = replace(run, id=stage_id(run.id, 0), parent_id=run.id, stage=planned.name, pipeline=None)
    stage = ended(Status.SUCCEEDED, assets=(PICTURE,))(stage)
    run = ended(Status.FAILED)(replace(run, stages_begun=1))
    world.generations.stored |= {run.id: run, stage.id: stage}
    return run, stage


def test_the_retry_of_a_failed_run_keeps_its_delivered_stages() -> None:
    world = World()
    run, stage = failed_run(world)
    retried = create.retry(world.deps(), Caller(), run.id, NOW).generation
    assert retried.id != run.id
    assert retried.pipeline is not None
    assert [each.made_by for each in retried.pipeline.stages] == [stage.id, None]
    assert 0 < retried.credits_held < run.credits_held


def test_the_retry_of_a_stage_is_the_retry_of_its_run() -> None:
    world = World()
    run, stage = failed_run(world)
    by_stage = create.retry(world.deps(), Caller(), stage.id, NOW, CreateOptions("key-1"))
    by_run = create.retry(world.deps(), Caller(), run.id, NOW, CreateOptions("key-1"))
    assert (by_stage.replayed, by_run.replayed) == (False, True)
    assert by_stage.generation == by_run.generation


def test_the_retry_of_a_reused_result_runs_the_recipe_of_its_original() -> None:
    world = World()
    run, _ = failed_run(world)
    reused = replace(run, id="gen_reused", pipeline=None, reused_from=run.id, recipe=replace(run.recipe, prompt="-"))
    world.generations.stored[reused.id] = reused
    retried = create.retry(world.deps(), Caller(), reused.id, NOW).generation
    assert retried.recipe.prompt == "a fox"
    assert retried.pipeline is not None


def test_the_retry_of_a_templates_generation_counts_as_a_use() -> None:
    world = World()
    first = world.create({"prompt": None}, template_id=TEMPLATE_ID).generation
    retried = create.retry(world.deps(), Caller(), first.id, NOW)
    assert (retried.generation.recipe.prompt, world.library.uses) == ("a boat", [TEMPLATE_ID, TEMPLATE_ID])
