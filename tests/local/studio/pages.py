"""Every page of Studio by name, with its path; `{…}` are ids of the things that a test has made."""

from __future__ import annotations

from collections.abc import Mapping

PAGES: Mapping[str, str] = {
    "welcome": "/welcome",
    "sign_in": "/sign-in",
    "sign_up": "/sign-up",
    "create": "/create",
    "generation": "/generations/{generation}",
    "library": "/library",
    "asset": "/library/{asset}",
    "asset_move": "/library/move?asset={asset}",
    "asset_delete": "/library/delete?asset={asset}",
    "recipe": "/library/{asset}/recipe",
    "projects": "/projects",
    "projects_archived": "/projects?archived=1",
    "project": "/projects/{project}",
    "project_new": "/projects/new",
    "project_edit": "/projects/{project}/edit",
    "project_delete": "/projects/{project}/delete",
    "project_alerts": "/projects/{project}/alerts",
    "budget": "/projects/budget",
    "characters": "/characters",
    "character": "/characters/{character}",
    "character_new": "/characters/new?asset={asset}",
    "character_delete": "/characters/{character}/delete",
    "templates": "/templates",
    "template": "/templates/{template}",
    "template_new": "/templates/new?from={generation}",
    "template_delete": "/templates/{template}/delete",
    "credits": "/credits",
    "credits_why": "/credits/generations/{generation}",
    "credits_proof": "/credits/proof",
    "providers": "/providers",
    "provider": "/providers/{provider}",
    "provider_custom": "/providers/custom",
    "provider_models": "/providers/{provider}/models",
    "tokens": "/tokens",
    "docs": "/docs",
}
