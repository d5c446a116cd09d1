"""The environment of the function, read in this module alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def public_origin() -> str:
    """The origin at which browsers see Studio, for example `https://media.example.com`; empty when nobody has said."""
    return os.environ.get("STUDIO_PUBLIC_URL", "").rstrip("/")


def upload_origin() -> str:
    """The origin to which browsers send files, for the Content-Security-Policy; empty = only our own."""
    endpoint, bucket = os.environ.get("AWS_ENDPOINT_URL", ""), os.environ.get("STUDIO_MEDIA_BUCKET", "")
    if endpoint:
        # The embedded AWS takes uploads at its own address.
        return "{0.scheme}://{0.netloc}".format(urlsplit(endpoint))
    region = os.environ.get("AWS_REGION", "")
    return f"https://{bucket}.s3.{region}.amazonaws.com" if bucket and region else ""


def api_url(context: Mapping[str, Any]) -> str:
    """The API's base URL, of the gateway that sent this request.

    Calls do not go out through the distribution again: there the viewer's address would become this function's.
    context: `requestContext` of the event. The gateway writes the domain name; no header of the request changes it."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        return f"{endpoint}/_aws/execute-api/{context['apiId']}/$default"
    return f"https://{context['domainName']}"
