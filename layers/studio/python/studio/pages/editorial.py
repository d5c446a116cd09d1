"""Editorial: articles are written, reviewed, scheduled and published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from studio.admin_forms import act as act_as_administrator
from studio.admin_forms import status_of
from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

ARTICLES, DRAFTS, SETTINGS = "/api/articles", "/api/editorial/articles", "/api/admin/editorial"
KINDS = ("article", "announcement")
ACTIONS = ("submit", "approve", "publish", "schedule", "unpublish")
# Refusals that a page itself shows: roles, what happened meanwhile, fields.
SHOWN = (403, 409, 422)
EMPTY: Mapping[str, str] = {
    "kind": "article",
    "locale": "",
    "title": "",
    "slug": "",
    "summary": "",
    "author": "",
    "tags": "",
    "cover_id": "",
    "body": "",
    "note": "",
}
LISTS = ("tags",)


def show_list(visit: Visit) -> Response:
    """All articles of the workspace, whatever their state."""
    page = visit.get(DRAFTS, cursor=visit.query.get("after"))
    return visit.page("editorial.html", page=page, after=page["next_cursor"])


def show_new(visit: Visit) -> Response:
    """The form for a new article."""
    return _form_page(visit, EMPTY)


def create(visit: Visit) -> Response:
    """Keeps a new article as a draft."""
    typed = _typed(visit)
    body = {"fields": _fields(typed), "kind": typed["kind"], "locale": typed["locale"] or None, "note": typed["note"]}
    try:
        made = visit.api.call("POST", ARTICLES, body, headers={"Idempotency-Key": visit.form_key}).data
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _form_page(visit, typed, error=error)
    return visit.go(f"/editorial/{made['article']['id']}")


def show(visit: Visit) -> Response:
    """The editor of an article, and what can be done with it."""
    return _article_page(visit)


def save(visit: Visit) -> Response:
    """Keeps the next version; what somebody else has saved meanwhile is not replaced, and nothing typed is lost."""
    typed = _typed(visit)
    base = _number(str(visit.form.get("base_version", "")))
    body = {"fields": _fields(typed), "base_version": base, "note": typed["note"]}
    try:
        visit.api.call("PUT", _path(visit, ARTICLES), body)
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _article_page(visit, typed=typed, error=error)
    return visit.go(f"/editorial/{visit.part('article_id')}")


def act(visit: Visit) -> Response:
    """Asks for a review, approves, publishes, schedules or takes back."""
    action = visit.part("action")
    if action not in ACTIONS:
        return visit.go(f"/editorial/{visit.part('article_id')}")
    try:
        visit.api.call("POST", f"{_path(visit, ARTICLES)}/{action}", _action_body(visit, action))
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _article_page(visit, error=error)
    return visit.go(f"/editorial/{visit.part('article_id')}")


def remove(visit: Visit) -> Response:
    """Deletes an article for good."""
    try:
        visit.api.call("DELETE", _path(visit, ARTICLES))
    except ApiError as error:
        if error.status not in SHOWN:
            raise
        return _article_page(visit, error=error)
    return visit.go("/editorial")


def preview(visit: Visit) -> Response:
    """Leads to a signed address that shows the newest version."""
    made = visit.api.call("POST", f"{_path(visit, ARTICLES)}/preview", {}).data
    return visit.go(f"/articles/preview/{made['token']}")


def show_versions(visit: Visit) -> Response:
    """The versions of an article; with `version`, what it changed of the one before."""
    number = _number(visit.query.get("version", ""))
    requests: list[tuple[str, Mapping[str, Any]]] = [
        (_path(visit, DRAFTS), {}),
        (f"{_path(visit, DRAFTS)}/versions", {"below": visit.query.get("below")}),
    ]
    if isinstance(number, int) and number > 1:
        requests.append((f"{_path(visit, DRAFTS)}/diff", {"from": number - 1, "to": number}))
    found = visit.api.get_together(*requests)
    diff = found[2] if len(found) == 3 else None
    return visit.page("editorial_versions.html", article=found[0]["article"], versions=found[1], diff=diff)


def restore(visit: Visit) -> Response:
    """Keeps an earlier version as the newest one."""
    visit.api.call("POST", f"{_path(visit, ARTICLES)}/versions/{visit.part('version')}/restore", {})
    return visit.go(f"/editorial/{visit.part('article_id')}")


def show_settings(visit: Visit) -> Response:
    """For administrators: who writes, and what the public reads."""
    return _settings_page(visit, None)


def keep_settings(visit: Visit) -> Response:
    """Keeps who writes, and what the public reads."""
    texts = {name: str(visit.form.get(name, "")).strip() for name in ("workspace_id", "integration_id")}
    body = {
        **{name: text or None for name, text in texts.items()},
        "needs_review": visit.form.get("needs_review") == "1",
        "locale": str(visit.form.get("locale", "")).strip(),
        "title": str(visit.form.get("title", "")).strip(),
    }
    return act_as_administrator(visit, SETTINGS, body, "/admin/editorial", _settings_page, method="PUT")


def show_webhook(visit: Visit) -> Response:
    """Shows the address and the secret that are entered at the editorial system."""
    webhook = visit.api.call("POST", f"{SETTINGS}/webhook", {}).data
    return _settings_page(visit, None, webhook)


def _settings_page(visit: Visit, error: ApiError | None, webhook: Json | None = None) -> Response:
    stored = visit.get(SETTINGS)
    typed = dict(visit.form) if error else {name: value or "" for name, value in stored.items()}
    return visit.page(
        "admin_editorial.html",
        status=status_of(error),
        stored=stored,
        typed=typed,
        webhook=webhook,
        error=error,
        errors=error.fields if error else {},
    )


def _path(visit: Visit, start: str) -> str:
    return f"{start}/{visit.part('article_id')}"


def _article_page(visit: Visit, *, typed: Mapping[str, str] | None = None, error: ApiError | None = None) -> Response:
    article: Json = visit.get(_path(visit, DRAFTS))["article"]
    return visit.page(
        "editorial_article.html",
        status=error.status if error else 200,
        article=article,
        typed=typed or _shown(article),
        # What was typed is made from the version that its author has read.
        base_version=visit.form.get("base_version") if typed else article["version"],
        kinds=KINDS,
        error=error,
        errors=_errors(error),
    )


def _form_page(visit: Visit, typed: Mapping[str, str], *, error: ApiError | None = None) -> Response:
    status = error.status if error else 200
    return visit.page("editorial_new.html", status=status, typed=typed, kinds=KINDS, error=error, errors=_errors(error))


def _errors(error: ApiError | None) -> dict[str, str]:
    """The messages of refused fields by the names that the form has for them."""
    found = error.fields if error else {}
    return {path.removeprefix("fields.").partition(".")[0]: message for path, message in found.items()}


def _typed(visit: Visit) -> dict[str, str]:
    return {name: str(visit.form.get(name, "")).replace("\r\n", "\n") for name in EMPTY}


def _fields(typed: Mapping[str, str]) -> Json:
    """The form's fields as the API takes them."""
    fields: Json = {name: typed[name].strip() for name in ("title", "summary", "author")}
    tags = [tag.strip() for tag in typed["tags"].split(",") if tag.strip()]
    slug, cover = typed["slug"].strip() or None, typed["cover_id"].strip() or None
    return {**fields, "slug": slug, "cover_id": cover, "tags": tags, "body": typed["body"]}


