"""Calls a stack with two Python clients generated from our OpenAPI document, by openapi-generator and by
openapi-python-client: each signs up, generates an image, gets it and lists it. Arguments: the stack's base URL, and the
folder that contains the generated packages. Prints the results as one line of JSON."""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
import uuid
from typing import Any

BASE_URL, FOLDER = sys.argv[1:3]
sys.path.insert(0, FOLDER)
PARAMETERS: dict[str, Any] = {"width": 64, "height": 64, "seed": 7}


def person() -> dict[str, Any]:
    email = f"{uuid.uuid4().hex}@example.test"
    return {"email": email, "password": "a long enough passphrase 27", "name": "Ada", "token_delivery": "body"}


def loaded(package: str) -> int:
    """Imports all modules of the package; returns how many there are."""
    parent = importlib.import_module(package)
    return len([importlib.import_module(each.name) for each in pkgutil.walk_packages(parent.__path__, f"{package}.")])


def by_openapi_generator() -> list[Any]:
    import openapi_client
    from openapi_client.api.auth_api import AuthApi
    from openapi_client.api.generations_api import GenerationsApi
    from openapi_client.exceptions import ApiException

    access = openapi_client.Configuration(host=BASE_URL)
    client = openapi_client.ApiClient(access)
    signed_up = AuthApi(client).post_api_auth_signup(openapi_client.SignUpRequest(**person()))
    access.access_token = signed_up.data.access_token
    calls = GenerationsApi(client)
    request = openapi_client.MakeRequest(
        prompt="a lighthouse", model="local/canvas", parameters=openapi_client.Parameters(**PARAMETERS)
    )
    generation = calls.post_api_generate_kind("image", make_request=request, prefer="wait=20").data.generation
    found = calls.get_api_generations_generation_id(generation.id).data.generation
    listed = calls.get_api_generations(limit=5).data
    try:
        calls.get_api_generations_generation_id("gen_01M7XCN60QZZZZZZZZZZZZZZZZ")
    except ApiException as error:
        refused = [error.status, json.loads(error.body)["error"]]
    return [
        loaded("openapi_client") > 50,
        found.status,
        len(found.assets),
        [each.id == generation.id for each in listed.items],
        refused,
    ]


def by_openapi_python_client() -> list[Any]:
    import atelier_client
    from atelier_client.api.auth import post_api_auth_signup as sign_up
    from atelier_client.api.generations import get_api_generations as list_all
    from atelier_client.api.generations import get_api_generations_generation_id as get
    from atelier_client.api.generations import post_api_generate_kind as make
    from atelier_client.models import MakeRequest, Parameters, SignUpRequest

    signed_up = sign_up.sync(client=atelier_client.Client(BASE_URL), body=SignUpRequest.from_dict(person()))
    client = atelier_client.AuthenticatedClient(BASE_URL, signed_up.data.access_token, timeout=30)
    request = MakeRequest(prompt="a lighthouse", model="local/canvas", parameters=Parameters.from_dict(PARAMETERS))
    generation = make.sync("image", client=client, body=request, prefer="wait=20").data.generation
    found = get.sync(generation.id, client=client).data.generation
    listed = list_all.sync(client=client, limit=5).data
    missing = get.sync_detailed("gen_01M7XCN60QZZZZZZZZZZZZZZZZ", client=client)
    refused = [missing.status_code, missing.parsed.error]
    return [
        loaded("atelier_client") > 50,
        found.status,
        len(found.assets),
        [each.id == generation.id for each in listed.items],
        refused,
    ]


print(json.dumps({"openapi-generator": by_openapi_generator(), "openapi-python-client": by_openapi_python_client()}))
