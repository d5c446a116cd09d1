"""The code of CloudFront's edge function, run here: the local edge must behave like it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.local.distribution import read_distribution
from infra.local.templates import read_template
from tests.lanes import need_node

ROOT = Path(__file__).parents[3]

EDGE = ROOT / "infra/edge.yaml"
PRODUCT = (ROOT / "layers/atelier/python/atelier", ROOT / "functions")
FRONTENDS = "https://app.example.com,http://localhost:*"
ORIGINS = ("https://app.example.com", "http://localhost:5173", "http://localhost", "https://evil.example.com", "null")


def code(frontends: str) -> str:
    """The CloudFront Function's code, as CloudFormation fills it in."""
    template = read_template(EDGE)
    text, variables = template["Resources"]["GreetViewer"]["Properties"]["FunctionCode"]["Fn::Sub"]
    assert set(variables) == {"AllowedHeaders"}
    values = {
        "AllowedHeaders": ", ".join(template["Mappings"]["Cors"]["Headers"]["Allowed"]),
        "FrontendOrigins": frontends,
    }
    return re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)


def run(frontends: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The function's results for requests (method, uri, headers)."""
    node = need_node()
    events = [
        {
            "viewer": {"ip": "192.0.2.1"},
            "request": {**each, "headers": {name: {"value": value} for name, value in each["headers"].items()}},
        }
        for each in requests
    ]
    script = f"{code(frontends)}\nconsole.log(JSON.stringify({json.dumps(events)}.map(handler)))"
    ran = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ran.stdout)


def plain(headers: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: each["value"] for name, each in headers.items()}


@pytest.mark.parametrize("frontends", [FRONTENDS, ""])
def test_cloudfront_and_the_local_edge_answer_preflights_alike(frontends: str) -> None:
    requests = [
        {"method": "OPTIONS", "uri": uri, "headers": {"origin": origin, "access-control-request-method": "POST"}}
        for uri in ("/api/x", "/media/a.png")
        for origin in ORIGINS
    ]
    distribution = read_distribution(EDGE, frontends)
    for request, answer in zip(requests, run(frontends, requests), strict=True):
        headers: Any = request["headers"]
        cors = distribution.behaviour(str(request["uri"])).cors
        assert answer["statusCode"] == 204
        assert plain(answer["headers"]) == {
            "cache-control": "no-store",
            **cors.preflight_headers(headers["origin"]),
        }


def test_cloudfront_adds_the_viewer_address_only_to_api_requests() -> None:
    requests = [
        {"method": "OPTIONS", "uri": "/api/x", "headers": {"origin": "https://app.example.com"}},
        {"method": "GET", "uri": "/v1/models/local%2Fcanvas", "headers": {"authorization": "Bearer a"}},
        {"method": "GET", "uri": "/media/a.png", "headers": {"origin": "https://app.example.com"}},
        {"method": "GET", "uri": "/api/x", "headers": {"authorization": ""}},
    ]
    api, model, media, empty = run(FRONTENDS, requests)
    known = {"atelier-viewer-address": "192.0.2.1"}
    assert plain(api["headers"]) == {"origin": "https://app.example.com", "authorization": "none", **known}
    assert (model["uri"], plain(model["headers"])) == (
        "/v1/models/local/canvas",
        {"authorization": "Bearer a", **known},
    )
    assert plain(media["headers"]) == {"origin": "https://app.example.com"}
    assert plain(empty["headers"]) == {"authorization": "none", **known}


def test_every_path_allows_the_same_headers_to_the_frontends() -> None:
    seen = {
        each.cors.response_headers(ORIGINS[0])["access-control-expose-headers"]
        for each in read_distribution(EDGE, FRONTENDS).behaviours
        if each.origin in ("api", "media")
    }
    assert len(seen) == 1


def test_no_other_origin_may_read_pages_of_studio() -> None:
    studio = read_distribution(EDGE, FRONTENDS).behaviour("/create")
    assert (studio.origin, studio.origin_path) == ("studio", "/studio")
    assert studio.cors.response_headers(ORIGINS[0]) == studio.cors.preflight_headers(ORIGINS[0]) == {}


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/api/credits", "api"),
        ("/api", "api"),
        ("/v1/models", "api"),
        ("/healthz", "api"),
        ("/.well-known/jwks.json", "api"),
        ("/media/wsp_1/a.png", "media"),
        ("/static/studio.0.css", "static"),
        ("/", "studio"),
        ("/create", "studio"),
        ("/static", "studio"),
    ],
)
def test_a_path_goes_to_its_origin(path: str, origin: str) -> None:
    assert read_distribution(EDGE).behaviour(path).origin == origin


def test_frontends_may_read_every_header_that_the_product_sets() -> None:
    # Adapters send headers to others, and deployed sites are on origins of their own.
    sends = ("adapters/providers", "adapters/oauth", "adapters/sites", "atelier/deployments")
    product = [
        path.read_text()
        for folder in PRODUCT
        for path in folder.rglob("*.py")
        if not path.parent.as_posix().endswith(sends)
    ]
    answered = {name.lower() for text in product for name in re.findall(r'headers\["([\w-]+)"\] = ', text)}
    # In a mapping, a header is known by its prefix; those of the upload form's fields (x-amz) are no response headers.
    in_mappings = r'"((?:atelier|idempotent|retry|x(?!-amz))-[a-z-]+)": '
    answered |= {name.lower() for text in product for name in re.findall(in_mappings, text, re.IGNORECASE)}
    exposed = read_distribution(EDGE, FRONTENDS).behaviours[0].cors.exposed_headers.split(", ")
    assert {"atelier-adjusted-parameters", "retry-after-ms"} <= answered
    # This one is for search engines.
    assert answered - {"x-robots-tag"} <= set(exposed)
