"""What models write for sites, on the embedded AWS: ordered, made, and saved as a draft once."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.idempotency import IdempotencyItem
from atelier.catalogue.catalogue import catalogue
from atelier.clock import system_clock
from atelier.generations.model import Generation, Status
from atelier.ids import new_id
from atelier.page_writing import save_writing as saving
from atelier.page_writing.model import Writing, WritingState
from atelier.wiring import generations, ledger, page_writing
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person
from tests.functions.responses import error_of, success_data
from tests.integration.world import run_concurrently
from tests.invoke import load_function

REQUEST = "A page for my bakery in Leipzig, with rye bread"
PAGE_CREDITS = 2


@pytest.fixture
def sites(cloud: AwsResources) -> ModuleType:
    return load_function("api/sites")


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/page_writing")


@pytest.fixture
def ada(sites: ModuleType) -> Person:
    return create_person("ada")


@pytest.fixture
def site(sites: ModuleType, ada: Person) -> dict[str, Any]:
    body = {"name": "Brot & Salz", "slug": "brot-salz", "theme": {"color-text": "#222"}}
    created: dict[str, Any] = success_data(call(sites, ada, "POST /api/sites", body))["site"]
    return created


@pytest.fixture
def make(cloud: AwsResources) -> Callable[..., Generation]:
    """make(person, writing): runs the generation to its end as the state machine does. answer: what the provider says
    in place of the embedded model."""
    attempt, finish = load_function("tasks/attempt_generation"), load_function("tasks/finish_generation")

    def run(person: Person, writing: dict[str, Any], answer: str | None = None) -> Generation:
        names = {"workspace_id": person.workspace_id, "generation_id": writing["generation_id"]}
        task = cloud.start_waiting_execution()
        attempt.handler({**names, "task_token": task.token, "lost": None}, None)
        result = task.answer
        if answer is not None:
            (output,) = result["outputs"]
            client("s3").put_object(Bucket=cloud.bucket, Key=output["key"], Body=answer.encode())
        finish.handler({**names, "result": result}, None)
        return generations.store().get(person.workspace_id, writing["generation_id"])

    return run


def order(app: ModuleType, person: Person, site: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"kind": "page", "prompt": REQUEST, **fields}
    response = call(app, person, f"POST /api/sites/{site['id']}/generate", body)
    assert response["statusCode"] == 202, response["body"]
    writing: dict[str, Any] = success_data(response)["writing"]
    assert response["headers"]["Location"] == f"/api/sites/{site['id']}/writings/{writing['generation_id']}"
    return writing


def deliver(person: Person, generation: Generation) -> None:
    """Hands the event of a generation's end to its consumer."""
    detail = {
        "id": f"{generation.id}#succeeded",
        "version": 1,
        "occurred_at": "2026-11-30T03:00:00.000Z",
        "workspace_id": person.workspace_id,
        "generation_id": generation.id,
        "status": generation.status.value,
        "model": "local/page",
        "credits_charged": generation.credits_charged,
        "cost_microusd": 0,
        "completed_at": "2026-11-30T03:00:00.000Z",
        "kind": "page",
    }
    handler = load_function("events/save_writing").handler
    handler({"detail-type": "generation.succeeded", "source": "atelier.generations", "detail": detail}, None)