def _shown(article: Json) -> dict[str, str]:
    """An article as its form shows it."""
    texts = {name: str(article[name] or "") for name in EMPTY if name in article and name not in LISTS}
    return {**EMPTY, **texts, "tags": ", ".join(article["tags"]), "note": ""}


def _action_body(visit: Visit, action: str) -> Json | None:
    version = _number(str(visit.form.get("version", "")))
    if action == "schedule":
        return {"version": version, "at": _instant(str(visit.form.get("at", "")))}
    return {"version": version} if action in ("approve", "publish") else None


def _instant(text: str) -> str:
    """A time of the form, in UTC; a text that is none stays, and is refused by the API."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat()
    except ValueError:
        return text


def _number(text: str) -> Any:
    """A whole number; any other text as it is, so that the API says what is wrong with it."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else text


routes = [
    route("/editorial", show_list),
    route("/editorial", create, "POST"),
    route("/editorial/new", show_new),
    route("/editorial/{article_id}", show),
    route("/editorial/{article_id}", save, "POST"),
    route("/editorial/{article_id}/do/{action}", act, "POST"),
    route("/editorial/{article_id}/delete", remove, "POST"),
    route("/editorial/{article_id}/preview", preview, "POST"),
    route("/editorial/{article_id}/versions", show_versions),
    route("/editorial/{article_id}/versions/{version}/restore", restore, "POST"),
    route("/admin/editorial", show_settings),
    route("/admin/editorial", keep_settings, "POST"),
    route("/admin/editorial/webhook", show_webhook, "POST"),
]
