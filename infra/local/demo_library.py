"""A small library for the demo account: one thing of each kind, made by the embedded models through the public API.

Every step has an Idempotency-Key, so a start that follows a crash goes on where the last one ended, a later start
repeats nothing, and what a person has deleted stays deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

PROJECT = {
    "name": "Coast road",
    "description": "Pictures, a film and a page for a walk along the coast.",
    "budget_microusd": 5_000_000,
}
TEMPLATE = {
    "name": "Postcard",
    "description": "A wide picture of any place at any hour.",
    "kind": "image",
    "model": "local/canvas",
    "prompt": "a postcard of {{place}}, {{hour}}, wide view",
    "variables": {"place": {"default": "a fishing village"}, "hour": {"default": "early morning"}},
    "parameters": {"width": 960, "height": 640},
}
CHARACTER = {
    "name": "Mara",
    "description": "Keeps the lighthouse; grey coat, short white hair.",
    "style": "calm portrait",
    "age": 61,
}
# Name of the step (in its Idempotency-Key; later steps name its first asset by it), and a body of POST /api/generate.
GENERATIONS: Mapping[str, Mapping[str, Any]] = {
    "bay": {
        "kind": "image",
        "prompt": "a bay with hills at dawn",
        "parameters": {"width": 960, "height": 640},
    },
    "garden": {
        "kind": "image",
        "prompt": "poppies and roses in a garden",
        "parameters": {"width": 640, "height": 800},
    },
    "portrait": {"kind": "image", "prompt": "portrait of a keeper", "parameters": {"width": 512, "height": 512}},
    "text": {"kind": "text", "prompt": "Three sentences about walking along a coast."},
    "speech": {"kind": "audio", "prompt": "Welcome to the coast road. The lighthouse is an hour's walk from here."},
    "page": {"kind": "page", "prompt": "A page that invites to a walk along the coast road"},
    "film": {
        "kind": "video",
        "prompt": "slowly along the bay",
        "parameters": {"image_asset_id": "bay", "width": 640, "height": 426, "duration_seconds": 3},
    },
    "avatar": {
        "kind": "avatar",
        "prompt": "Good morning. The fog will lift by ten.",
        "parameters": {"width": 256, "height": 256, "fps": 15},
    },
}


class Api(Protocol):
    """The calls that this needs of a client of the API."""

    async def call(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """The `data` of a successful call. key: the Idempotency-Key."""

    async def wait_for_end(self, generation: Mapping[str, Any]) -> Mapping[str, Any]:
        """The generation when it is final."""


async def fill_library(api: Api) -> int:
    """Makes what is not there yet; returns how many generations are there. Raises what the client raises."""
    project = (await api.call("POST", "/api/projects", PROJECT, key="demo-project"))["project"]
    await api.call("POST", "/api/templates", TEMPLATE, key="demo-template")
    assets: dict[str, str] = {}
    for name, body in GENERATIONS.items():
        parameters = dict(body.get("parameters", {}))
        if "image_asset_id" in parameters:
            parameters["image_asset_id"] = assets[parameters["image_asset_id"]]
        order = {**body, "parameters": parameters, "project_id": project["id"]}
        begun = (await api.call("POST", "/api/generate", order, key=f"demo-{name}"))["generation"]
        ended = await api.wait_for_end(begun)
        if ended["assets"]:
            assets[name] = ended["assets"][0]["id"]
    character = {**CHARACTER, "reference_asset_ids": [assets["portrait"]]}
    await api.call("POST", "/api/characters", character, key="demo-character")
    return len(GENERATIONS)
