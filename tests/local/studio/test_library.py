"""The library, projects, characters and templates in a browser, on what the API really stores."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.local.client import PASSWORD
from tests.local.conftest import Stack

# Each would run, or be evaluated, if any page took it for markup or for a template.
MARKER = """<img src=x onerror="document.title='run'"><b>'&amp;{{7*7}}${7*7}"""
SignUp = Callable[[], str]


@pytest.fixture
def api(stack: Stack, sign_up: SignUp) -> httpx.Client:
    """The API for the account with which the page is signed in."""
    client = httpx.Client(base_url=stack.base_url, timeout=60)
    account = {"email": sign_up(), "password": PASSWORD, "token_delivery": "body"}
    token = client.post("/api/auth/login", json=account).json()["data"]["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def a_png(width: int = 96, height: int = 64) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (40, 90, 160)).save(file, "PNG")
    return file.getvalue()


def make(api: httpx.Client, kind: str, prompt: str, model: str, **body: Any) -> dict[str, Any]:
    answer = api.post(
        f"/api/generate/{kind}", json={"prompt": prompt, "model": model, **body}, headers={"Prefer": "wait=25"}
    )
    assert answer.status_code == 200, answer.text
    generation: dict[str, Any] = answer.json()["data"]["generation"]
    assert generation["status"] == "succeeded", generation
    return generation


def upload(page: Page, name: str) -> None:
    """Uploads an image by the library's form."""
    page.goto("/library")
    page.get_by_label("Upload files").set_input_files({"name": name, "mimeType": "image/png", "buffer": a_png()})
    expect(page.locator("#assets .tile").filter(has_text=name)).to_be_visible()


def test_an_uploaded_file_is_found_filtered_and_shown(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/library")
    expect(page.get_by_role("heading", name="Your library is empty")).to_be_visible()
    upload(page, "my blue card.png")
    expect(page.get_by_role("heading", name="Your library is empty")).to_be_hidden()
    page.reload()
    types = page.get_by_role("navigation", name="Types of files")
    types.get_by_role("link", name="Video").click()
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    types.get_by_role("link", name="Image").click()
    page.get_by_role("link", name="my blue card.png").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("my blue card.png")
    facts = page.locator("dl")
    expect(facts).to_contain_text("96 × 64")
    expect(facts).to_contain_text("Uploaded")
    expect(page.get_by_role("img", name="my blue card.png")).to_have_js_property("naturalWidth", 96)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".png")
    expect(page.get_by_role("link", name="Use in Create")).to_have_attribute("href", "/create?asset=" + asset_id(page))


def test_more_files_follow_with_and_without_a_script(page: Page, api: httpx.Client) -> None:
    for _ in range(7):
        make(api, "image", "a card", "local/canvas", parameters={"width": 64, "height": 64, "n": 4})
    page.goto("/library")
    tiles, more = page.locator("#assets .tile"), page.get_by_role("link", name="Show more")
    expect(tiles).to_have_count(24)
    following = more.get_attribute("href")
    more.click()
    expect(tiles).to_have_count(28)
    expect(more).to_have_count(0)
    page.goto(str(following))
    expect(tiles).to_have_count(4)
    page.get_by_role("link", name="Back to the newest").click()
    expect(tiles).to_have_count(24)


def test_files_are_put_in_order_archived_and_brought_back(page: Page, sign_up: SignUp) -> None:
    sign_up()
    upload(page, "one.png")
    upload(page, "two.png")
    page.get_by_role("link", name="one.png").click()
    page.get_by_role("button", name="Favourite").click()
    expect(page.get_by_role("button", name="Favourite")).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Name, description, tags").click()
    page.get_by_label("Tags").fill("x" * 41)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#e-tags")).to_be_visible()
    page.get_by_label("Name").fill("Poster of spring")
    page.get_by_label("Tags").fill("Fair, spring")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="#fair").click()
    tiles = page.locator("#assets .tile")
    expect(tiles).to_have_count(1)
    page.goto("/library")
    page.get_by_label("Search names and tags").fill("OF SPR")
    page.get_by_role("button", name="Show").click()
    expect(tiles).to_have_text([re.compile("Poster of spring")])
    page.get_by_role("link", name="Favourites").click()
    page.get_by_label("Select Poster of spring").check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text("The file is archived.")).to_be_visible()
    expect(tiles).to_have_text([re.compile(r"two\.png")])
    page.get_by_role("button", name="Undo").click()
    expect(tiles).to_have_count(2)
    page.get_by_role("link", name="Archived").click()
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()


