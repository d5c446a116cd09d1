"""Workshops in a browser: one is found, enrolled in and left; another one is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from icalendar import Calendar
from playwright.sync_api import Page, expect

from tests.local.administrator import create_administrator
from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.studio.test_every_page import MARKER, check_page
from tests.local.studio.test_security import sign_in_by_password
from tests.local.teams import subscribe
from tests.local.test_showcase import image, offered
from tests.polling import wait_until


def public_workshop(educator: AccountClient, title: str, price: int = 5) -> str:
    """A scheduled workshop of an educator, which everybody sees."""
    assert educator.http.put("/api/users/me", json={"persona": "educator"}).status_code == 200
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    body = {
        "title": title,
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=2)).isoformat(),
        "time_zone": "Europe/Berlin",
        "capacity": 2,
        "price_credits": price,
        "visibility": "public",
    }
    workshop_id: str = educator.http.post("/api/workshops", json=body).json()["data"]["workshop"]["id"]
    assert educator.http.post(f"/api/workshops/{workshop_id}/schedule").status_code == 200
    return workshop_id


def test_a_person_enrols_takes_the_calendar_file_and_withdraws(page: Page, stack: Stack, tmp_path: Path) -> None:
    workshop_id = public_workshop(AccountClient(stack.base_url), "Light <b>in</b> film")
    # Daily credits pay no educator.
    person = AccountClient(stack.base_url)
    subscribe(stack, person, person.workspace_id)
    sign_in_by_password(page, person.email)
    page.wait_for_url("**/security")
    page.goto("/workshops")
    page.get_by_role("link", name="Light <b>in</b> film").first.click()
    page.wait_for_url(f"**/workshops/{workshop_id}")
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.get_by_text("enrolled", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Add to a calendar").click()
    download.value.save_as(tmp_path / "workshop.ics")
    [event] = Calendar.from_ical((tmp_path / "workshop.ics").read_bytes()).walk("VEVENT")
    assert (str(event["summary"]), str(event["status"])) == ("Light <b>in</b> film", "CONFIRMED")
    page.goto("/workshops?scope=enrolled")
    page.get_by_role("link", name="Light <b>in</b> film").click()
    page.get_by_text("Withdraw …").click()
    page.get_by_role("button", name="Withdraw", exact=True).click()
    expect(page.get_by_text("withdrawn", exact=True)).to_be_visible()
    expect(page.get_by_text("5 credits came back")).to_be_visible()


def test_an_educator_gives_a_series_and_sees_who_comes(page: Page, sign_up: Callable[[], str], stack: Stack) -> None:
    sign_up()
    page.goto("/workshops/new")
    start = datetime.now(UTC) + timedelta(days=10)

    def fill() -> None:
        page.get_by_label("Title").fill("Drawing")
        page.get_by_label("Starts").fill(f"{start:%Y-%m-%d}T18:00")
        page.get_by_label("Ends").fill(f"{start:%Y-%m-%d}T20:00")
        page.get_by_label("Time zone").fill("Europe/Berlin")
        page.get_by_label("Who sees it").select_option("public")
        page.get_by_label("Repeat every").fill("1")
        page.get_by_label("Number of workshops").fill("3")
        page.get_by_role("button", name="Save").click()

    fill()
    page.get_by_role("link", name="To your profile").click()
    page.get_by_label("What you do here").select_option("educator")
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_url("**/profile?saved=1")
    page.goto("/workshops/new")
    fill()
    page.get_by_role("button", name="Schedule").click()
    expect(page.get_by_text("scheduled", exact=True)).to_be_visible()
    workshop_id = page.url.rpartition("/")[2]
    attendee = AccountClient(stack.base_url)
    assert attendee.http.put("/api/users/me", json={"name": MARKER[:40]}).status_code == 200
    assert attendee.http.post(f"/api/workshops/{workshop_id}/enrol").status_code == 201
    page.get_by_role("link", name="Attendees").click()
    expect(page.get_by_text("1 of 10 places taken")).to_be_visible()
    expect(page.get_by_text(MARKER[:40])).to_be_visible()
    check_page(page, "workshop_attendees_named", f"/workshops/{workshop_id}/attendees")
    page.goto("/workshops?scope=workspace")
    expect(page.get_by_role("link", name="Drawing")).to_have_count(3)


def test_somebody_who_attended_shows_a_work_and_takes_it_off(page: Page, stack: Stack) -> None:
    root = create_administrator(stack.base_url, stack.running)
    educator, person = AccountClient(stack.base_url), AccountClient(stack.base_url)
    workshop_id = public_workshop(educator, "Light in film", price=0)
    assert person.http.post(f"/api/workshops/{workshop_id}/enrol").status_code == 201
    listing_id = offered(person, root, image(person), 0, MARKER)
    attend(educator, person, workshop_id)

    sign_in_by_password(page, person.email)
    page.wait_for_url("**/security")
    page.goto(f"/workshops/{workshop_id}")
    page.get_by_label("A published work of yours").select_option(listing_id)
    page.get_by_role("button", name="Show it here").click()
    works = page.get_by_role("region", name="Works of participants")
    expect(works.get_by_role("link", name=MARKER)).to_have_attribute("href", f"/showcase/{listing_id}")
    check_page(page, "workshop_attended", f"/workshops/{workshop_id}")
    # Without a script the same is a page.
    check_page(page, "workshop_yours_attended", f"/workshops/{workshop_id}/yours?attended=1")
    page.get_by_role("button", name="Take off").click()
    page.wait_for_url(f"**/workshops/{workshop_id}")
    expect(page.get_by_label("A published work of yours")).to_be_visible()
    expect(works).to_have_count(0)


def attend(educator: AccountClient, person: AccountClient, workshop_id: str) -> None:
    """The workshop is moved so that it begins in a moment; then the educator notes that the person came."""
    path, user_id = f"/api/workshops/{workshop_id}", person.get("/api/users/me").json()["data"]["id"]

    def is_moved() -> bool:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=12)
        times = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=1)).isoformat()}
        return educator.http.put(path, json=times).status_code == 200

    def is_noted() -> bool:
        noted = educator.http.put(f"{path}/attendees/{user_id}", json={"attended": True})
        return noted.status_code == 200

    assert wait_until(is_moved, 60)
    assert wait_until(is_noted, 120)