def read(app: ModuleType, person: Person, writing: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/sites/{writing['site_id']}/writings/{writing['generation_id']}"
    found: dict[str, Any] = success_data(call(app, person, f"GET {path}"))["writing"]
    return found


def pages_of(sites: ModuleType, person: Person, site: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = success_data(call(sites, person, f"GET /api/sites/{site['id']}/pages"))["items"]
    return items


def page_of(sites: ModuleType, person: Person, site: dict[str, Any], page_id: str) -> dict[str, Any]:
    page: dict[str, Any] = success_data(call(sites, person, f"GET /api/sites/{site['id']}/pages/{page_id}"))["page"]
    return page


def versions_of(sites: ModuleType, person: Person, site: dict[str, Any], page_id: str) -> list[dict[str, Any]]:
    response = call(sites, person, f"GET /api/sites/{site['id']}/pages/{page_id}/versions")
    items: list[dict[str, Any]] = success_data(response)["items"]
    return items


def create_page(sites: ModuleType, person: Person, site: dict[str, Any], *html: str) -> dict[str, Any]:
    blocks = [{"id": f"b{number}", "html": text} for number, text in enumerate(html, 1)]
    body = {"path": "/", "title": "Home", "blocks": blocks}
    page: dict[str, Any] = success_data(call(sites, person, f"POST /api/sites/{site['id']}/pages", body))["page"]
    return page


def save(sites: ModuleType, person: Person, page: dict[str, Any], block_id: str, html: str) -> None:
    blocks = [{**block, "html": html} if block["id"] == block_id else block for block in page["blocks"]]
    body = {"path": page["path"], "title": page["title"], "blocks": blocks, "base_version": page["version"]}
    response = call(sites, person, f"PUT /api/sites/{page['site_id']}/pages/{page['id']}", body)
    assert response["statusCode"] == 200, response["body"]


def test_an_ordered_page_is_saved_as_a_draft_with_its_lineage(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    writing = order(app, ada, site)
    assert (writing["state"], writing["credits_held"]) == ("writing", PAGE_CREDITS)
    assert pages_of(sites, ada, site) == []
    generation = make(ada, writing)
    assert (generation.status, generation.recipe.kind, generation.credits_charged) == (
        Status.SUCCEEDED,
        "page",
        PAGE_CREDITS,
    )
    assert generation.usage["tokens_output"] > 0
    deliver(ada, generation)
    (head,) = pages_of(sites, ada, site)
    assert (head["path"], head["title"], head["status"]) == ("/bakery-in-leipzig", "Bakery in Leipzig", "draft")
    (version,) = versions_of(sites, ada, site, head["id"])
    assert (version["generation_id"], version["note"]) == (generation.id, "AI: write page")
    page = page_of(sites, ada, site, head["id"])
    assert len(page["blocks"]) == 4
    assert "<h1>Bakery in Leipzig</h1>" in page["blocks"][0]["html"]
    seen = read(app, ada, writing)
    assert (seen["state"], seen["page_id"], seen["version"], seen["removed"]) == ("saved", head["id"], 1, [])
    assert (seen["credits_charged"], seen["model"], seen["usage"]) == (PAGE_CREDITS, "local/page", generation.usage)


def test_a_draft_is_saved_once_however_often_its_end_is_told(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    writing = order(app, ada, site)
    generation = make(ada, writing)
    deliver(ada, generation)
    first = read(app, ada, writing)
    deliver(ada, generation)
    assert read(app, ada, writing) == first
    (head,) = pages_of(sites, ada, site)
    # A draft that a person removes does not come back.
    call(sites, ada, f"DELETE /api/sites/{site['id']}/pages/{head['id']}")
    deliver(ada, generation)
    assert pages_of(sites, ada, site) == []


@pytest.mark.parametrize("on_page", [False, True])
def test_a_death_between_draft_and_outcome_saves_no_second_draft(
    app: ModuleType,
    sites: ModuleType,
    ada: Person,
    site: dict[str, Any],
    make: Callable[..., Generation],
    monkeypatch: pytest.MonkeyPatch,
    on_page: bool,
) -> None:
    page = create_page(sites, ada, site, "<p>fresh   bread</p>") if on_page else None
    fields = {"kind": "content", "page_id": page["id"]} if page else {}
    generation = make(ada, order(app, ada, site, **fields))

    def die(*_args: object) -> None:
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as dying:
        dying.setattr(saving, "_kept", die)
        with pytest.raises(ExceptionGroup):
            deliver(ada, generation)
    if page:
        # Somebody goes on writing before the event comes again.
        newest = page_of(sites, ada, site, page["id"])
        save(sites, ada, newest, "b1", "<p>words of a person</p>")
    deliver(ada, generation)
    (head,) = pages_of(sites, ada, site)
    written = [each for each in versions_of(sites, ada, site, head["id"]) if each["generation_id"] == generation.id]
    assert len(written) == 1
    if page:
        assert page_of(sites, ada, site, page["id"])["blocks"][0]["html"] == "<p>words of a person</p>"


def test_a_reader_gets_the_draft_before_the_event_comes(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    writing = order(app, ada, site)
    generation = make(ada, writing)
    assert read(app, ada, writing)["state"] == "saved"
    deliver(ada, generation)
    assert len(pages_of(sites, ada, site)) == 1


def test_a_new_page_finds_a_free_path(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    first, second = (make(ada, order(app, ada, site, path="/about")) for _ in range(2))
    for generation in (first, second, second):
        deliver(ada, generation)
    paths = {page["path"] for page in pages_of(sites, ada, site)}
    assert paths == {"/about", f"/about/{second.id[-6:].lower()}"}


def test_what_others_have_saved_meanwhile_is_merged(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    page = create_page(sites, ada, site, "<h1>Home</h1>", "<p>second</p>")
    writing = order(app, ada, site, kind="section", page_id=page["id"], block_id="b1")
    save(sites, ada, page, "b2", "<p>words of a person</p>")
    deliver(ada, make(ada, writing))
    html = [block["html"] for block in page_of(sites, ada, site, page["id"])["blocks"]]
    assert (html[0], html[2]) == ("<h1>Home</h1>", "<p>words of a person</p>")
    assert html[1].startswith('<section class="text">')
    assert read(app, ada, writing)["version"] == 3


def test_words_of_others_are_never_overwritten_but_by_a_person(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    page = create_page(sites, ada, site, "<p>first</p>")
    writing = order(app, ada, site, kind="content", page_id=page["id"])
    save(sites, ada, page, "b1", "<p>words of a person</p>")
    generation = make(ada, writing)
    deliver(ada, generation)
    assert page_of(sites, ada, site, page["id"])["blocks"][0]["html"] == "<p>words of a person</p>"
    seen = read(app, ada, writing)
    assert (seen["state"], seen["conflicts"], seen["version"]) == ("proposed", ["b1"], None)
    proposed = seen["proposal"]["blocks"][0]["html"]
    path = f"/api/sites/{site['id']}/writings/{writing['generation_id']}/take"
    stale = call(app, ada, f"POST {path}", {"base_version": 1})
    assert error_of(stale) == (409, "CONFLICT")
    taken = success_data(call(app, ada, f"POST {path}", {"base_version": 2}))["writing"]
    assert (taken["state"], taken["version"]) == ("saved", 3)
    assert page_of(sites, ada, site, page["id"])["blocks"][0]["html"] == proposed
    assert error_of(call(app, ada, f"POST {path}", {"base_version": 3})) == (409, "CONFLICT")


def test_a_section_without_a_page_becomes_a_part(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    writing = order(app, ada, site, kind="section")
    generation = make(ada, writing)
    deliver(ada, generation)
    deliver(ada, generation)
    (part,) = success_data(call(sites, ada, "GET /api/sections"))["items"]
    assert read(app, ada, writing)["part_id"] == part["id"]
    assert part["html"].startswith('<section class="text">')


def test_a_layout_uses_the_parts_of_the_workspace(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    body = {"name": "Site header", "html": "<header>{{ title }}</header>", "parameters": [{"name": "title"}]}
    header = success_data(call(sites, ada, "POST /api/components", body))["part"]
    writing = order(app, ada, site, kind="layout")
    deliver(ada, make(ada, writing))
    page = page_of(sites, ada, site, read(app, ada, writing)["page_id"])
    first = page["blocks"][0]
    assert (first["component_id"], first["parameters"]) == (header["id"], {"title": "Bakery in Leipzig"})


@pytest.mark.parametrize(
    ("fields", "html", "seo_title"),
    [
        ({"task": "improve", "block_id": "b1"}, "<p>Fresh bread</p>", ""),
        ({"task": "translate", "language": "de"}, "<p>frisch Brot</p>", ""),
        ({"task": "seo"}, "<p>fresh bread</p>", "Home – Brot &amp; Salz"),
    ],
)
def test_a_template_works_offline(
    app: ModuleType,
    sites: ModuleType,
    ada: Person,
    site: dict[str, Any],
    make: Callable[..., Generation],
    fields: dict[str, Any],
    html: str,
    seo_title: str,
) -> None:
    page = create_page(sites, ada, site, "<p>fresh bread</p>")
    writing = order(app, ada, site, kind="content", prompt="", page_id=page["id"], **fields)
    deliver(ada, make(ada, writing))
    after = page_of(sites, ada, site, page["id"])
    assert (after["version"], after["blocks"][0]["html"]) == (2, html)
    assert after["seo"]["title"] == seo_title.replace("&amp;", "&")


def test_nothing_hostile_in_an_answer_reaches_the_draft(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    foreign = new_id("ast", system_clock())
    answer = (
        f'```html\n<section onclick="marker()"><h1>Hi</h1><img src="asset:{foreign}" alt=""><iframe src="/"></iframe>'
        '<a href="javascript:marker()">x</a></section>\n<!-- part: Somebody else’s header -->\n```\n'
        "```js\nmarker()\n```"
    )
    writing = order(app, ada, site)
    deliver(ada, make(ada, writing, answer))
    seen = read(app, ada, writing)
    assert seen["state"] == "saved"
    text = json.dumps(page_of(sites, ada, site, seen["page_id"]))
    assert not [word for word in ("marker", "iframe", "javascript:", foreign) if word in text]
    assert {each["what"] for each in seen["removed"]} >= {"onclick of <section>", "<iframe>", "href of <a>"}
    assert "scripts" in seen["left_out"]
    assert pages_of(sites, ada, site)[0]["status"] == "draft"


def test_an_unreadable_answer_is_free(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    before = ledger.wallets().wallet(ada.workspace_id)
    writing = order(app, ada, site)
    generation = make(ada, writing, "I'm sorry, but I can't help with that.")
    assert (generation.status, generation.credits_charged) == (Status.FAILED, 0)
    seen = read(app, ada, writing)
    assert (seen["state"], seen["credits_charged"]) == ("failed", 0)
    assert ledger.wallets().wallet(ada.workspace_id).held == before.held
    assert pages_of(sites, ada, site) == []


def test_an_answer_to_another_question_is_told(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    page = create_page(sites, ada, site, "<p>first</p>", "<p>second</p>")
    writing = order(app, ada, site, kind="content", page_id=page["id"])
    deliver(ada, make(ada, writing, "```html\n<!-- block: other -->\n<p>x</p>\n```"))
    seen = read(app, ada, writing)
    assert (seen["state"], seen["reason"]) == ("failed", "The model's answer names no block of the page.")
    assert page_of(sites, ada, site, page["id"])["version"] == 1


def test_a_site_that_is_removed_meanwhile_gets_no_draft(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    generation = make(ada, order(app, ada, site))
    call(sites, ada, f"DELETE /api/sites/{site['id']}")
    deliver(ada, generation)
    found = saving.save_writing(ada.workspace_id, generation.id, deps=page_writing.writing_deps(), now=system_clock())
    assert found is not None
    assert (found.state, found.reason) == (WritingState.FAILED, saving.GONE)


def test_a_quote_is_redeemed_by_the_same_request(app: ModuleType, ada: Person, site: dict[str, Any]) -> None:
    body = {"kind": "page", "prompt": REQUEST}
    quoted = success_data(call(app, ada, f"POST /api/sites/{site['id']}/generate/quote", body))
    assert (quoted["credits"], quoted["credits_max"]) == (PAGE_CREDITS, PAGE_CREDITS)
    writing = order(app, ada, site, quote_id=quoted["quote_id"])
    assert writing["credits_held"] == PAGE_CREDITS


def test_the_same_request_with_its_key_is_one_generation(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any]
) -> None:
    page = create_page(sites, ada, site, "<p>first</p>")
    body = {"kind": "content", "prompt": REQUEST, "page_id": page["id"]}
    path, key = f"POST /api/sites/{site['id']}/generate", {"idempotency-key": "once"}
    first = call(app, ada, path, body, **key)
    save(sites, ada, page, "b1", "<p>changed</p>")
    again = call(app, ada, path, body, **key)
    assert success_data(first) == success_data(again)
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert error_of(call(app, ada, path, {**body, "prompt": "x"}, **key)) == (422, "IDEMPOTENCY_MISMATCH")


def test_too_few_credits_order_nothing(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], cloud: AwsResources
) -> None:
    while (response := call(app, ada, f"POST /api/sites/{site['id']}/generate", {"kind": "page", "prompt": "a"}))[
        "statusCode"
    ] == 202:
        pass
    assert error_of(response)[1] in ("INSUFFICIENT_CREDITS", "RATE_LIMITED")


def test_foreign_ids_are_missing_ones(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], make: Callable[..., Generation]
) -> None:
    page = create_page(sites, ada, site, "<p>first</p>")
    writing = order(app, ada, site)
    bob = create_person("bob")
    mine = success_data(call(sites, bob, "POST /api/sites", {"name": "Bob", "slug": "bobs"}))["site"]
    body = {"kind": "page", "prompt": REQUEST}
    writing_path = f"/api/sites/{site['id']}/writings/{writing['generation_id']}"
    for path, sent in (
        (f"POST /api/sites/{site['id']}/generate", body),
        (f"POST /api/sites/{mine['id']}/generate", {**body, "page_id": page["id"]}),
        ("POST /api/ai/generate-page", {**body, "site_id": site["id"]}),
        (f"POST /api/sites/{site['id']}/generate/quote", body),
        (f"GET {writing_path}", None),
        (f"POST {writing_path}/take", {"base_version": 1}),
        (f"GET /api/sites/{mine['id']}/writings/{writing['generation_id']}", None),
    ):
        assert error_of(call(app, bob, path, sent)) == (404, "NOT_FOUND"), path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"kind": "page", "prompt": ""}, "prompt"),
        ({"kind": "content"}, "page_id"),
        ({"kind": "page", "task": "seo"}, "page_id"),
        ({"kind": "page", "task": "translate", "page_id": "PAGE"}, "language"),
        ({"kind": "content", "page_id": "PAGE", "block_id": "nobody"}, "block_id"),
        ({"kind": "page", "page_id": "PAGE", "path": "/x"}, "path"),
        ({"kind": "page", "path": "no path"}, "path"),
        ({"kind": "page", "model": "nobody/none"}, "model"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    app: ModuleType, sites: ModuleType, ada: Person, site: dict[str, Any], fields: dict[str, Any], path: str
) -> None:
    page = create_page(sites, ada, site, "<p>first</p>")
    body = {"prompt": REQUEST, **fields, **({"page_id": page["id"]} if "page_id" in fields else {})}
    response = call(app, ada, f"POST /api/sites/{site['id']}/generate", body)
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == path


def test_a_refused_prompt_costs_nothing(
    app: ModuleType, ada: Person, site: dict[str, Any], cloud: AwsResources
) -> None:
    body = {"kind": "page", "prompt": "child porn"}
    response = call(app, ada, f"POST /api/sites/{site['id']}/generate", body)
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert ledger.wallets().wallet(ada.workspace_id).held == 0


def test_the_sources_name_of_the_route_is_the_same(app: ModuleType, ada: Person, site: dict[str, Any]) -> None:
    response = call(app, ada, "POST /api/ai/generate-page", {"site_id": site["id"], "prompt": REQUEST})
    assert response["statusCode"] == 202
    assert success_data(response)["writing"]["site_id"] == site["id"]


def test_a_generation_for_the_library_is_no_writing(
    cloud: AwsResources, ada: Person, make: Callable[..., Generation]
) -> None:
    response = call(load_function("api/generations"), ada, "POST /api/generate/page", {"prompt": REQUEST})
    generation = make(ada, {"generation_id": success_data(response)["generation"]["id"]})
    deliver(ada, generation)
    assert generation.assets[0].type == "page"
    assert not [item for item in IdempotencyItem.scan() if item.reserved_id.startswith("pag_")]


@pytest.mark.parametrize("on_page", [False, True])
def test_deliveries_at_the_same_time_save_one_draft(
    app: ModuleType,
    sites: ModuleType,
    ada: Person,
    site: dict[str, Any],
    make: Callable[..., Generation],
    on_page: bool,
) -> None:
    page = create_page(sites, ada, site, "<p>fresh   bread</p>") if on_page else None
    fields = {"kind": "content", "page_id": page["id"]} if page else {}
    generation = make(ada, order(app, ada, site, **fields))

    def save_it(_number: int) -> Any:
        deps = page_writing.writing_deps()
        return saving.save_writing(ada.workspace_id, generation.id, deps=deps, now=system_clock())

    found = run_concurrently(4, save_it)
    assert len({(each.page_id, each.version) for each in found if isinstance(each, Writing)}) == 1, found
    (head,) = pages_of(sites, ada, site)
    written = [each for each in versions_of(sites, ada, site, head["id"]) if each["generation_id"] == generation.id]
    assert len(written) == 1


def test_a_deployment_with_access_to_it_prefers_the_model_for_sites(
    app: ModuleType, ada: Person, site: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, body = f"POST /api/sites/{site['id']}/generate/quote", {"kind": "page", "prompt": REQUEST}

    def candidates(**fields: Any) -> list[str]:
        quoted = success_data(call(app, ada, path, {**body, **fields}))
        return [candidate["model"] for candidate in quoted["candidates"]]

    assert candidates() == ["local/page"]
    monkeypatch.setenv("ATELIER_PROVIDERS", "local,openai,xai")
    clear_wiring_caches()
    found = catalogue(frozenset({"local", "openai", "xai"})).models_for("page", system_clock().date())
    preferred = [model.id for model in found if "site_pages" in model.capabilities]
    assert candidates() == preferred[:1]
    assert preferred[0].startswith("xai/")
    assert candidates(model="local/page") == ["local/page"]
    monkeypatch.setenv("ATELIER_PROVIDERS", "local,openai")
    clear_wiring_caches()
    assert candidates()[0].startswith("openai/")