def asset_id(page: Page) -> str:
    return page.url.rpartition("/")[2]


def test_a_refused_file_says_why(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/library")
    field = page.get_by_label("Upload files")
    field.set_input_files({"name": "notes.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"})
    expect(page.locator("#sending .bad")).to_contain_text("Images (JPEG, PNG, WebP), videos and audio are accepted")
    field.set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": b"no image at all"})
    expect(page.locator("#sending .bad").nth(1)).to_contain_text("broken.png was not taken: The file is no image")


def test_a_project_has_a_budget_and_is_archived_and_brought_back(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/projects")
    page.get_by_role("link", name="Create your first project").click()
    page.get_by_label("Name").fill("Spring campaign")
    page.get_by_label("Budget in US dollars").fill("a lot")
    page.get_by_label("Alerts").fill("50, 200")
    page.get_by_role("button", name="Create the project").click()
    expect(page.get_by_text("Write an amount in dollars")).to_be_visible()
    expect(page.get_by_text("Write whole numbers from 1 to 100")).to_be_visible()
    expect(page.get_by_label("Budget in US dollars")).to_have_value("a lot")
    page.get_by_label("Budget in US dollars").fill("$12,50")
    page.get_by_label("Alerts").fill("50, 80")
    page.get_by_role("button", name="Create the project").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Spring campaign")
    expect(page.get_by_role("img", name="$0.00 of $12.50 spent")).to_be_visible()
    page.get_by_role("link", name="Make something for it").click()
    expect(page.get_by_label("Project")).to_have_value(re.compile("prj_.* Spring campaign"))
    page.go_back()
    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("Budget in US dollars")).to_have_value("12.50")
    expect(page.get_by_label("Alerts")).to_have_value("50, 80")
    page.goto("/projects")
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Spring campaign")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete “Spring campaign” for good").click()
    expect(page.get_by_role("heading", name="No projects yet")).to_be_visible()


def test_the_budget_of_the_month_is_set_and_lifted(page: Page, sign_up: SignUp) -> None:
    sign_up()
    page.goto("/projects")
    page.get_by_role("link", name="Set a budget").click()
    page.get_by_label("Budget in US dollars").fill("20")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("img", name="$0.00 of $20.00 spent")).to_be_visible()
    page.get_by_role("link", name="Change the budget").click()
    page.get_by_label("Budget in US dollars").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("No limit is set.")).to_be_visible()


def test_a_character_is_made_from_selected_images_and_changed(page: Page, sign_up: SignUp) -> None:
    sign_up()
    upload(page, "mara.png")
    page.get_by_label("Select mara.png").check()
    page.get_by_role("button", name="New character with these").click()
    expect(page.get_by_label("mara.png")).to_be_checked()
    page.get_by_label("Name").fill("Mara")
    page.get_by_label("mara.png").uncheck()
    page.get_by_role("button", name="Create the character").click()
    expect(page.locator("fieldset [role=alert]")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Mara")
    page.get_by_label("mara.png").check()
    page.get_by_role("button", name="Create the character").click()
    expect(page.locator(".faces img")).to_have_js_property("complete", True)
    page.get_by_role("link", name="Mara").click()
    page.get_by_label("Age in years").fill("34")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("34 years")).to_be_visible()
    page.get_by_role("link", name="Change").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete “Mara” for good").click()
    expect(page.get_by_role("heading", name="No characters yet")).to_be_visible()


