"""Custom resource `SigningKeys`: the first deployment fills the signing secrets; every later one finds them filled."""

from __future__ import annotations

from typing import Any

from atelier.telemetry import logger
from atelier.wiring import signing_keys

RESOURCE_ID = "signing-keys"


def handler(event: dict[str, Any], _context: object) -> None:
    """event: CloudFormation's request. The keys outlive the resource: deleting it deletes none."""
    logger.info("signing keys", request=event["RequestType"])
    try:
        public = {} if event["RequestType"] == "Delete" else signing_keys.create()
    except Exception as error:
        # Without an answer the deployment would wait until its time-out. The text holds only the name of the error's
        # class, because its message may contain secrets.
        logger.exception("signing keys not created")
        signing_keys.respond(event, RESOURCE_ID, {}, failure=f"{type(error).__name__}: see the function's log")
        return
    signing_keys.respond(event, RESOURCE_ID, public)
