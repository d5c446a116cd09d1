"""Create: ask for an image, a video, audio, an avatar, a text, a page, an upscale, or for several stages at once.

The person always sees the price first. What they saw goes along with the form: `quote_id`, `quote_for` (what it is the
price of) and `quote_credits`. When the form holds something else by then, it is ordered only if its price is not above
the one they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote as percent_encoded

from starlette.datastructures import ImmutableMultiDict
from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.generation_form import (
    AUTO,
    ENHANCED_KINDS,
    KINDS,
    Fields,
    digest,
    fields_of_asset,
    fields_of_recipe,
    fields_that_continue,
    missing_files,
    model_form,
    order_request,
    quote_request,
    request_of,
    turns_of,
)
from studio.visit import Visit

LIST_MAX = 100
FILES_MAX = 24
ENHANCE_SECONDS = 20
# Refusals that the form shows, beside what was written.
SHOWN_IN_FORM = (400, 402, 404, 409, 422, 429)
TEMPLATES_MAX = 50

Request = tuple[str, Mapping[str, Any]]


# ---- showing the form ------------------------------------------------------------------------------------------------
def show(visit: Visit) -> Response:
    """The form. Query: `kind` or `pipeline`, `model`, `prompt`, `project_id`; or what it starts from: `from` (a
    generation), `continue` (a text whose conversation goes on), `template`, `asset` (an image or audio),
    `character`."""
    query = visit.query
    if source := query.get("continue"):
        found = visit.get(f"/api/generations/{percent_encoded(source, safe='')}")["generation"]
        return _form(visit, fields_that_continue(found), source=f"{source}+")
    if source := query.get("from"):
        found = visit.get(f"/api/generations/{percent_encoded(source, safe='')}/recipe")["recipe"]
        return _form(visit, fields_of_recipe(found), source=source)
    if source := query.get("template"):
        found = visit.get(f"/api/templates/{percent_encoded(source, safe='')}")["template"]
        fields = [*fields_of_recipe(found).multi_items(), ("template_id", f"{source} {found['name']}")]
        fields += [(f"template_{name}", found[name] or "") for name in ("prompt", "negative_prompt")]
        fields += [(f"variable.{name}", each["default"] or "") for name, each in found["variables"].items()]
        return _form(visit, ImmutableMultiDict(fields), source=source, variables=found["variables"])
    if source := query.get("asset"):
        found = visit.get(f"/api/assets/{percent_encoded(source, safe='')}")["asset"]
        kind = _kind(query.get("kind", "avatar" if found["type"] == "audio" else "video"))
        return _form(visit, ImmutableMultiDict(fields_of_asset(kind, found)), source=source)
    if source := query.get("character"):
        found = visit.get(f"/api/characters/{percent_encoded(source, safe='')}")["character"]
        fields = [("kind", "image"), ("character_id", f"{source} {found['name']}")]
        return _form(visit, ImmutableMultiDict(fields), source=source)
    names = ("kind", "pipeline", "model", "prompt", "project_id")
    pairs: list[tuple[str, str]] = [(name, query[name]) for name in names if name in query]
    # A prompt that comes along has a draft of its own: what was written here before does not take its place.
    source = digest({"prompt": query["prompt"]}) if "prompt" in query else ""
    return _form(visit, ImmutableMultiDict(pairs), lists=True, source=source)


def _kind(name: str) -> str:
    return name if name in KINDS else KINDS[0]


def _form(visit: Visit, fields: Fields, *, lists: bool = False, status: int = 200, **shown: Any) -> Response:
    """The page with these fields. lists: whether projects and characters are fetched too. shown: `quote`, `error`,
    `files` and other parts that not every page has."""
    pipeline = fields.get("pipeline", "")
    kind = "" if pipeline else _kind(fields.get("kind", ""))
    requests: list[Request] = [("/api/models", {"kind": kind})]
    requests += [("/api/pipelines", {})] if pipeline else []
    if lists:
        requests += [("/api/projects", {"limit": LIST_MAX})]
        requests += [] if pipeline else [("/api/characters", {"limit": LIST_MAX})]
    answers = dict(zip((path for path, _ in requests), visit.api.get_together(*requests), strict=True))
    models = [model for model in answers["/api/models"]["items"] if model["is_offered"]]
    pipelines = answers.get("/api/pipelines", {"items": []})["items"]
    if pipeline:
        steps = next((each["stages"] for each in pipelines if each["name"] == pipeline), None)
        if steps is None:
            # The tab of all pipelines names none, and an unknown one is treated the same.
            pipeline, steps = pipelines[0]["name"], pipelines[0]["stages"]
        stages = [_stage(models, step["kind"], fields, step["name"], list(step["starts_from"])) for step in steps]
    else:
        stages = [_stage(models, kind, fields)]
    defaults: dict[str, Any] = {
        "quote": None,
        "credits": None,
        "project": None,
        "error": None,
        "must_confirm": False,
        "missing": [],
        "files": None,
        "files_slot": "",
        "enhanced": None,
        "variables": {},
        "source": "",
    }
    projects, characters = answers.get("/api/projects"), answers.get("/api/characters")
    values = {
        **defaults,
        "kind": kind,
        "pipeline": pipeline,
        "pipelines": pipelines,
        "fields": fields,
        "stages": stages,
        "takes_character": not pipeline and any("reference" in model["inputs"] for model in stages[0]["models"]),
        "projects": [each for each in projects["items"] if not each["archived_at"]] if projects else None,
        "characters": characters["items"] if characters else None,
        "turns": turns_of(fields),
        "sent": visit.request.method == "POST",
        "kinds": KINDS,
        "enhanced_kinds": ENHANCED_KINDS,
        **shown,
    }
    return visit.page("create.html", status=status, **values)


def _stage(models: Sequence[Json], kind: str, fields: Fields, name: str = "", filled: Sequence[str] = ()) -> Json:
    """What the page shows of one stage: the models of its kind, and the fields of the chosen one."""
    prefix = f"{name}/" if name else ""
    usable = [model for model in models if kind in model["kinds"]]
    chosen = fields.get(f"{prefix}model", AUTO)
    chosen = chosen if any(model["id"] == chosen for model in usable) else AUTO
    form = model_form(usable, chosen, prefix, filled)
    return {"name": name, "kind": kind, "models": usable, "form": form}


# ---- what the form asks for while it is filled in --------------------------------------------------------------------
def show_quote(visit: Visit) -> Response:
    """The price of what the form holds now, for htmx."""
    try:
        values = _quote(visit, request_of(visit.form))
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        # Not the form's own errors yet: the person is still writing.
        return visit.page("create_quote.html", quote=None, error=error, missing=missing_files(visit.form, error.fields))
    return visit.page("create_quote.html", error=None, must_confirm=False, **values)


def _quote(visit: Visit, body: Json) -> Json:
    """The quote for a request, the credits, and the project with its budget."""
    quote = visit.api.call("POST", "/api/quotes", quote_request(body)).data
    requests: list[Request] = [("/api/credits", {})]
    if project := body.get("project_id"):
        requests.append((f"/api/projects/{percent_encoded(project, safe='')}", {}))
    found = visit.api.get_together(*requests)
    return {
        "quote": quote,
        "quote_for": digest(body),
        "credits": found[0],
        "project": found[1]["project"] if project else None,
    }


def show_enhanced(visit: Visit) -> Response:
    """The prompt as a text model would write it, for htmx."""
    return visit.page("create_enhanced.html", enhanced=_enhanced(visit))


def _enhanced(visit: Visit) -> Json:
    fields = visit.form
    body: Json = {"prompt": fields.get("prompt", "").strip(), "kind": fields.get("kind", "image")}
    if project := fields.get("project_id", "").partition(" ")[0]:
        body["project_id"] = project
    headers = {"Prefer": f"wait={ENHANCE_SECONDS}", "Idempotency-Key": f"{visit.form_key}-enhance-{digest(body)}"}
    return visit.api.call("POST", "/api/prompts/enhance", body, headers=headers).data


def show_files(visit: Visit) -> Response:
    """Files of the library to choose from, for htmx. Query: `type`, `slot` (the field's name), `many`, `cursor`."""
    query = visit.query
    wanted = {"type": query.get("type", "image"), "cursor": query.get("cursor"), "limit": FILES_MAX}
    found = visit.get("/api/assets", archived="false", **wanted)
    return visit.page("create_files.html", files=found, slot=query.get("slot", ""), many=bool(query.get("many")))


def show_choices(visit: Visit) -> Response:
    """The projects and the characters, for htmx, when the page did not ask for them."""
    projects, characters = visit.api.get_together(
        ("/api/projects", {"limit": LIST_MAX}), ("/api/characters", {"limit": LIST_MAX})
    )
    open_projects = [each for each in projects["items"] if not each["archived_at"]]
    values: dict[str, Any] = {"projects": open_projects, "characters": characters["items"], "fields": visit.query}
    return visit.page("create_choices.html", takes_character=bool(visit.query.get("takes_character")), **values)


def show_templates(visit: Visit) -> Response:
    """The templates to start from, for htmx."""
    return visit.page("create_templates.html", templates=visit.get("/api/templates", limit=TEMPLATES_MAX)["items"])


# ---- sending the form ------------------------------------------------------------------------------------------------
def send(visit: Visit) -> Response:
    """Orders what the form asks for, or does what the pressed button (`act`) says without ordering: `update` (another
    model), `price`, `enhance`, `use_enhanced`, `choices`, `files:<type>:<field>`."""
    act, _, rest = visit.form.get("act", "order").partition(":")
    fields = visit.form
    if act in ("update", "choices"):
        return _form(visit, fields, lists="hx-request" not in visit.request.headers)
    if act == "files":
        kind, _, slot = rest.partition(":")
        found = visit.get("/api/assets", type=kind, archived="false", limit=FILES_MAX)
        return _form(visit, fields, files=found, files_slot=slot)
    try:
        if act == "enhance":
            return _form(visit, fields, enhanced=_enhanced(visit))
        if act == "use_enhanced":
            return _form(visit, _with(fields, "prompt", fields.get("enhanced", "")), lists=True)
        if act == "price":
            return _form(visit, fields, **_quote(visit, request_of(fields)))
        return _order(visit, fields)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _form(visit, fields, status=error.status, error=error)


def _order(visit: Visit, fields: Fields) -> Response:
    body = request_of(fields)
    quote_id = fields.get("quote_id", "")
    if not quote_id or fields.get("quote_for") != digest(body):
        values = _quote(visit, body)
        if not _is_seen(fields, values["quote"]):
            return _form(visit, fields, must_confirm=True, **values)
        quote_id = values["quote"]["quote_id"]
    try:
        generation = _create(visit, body, quote_id)
    except ApiError as error:
        if error.code != "QUOTE_EXPIRED":
            raise
        values = _quote(visit, body)
        if not _is_seen(fields, values["quote"]):
            return _form(visit, fields, must_confirm=True, **values)
        generation = _create(visit, body, values["quote"]["quote_id"])
    return visit.go(f"/generations/{generation['id']}")


def _is_seen(fields: Fields, quote: Json) -> bool:
    """Whether the person has seen this price, or a higher one."""
    seen = fields.get("quote_credits", "")
    return seen.isdecimal() and quote["credits_max"] <= int(seen)


def _create(visit: Visit, body: Json, quote_id: str) -> Json:
    # The key is of the form and its content: the same form with something else in it is another order.
    path = "/api/pipelines" if "pipeline" in body else "/api/generate"
    headers = {"Idempotency-Key": f"{visit.form_key}-{digest(body)}"}
    sent = {**order_request(body), "quote_id": quote_id}
    return visit.api.call("POST", path, sent, headers=headers).data["generation"]


def _with(fields: Fields, name: str, value: str) -> Fields:
    return ImmutableMultiDict([*((key, each) for key, each in fields.multi_items() if key != name), (name, value)])


routes = [
    route("/create", show),
    route("/create", send, "POST"),
    route("/parts/create/quote", show_quote, "POST"),
    route("/parts/create/enhanced", show_enhanced, "POST"),
    route("/parts/create/files", show_files),
    route("/parts/create/choices", show_choices),
    route("/parts/create/templates", show_templates),
]