def test_a_template_is_made_changed_and_used(page: Page, api: httpx.Client) -> None:
    page.goto("/templates/new")
    page.get_by_label("Name").fill("Poster")
    page.get_by_label("Prompt", exact=True).fill("a poster of {{ animal }}, {{style}}")
    page.get_by_label("style: default value").fill("woodcut")
    expect(page.locator("#preview")).to_have_text("a poster of animal, woodcut")
    page.get_by_role("button", name="Create the template").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Poster")
    page.get_by_text("Model and parameters").click()
    page.get_by_label("Parameters").fill("no json")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This is no JSON object.")).to_be_visible()
    page.get_by_label("Parameters").fill('{"width": 256, "height": 256}')
    page.get_by_label("Model", exact=True).fill("local/canvas")
    page.get_by_role("button", name="Save").click()
    use = page.get_by_role("link", name="Use the template")
    template_id = str(use.get_attribute("href")).removeprefix("/create?template=")
    run = {"variables": {"animal": "a heron"}}
    made = api.post(f"/api/templates/{template_id}/run", json=run, headers={"Prefer": "wait=25"})
    assert made.json()["data"]["generation"]["prompt"] == "a poster of a heron, woodcut"
    page.reload()
    expect(page.get_by_text("used once")).to_be_visible()


def test_a_default_written_while_the_fields_of_a_new_prompt_come_is_kept(page: Page, api: httpx.Client) -> None:
    page.goto("/templates/new")
    page.get_by_label("Prompt", exact=True).fill("a poster of {{ animal }}")
    default = page.get_by_label("animal: default value")
    default.fill("hare")
    expect(page.locator("#preview")).to_have_text("a poster of hare")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/templates/gaps", hold)
    with page.expect_request("**/templates/gaps"):
        page.get_by_label("Prompt", exact=True).fill("a poster of {{ animal }}, {{ style }}")
    default.fill("heron")
    held.pop().continue_()
    expect(page.get_by_label("style: default value")).to_be_visible()
    expect(default).to_have_value("heron")
    expect(default).to_be_focused()
    expect(page.locator("#preview")).to_have_text("a poster of heron, style")


def test_the_history_of_a_video_leads_to_its_image_and_costs_to_the_generation(page: Page, api: httpx.Client) -> None:
    size = {"width": 256, "height": 256}
    image = make(api, "image", "a lighthouse at dusk", "local/canvas", parameters=size)
    start = {"image_asset_id": image["assets"][0]["id"], "duration_seconds": 1}
    video = make(api, "video", "waves roll in", "local/film", parameters=start)
    page.goto(f"/library/{video['assets'][0]['id']}")
    expect(page.locator("video")).to_be_visible()
    charged = video["credits_charged"]
    expect(page.get_by_role("link", name=f"{charged} credits")).to_have_attribute("href", f"/generations/{video['id']}")
    page.get_by_role("link", name="a lighthouse at dusk").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("a lighthouse at dusk")
    page.get_by_role("link", name="Recipe").click()
    expect(page.locator("#recipe")).to_contain_text('"prompt": "a lighthouse at dusk"')


def test_what_people_write_is_shown_as_text_in_every_room(page: Page, api: httpx.Client) -> None:
    texts = {"name": MARKER, "description": MARKER}
    project = api.post("/api/projects", json=texts).json()["data"]["project"]
    size = {"width": 256, "height": 256}
    made = make(api, "image", MARKER, "local/canvas", parameters=size, project_id=project["id"])
    asset = made["assets"][0]["id"]
    face = {**texts, "style": MARKER, "gender": MARKER, "reference_asset_ids": [asset]}
    character = api.post("/api/characters", json=face).json()["data"]["character"]
    # In a template {{7*7}} is no variable, and the API says so.
    plain = MARKER.replace("{{7*7}}", "{{thing}}")
    variables = {"thing": {"default": MARKER, "description": MARKER}}
    request = {**texts, "kind": "image", "prompt": plain, "negative_prompt": plain, "variables": variables}
    template = api.post("/api/templates", json=request).json()["data"]["template"]
    for path in (
        "/library",
        f"/library/{asset}",
        f"/library/{asset}/recipe",
        "/projects",
        f"/projects/{project['id']}",
        f"/projects/{project['id']}/edit",
        f"/projects/{project['id']}/delete",
        "/characters",
        f"/characters/{character['id']}",
        f"/characters/{character['id']}/delete",
        f"/characters/new?asset={asset}",
        "/templates",
        f"/templates/{template['id']}",
        f"/templates/{template['id']}/delete",
        f"/templates/new?from={made['id']}",
    ):
        page.goto(path)
        shown = page.locator("main").inner_text() + "".join(
            field.input_value() for field in page.locator("main :is(input[name], textarea)").all()
        )
        assert "<b>'&amp;" in shown.replace("\\", ""), path
        assert page.locator("main b, main img[src=x]").count() == 0, path
        assert page.title() != "run", path


