"""Providers: which are used, in which order, with whose key; how they are; what they offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

Provider = dict[str, Any]

# The priority that the API gives a provider by itself, and the distance that a new order has.
PRIORITY_DEFAULT = 100
PRIORITY_STEP = 10
# The provider that is any endpoint with OpenAI's API, and those that need no key.
CUSTOM = "custom"
WITHOUT_KEYS = ("local",)
CUSTOM_KINDS = ("text", "image", "audio", "page")
# How many models the form for an own endpoint has places for.
MODEL_PLACES = 5
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 409, 422)
# Settings were changed since the page was loaded, in another window or by somebody else.
CHANGED = "VERSION_CONFLICT"
TRIES_MAX = 3


def show_providers(visit: Visit) -> Response:
    """All providers in the order in which they are tried. Query: `changed`, when a move met another order than the
    person had seen."""
    settings, health, keys = _everything(visit)
    providers = [_with_access(each, health, keys) for each in settings["providers"]]
    return visit.page(
        "providers.html", providers=providers, version=settings["version"], changed=bool(visit.query.get("changed"))
    )


def show_provider(visit: Visit) -> Response:
    """One provider: its health, whose access is used, and the own keys."""
    return _provider_page(visit)


def show_models(visit: Visit) -> Response:
    """What a provider offers, with prices."""
    provider = str(visit.request.path_params["provider"])
    models = [model for model in visit.get("/api/models")["items"] if model["provider"] == provider]
    return visit.page("provider_models.html", provider=provider, models=models)


def move(visit: Visit) -> Response:
    """Moves a provider one place up or down."""
    provider = str(visit.request.path_params["provider"])
    step = -1 if visit.form.get("direction") == "up" else 1

    def reorder(providers: list[Provider]) -> None:
        places = [each["id"] for each in providers]
        place = places.index(provider) if provider in places else 0
        other = place + step
        if 0 <= other < len(providers):
            providers[place], providers[other] = providers[other], providers[place]
            for number, each in enumerate(providers, 1):
                each["priority"] = number * PRIORITY_STEP

    try:
        _change_settings(visit, reorder, version=_seen_version(visit))
    except ApiError as error:
        if error.code != CHANGED:
            raise
        return visit.go("/providers?changed=1")
    return visit.go("/providers")


def switch(visit: Visit) -> Response:
    """Switches a provider on or off."""
    provider, enabled = visit.request.path_params["provider"], visit.form.get("enabled") == "1"

    def set_enabled(providers: list[Provider]) -> None:
        for each in providers:
            each["enabled"] = enabled if each["id"] == provider else each["enabled"]

    _change_settings(visit, set_enabled)
    return visit.go("/providers")


def choose_access(visit: Visit) -> Response:
    """Sets whose key is used with a provider, and what happens when the own key fails."""
    provider = str(visit.request.path_params["provider"])
    key_id, fallback = str(visit.form.get("use_own_key", "")) or None, visit.form.get("platform_fallback") == "1"

    def set_access(providers: list[Provider]) -> None:
        for each in providers:
            if each["id"] == provider:
                each.update(use_own_key=key_id, platform_fallback=fallback)

    try:
        _change_settings(visit, set_access, version=_seen_version(visit))
    except ApiError as error:
        if error.code != CHANGED:
            raise
        chosen = {"use_own_key": key_id, "platform_fallback": fallback}
        return _provider_page(visit, conflict=error, chosen=chosen)
    return visit.go(f"/providers/{visit.part('provider')}")


def add_key(visit: Visit) -> Response:
    """Adds an own key, and uses it from the next order on."""
    provider = str(visit.request.path_params["provider"])
    body: Json = {
        "provider": provider,
        "key_name": str(visit.form.get("key_name", "")),
        "key": str(visit.form.get("secret_key", "")),
    }
    if provider == CUSTOM:
        places = zip(visit.form.getlist("model_name"), visit.form.getlist("model_kind"), strict=False)
        body["models"] = [{"name": str(name).strip(), "kind": str(kind)} for name, kind in places if str(name).strip()]
        body["base_url"] = str(visit.form.get("base_url", "")).strip() or None
    try:
        added = visit.api.call("POST", "/api/api-keys", body, headers={"Idempotency-Key": visit.form_key}).data["key"]
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _provider_page(visit, error=error, body=body)

    def use(providers: list[Provider]) -> None:
        for each in providers:
            if each["id"] == provider:
                each["use_own_key"] = added["id"]

    _change_settings(visit, use)
    return visit.go(f"/providers/{visit.part('provider')}")


def test_key(visit: Visit) -> Response:
    """Asks the provider whether it takes the key, and says what it answered."""
    tested = visit.api.call("POST", f"/api/api-keys/{visit.part('key_id')}/test", {}).data["test"]
    if visit.is_partial:
        return visit.page("provider_test.html", test=tested, message=tested["message"])
    return visit.go(f"/providers/{visit.part('provider')}")


def switch_key(visit: Visit) -> Response:
    """Switches an own key on or off."""
    visit.api.call("PUT", f"/api/api-keys/{visit.part('key_id')}", {"is_active": visit.form.get("active") == "1"})
    return visit.go(f"/providers/{visit.part('provider')}")


def remove_key(visit: Visit) -> Response:
    """Removes an own key for good."""
    visit.api.call("DELETE", f"/api/api-keys/{visit.part('key_id')}")
    return visit.go(f"/providers/{visit.part('provider')}")


def _everything(visit: Visit) -> tuple[Json, list[Json], list[Json]]:
    settings, health, keys = visit.api.get_together(
        ("/api/settings/providers", {}), ("/api/providers/health", {}), ("/api/api-keys", {})
    )
    return settings, health["items"], keys["items"]


def _with_access(provider: Provider, health: list[Json], keys: list[Json]) -> Provider:
    """A provider with the key that is used with it, and the health of that access."""
    key = next((key for key in keys if key["id"] == provider["use_own_key"]), None)
    scope = key["id"] if key else "platform"
    card = next((each for each in health if (each["provider"], each["scope"]) == (provider["id"], scope)), None)
    return {**provider, "key": key, "card": card}


def _provider_page(
    visit: Visit,
    *,
    error: ApiError | None = None,
    body: Json | None = None,
    conflict: ApiError | None = None,
    chosen: Json | None = None,
) -> Response:
    """error, body: why a new key was refused, and what was written. conflict, chosen: that the settings were changed
    meanwhile, and what the person had chosen."""
    provider_id = str(visit.request.path_params["provider"])
    if error is None and conflict is None:
        settings, health, keys = _everything(visit)
    else:
        # The refused call was one of the three that a page may make.
        settings, own = visit.api.get_together(("/api/settings/providers", {}), ("/api/api-keys", {}))
        health, keys = [], own["items"]
    provider = next((each for each in settings["providers"] if each["id"] == provider_id), None)
    if provider is None:
        raise ApiError(404, {"error": "NOT_FOUND", "message": ""})
    refused = error or conflict
    stored = {name: provider[name] for name in ("use_own_key", "platform_fallback")}
    return visit.page(
        "provider.html",
        status=refused.status if refused else 200,
        version=settings["version"],
        conflict=conflict,
        chosen=chosen or stored,
        provider=_with_access(provider, health, keys),
        keys=[key for key in keys if key["provider"] == provider_id],
        health=[card for card in health if card["provider"] == provider_id],
        takes_keys=provider_id not in WITHOUT_KEYS,
        is_custom=provider_id == CUSTOM,
        custom_kinds=CUSTOM_KINDS,
        places=MODEL_PLACES,
        typed=body or {},
        error=error,
        errors={path.partition(".")[0]: message for path, message in error.fields.items()} if error else {},
    )


def _seen_version(visit: Visit) -> int:
    """The version of the settings that the form was made of."""
    version = str(visit.form.get("version", ""))
    return int(version) if version.isdecimal() and len(version) < 10 else 0


def _change_settings(visit: Visit, change: Callable[[list[Provider]], None], version: int | None = None) -> None:
    """Reads the workspace's settings of all providers, changes them in place, and writes them if they differ.

    version: the one that the person has seen; raises ApiError with the code CHANGED when it is another one now. None =
    the change is right whatever else has changed."""
    for tries in range(1, TRIES_MAX + 1):
        settings = visit.get("/api/settings/providers")
        if version not in (None, settings["version"]):
            raise ApiError(409, {"error": CHANGED, "message": ""})
        before: list[Provider] = settings["providers"]
        after = [dict(each) for each in before]
        change(after)
        if after == before:
            return
        body: Json = {"providers": settings_to_store(after), "version": settings["version"]}
        try:
            visit.api.call("PUT", "/api/settings/providers", body)
            return
        except ApiError as error:
            if error.code != CHANGED or version is not None or tries == TRIES_MAX:
                raise


def settings_to_store(providers: list[Provider]) -> list[Provider]:
    """The settings as the API stores them. A provider with nothing of its own stays unnamed: the API then uses the
    newest of its keys, also one that is added later by a program."""
    fields = ("id", "enabled", "priority", "use_own_key", "platform_fallback")
    return [{name: each[name] for name in fields} for each in providers if _has_settings(each)]


def _has_settings(provider: Provider) -> bool:
    usual = provider["enabled"] and provider["priority"] == PRIORITY_DEFAULT and not provider["platform_fallback"]
    return not usual or provider["has_key"]


routes = [
    route("/providers", show_providers),
    route("/providers/{provider}", show_provider),
    route("/providers/{provider}/models", show_models),
    route("/providers/{provider}/move", move, "POST"),
    route("/providers/{provider}/switch", switch, "POST"),
    route("/providers/{provider}/access", choose_access, "POST"),
    route("/providers/{provider}/keys", add_key, "POST"),
    route("/providers/{provider}/keys/{key_id}/test", test_key, "POST"),
    route("/providers/{provider}/keys/{key_id}/switch", switch_key, "POST"),
    route("/providers/{provider}/keys/{key_id}/remove", remove_key, "POST"),
]
