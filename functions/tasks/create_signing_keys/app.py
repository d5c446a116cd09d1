"""Custom resource `SigningKeys`: the first deployment fills the signing secrets; every later one finds them filled."""

from __future__ import annotations

from typing import Any

from atelier.wiring import signing_keys


def handler(event: dict[str, Any], _context: object) -> None:
    """event: CloudFormation's request. The keys outlive the resource: deleting it deletes none."""
    signing_keys.answer(event)