def test_an_alert_of_a_budget_is_acknowledged(page: Page, api: httpx.Client) -> None:
    budget = {"name": "Fair", "budget_microusd": 50_000, "settings": {"alert_thresholds": [1]}}
    project = api.post("/api/projects", json=budget).json()["data"]["project"]["id"]
    # The simulator's model has a price; the embedded ones cost nothing.
    make(api, "image", "a card", "replicate/sdxl", project_id=project)
    page.goto(f"/projects/{project}")
    expect(page.get_by_text("1 % of the budget of $0.05 is spent")).to_be_visible()
    page.get_by_role("button", name="I have seen it").click()
    expect(page.get_by_text("Seen", exact=True)).to_be_visible()


def test_files_are_moved_to_a_project_and_deleted_by_name(page: Page, api: httpx.Client) -> None:
    project = api.post("/api/projects", json={"name": "Spring campaign"}).json()["data"]["project"]["id"]
    size = {"width": 256, "height": 256}
    image = make(api, "image", "a lighthouse at dusk", "local/canvas", parameters=size)
    start = {"image_asset_id": image["assets"][0]["id"], "duration_seconds": 1}
    video = make(api, "video", "waves roll in", "local/film", parameters=start)
    page.goto("/library")
    for name in ("a lighthouse at dusk", "waves roll in"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_role("button", name="Move to a project").click()
    page.get_by_label("Project").select_option("Spring campaign")
    page.get_by_role("button", name="Move", exact=True).click()
    page.wait_for_url(f"**/library?project_id={project}")
    tiles = page.locator("#assets .tile")
    expect(tiles).to_have_count(2)
    page.get_by_role("link", name="a lighthouse at dusk").click()
    expect(page.get_by_role("heading", name="Made from this file")).to_be_visible()
    expect(page.get_by_role("link", name="waves roll in")).to_be_visible()
    served = str(page.get_by_role("link", name="Download").get_attribute("href"))
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete “a lighthouse at dusk” for good").click()
    expect(page.get_by_role("status")).to_have_text("The file is deleted.")
    expect(tiles).to_have_count(1)
    assert api.get(served).status_code == 403
    page.goto(f"/library/{video['assets'][0]['id']}")
    expect(page.get_by_text("A file that was deleted")).to_be_visible()
    page.goto(f"/generations/{image['id']}")
    expect(page.get_by_text("This file was deleted.")).to_be_visible()


def test_an_archived_file_is_not_offered_to_start_from(page: Page, api: httpx.Client) -> None:
    small = {"width": 64, "height": 64}
    names = ["a red card", "a blue card"]
    red, _ = [make(api, "image", name, "local/canvas", parameters=small)["assets"][0]["id"] for name in names]
    page.goto("/parts/create/files?type=image&slot=file.image_asset_id")
    expect(page.locator("body")).to_contain_text("a red card")
    assert api.put(f"/api/assets/{red}", json={"archived": True}).status_code == 200
    page.reload()
    expect(page.locator("body")).to_contain_text("a blue card")
    expect(page.locator("body")).not_to_contain_text("a red card")
