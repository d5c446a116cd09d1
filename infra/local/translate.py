"""template.yaml → the one flat CloudFormation template that the embedded AWS deploys.

SAM is translated by AWS's own translator. Each later step handles a difference listed in `differences.py`: nested
stacks are merged into their parent (`flatten.py`), the HTTP API's body becomes routes, resources that the emulator does
not know are left out, and policies allow task tokens to be answered. Pure: it reads the templates and deploys nothing.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.local.flatten import flatten
from infra.local.layer_packages import absent_packages
from infra.local.templates import Template, read_template
from infra.local.zygote import ABSENT_PACKAGES

Json = Any

REGION = "us-east-1"
LOCAL_KEY_PAIR_ID = "KLOCAL"
# Resource types that the emulator does not know, and the value that replaces a reference to such a resource.
PLACEHOLDERS: Mapping[str, str] = {
    "AWS::CloudFront::PublicKey": LOCAL_KEY_PAIR_ID,
    "AWS::CloudFront::KeyGroup": "local",
    "AWS::Athena::NamedQuery": "none",
    "AWS::Logs::QueryDefinition": "none",
    "AWS::CloudWatch::CompositeAlarm": "none",
}
# The beginnings of the actions that the emulator checks for every resource.
WIDENED_ACTIONS = ("states:SendTask", "ses:SendEmail", "dynamodb:ImportTable", "dynamodb:DescribeImport")
# The local edge does the work of this nested stack; outputs that refer to it are left out.
EDGE_STACK = "Edge"


class TemplateError(Exception):
    """The template uses a resource type that the local translation does not know; the text names it."""


def translate(root: Path, artifact_bucket: str) -> Template:
    """The local template of the repository at `root`.

    Code is at `s3://<artifact_bucket>/<its folder>`; `with_artifacts` replaces the folder by an archive's key."""
    template = _translate_sam(read_template(root / "template.yaml"), root, artifact_bucket)
    template = flatten(template, root, dropped_stack=EDGE_STACK)
    _expand_routes(template)
    _drop_unsupported(template)
    _drop_permissions_of_routes(template)
    _allow_on_every_resource(template)
    return template


def with_artifacts(template: Template, keys: Mapping[str, str], root: Path) -> Template:
    """The template with each code folder replaced by the S3 key of its archive. root: the repository.

    A layer whose folder has no key (dependencies) is left out: its packages come with the emulator's environment. A
    function gets a variable with the packages of layers that it does not have; its workers do without them."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    left_out: set[str] = set()
    for name, resource in resources.items():
        place = resource["Properties"].get("Content" if resource["Type"] == "AWS::Lambda::LayerVersion" else "Code")
        if resource["Type"] == "AWS::Lambda::LayerVersion" and place["S3Key"] not in keys:
            left_out.add(name)
        elif resource["Type"] in ("AWS::Lambda::LayerVersion", "AWS::Lambda::Function"):
            place["S3Key"] = keys[place["S3Key"]]
    for name in left_out:
        del resources[name]
    for resource in resources.values():
        if resource["Type"] == "AWS::Lambda::Function":
            properties = resource["Properties"]
            layers = [layer["Ref"] for layer in properties.get("Layers", [])]
            variables = properties.setdefault("Environment", {}).setdefault("Variables", {})
            variables[ABSENT_PACKAGES] = ",".join(absent_packages(root, layers))
            properties["Layers"] = [{"Ref": layer} for layer in layers if layer not in left_out]
    return template


# ---- SAM -------------------------------------------------------------------------------------------------------------


def _translate_sam(template: Template, root: Path, bucket: str) -> Template:
    import boto3
    import yaml
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        for code in ("CodeUri", "ContentUri"):
            if code in properties:
                properties[code] = {"Bucket": bucket, "Key": properties[code]}
        if "DefinitionUri" in properties:
            definition = (root / properties.pop("DefinitionUri")).read_text("utf-8")
            properties["Definition"] = yaml.safe_load(definition)
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    translated = translator.translate(template, {"AWS::Region": REGION, "AWS::Partition": "aws"})
    # The translator's result contains mapping types of its own; the emulator reads plain JSON.
    return json.loads(json.dumps(translated, default=str))


# ---- the HTTP API ----------------------------------------------------------------------------------------------------


def _expand_routes(template: Template) -> None:
    resources: dict[str, Json] = template["Resources"]
    for api, resource in list(resources.items()):
        # A WebSocket API has its routes as resources already.
        if resource["Type"] != "AWS::ApiGatewayV2::Api" or "Body" not in resource["Properties"]:
            continue
        body = resource["Properties"].pop("Body")
        resource["Properties"].pop("FailOnWarnings", None)
        resource["Properties"] |= {"Name": {"Ref": "AWS::StackName"}, "ProtocolType": "HTTP"}
        for name, scheme in body.get("components", {}).get("securitySchemes", {}).items():
            resources[f"{api}{name}Authorizer"] = _authorizer(api, name, scheme["x-amazon-apigateway-authorizer"])
        integrations: dict[str, str] = {}
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                integration = operation["x-amazon-apigateway-integration"]
                target = integrations.setdefault(
                    json.dumps(integration["uri"], sort_keys=True), f"{api}Integration{len(integrations)}"
                )
                resources[target] = _integration(api, integration)
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = "$default" if path == "$default" else f"{verb} {path}"
                guards = [name for entry in operation.get("security", []) for name in entry if name != "NONE"]
                resources[f"{api}Route{_route_name(key)}"] = _route(api, key, target, guards)


def _authorizer(api: str, name: str, declared: Json) -> Json:
    return {
        "Type": "AWS::ApiGatewayV2::Authorizer",
        "Properties": {
            "ApiId": {"Ref": api},
            "Name": name,
            "AuthorizerType": "REQUEST",
            "AuthorizerUri": declared["authorizerUri"],
            "AuthorizerPayloadFormatVersion": declared["authorizerPayloadFormatVersion"],
            "AuthorizerResultTtlInSeconds": declared["authorizerResultTtlInSeconds"],
            "EnableSimpleResponses": declared["enableSimpleResponses"],
            "IdentitySource": declared["identitySource"],
        },
    }


def _integration(api: str, declared: Json) -> Json:
    return {
        "Type": "AWS::ApiGatewayV2::Integration",
        "Properties": {
            "ApiId": {"Ref": api},
            "IntegrationType": "AWS_PROXY",
            "IntegrationMethod": declared["httpMethod"],
            "IntegrationUri": declared["uri"],
            "PayloadFormatVersion": declared["payloadFormatVersion"],
        },
    }


def _route(api: str, key: str, target: str, guards: list[str]) -> Json:
    properties: dict[str, Json] = {
        "ApiId": {"Ref": api},
        "RouteKey": key,
        "Target": {"Fn::Sub": f"integrations/${{{target}}}"},
    }
    if guards:
        properties |= {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": f"{api}{guards[0]}Authorizer"}}
    return {"Type": "AWS::ApiGatewayV2::Route", "Properties": properties}


def _route_name(route_key: str) -> str:
    """The logical name of a route: `GET /a/{b}` → `GetAB`. A greedy path (`{b+}`) gets the suffix `Below`, so that its
    name differs from that of the same path without the plus sign."""
    words = "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", route_key))
    return words + ("Below" if "+}" in route_key else "")


# ---- what is left out ------------------------------------------------------------------------------------------------


def _drop_unsupported(template: Template) -> None:
    resources = template["Resources"]
    placeholders = {name: PLACEHOLDERS[r["Type"]] for name, r in resources.items() if r["Type"] in PLACEHOLDERS}
    combined = [
        n for n, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in r["Properties"]
    ]
    for name in [*placeholders, *combined]:
        del resources[name]
    for resource in resources.values():
        if resource["Type"] == "AWS::Logs::SubscriptionFilter":
            resource["Properties"]["FilterPattern"] = ""
        # The local stage's data ends with its folder; nothing is to be retained when a resource is deleted.
        resource.pop("DeletionPolicy", None)
        resource.pop("UpdateReplacePolicy", None)
    replaced = _replace_refs(template, placeholders.get)
    template.clear()
    template.update(replaced)
    unknown = sorted({r["Type"] for r in template["Resources"].values() if r["Type"].startswith("AWS::CloudFront::")})
    if unknown:
        raise TemplateError(f"the local stack has no replacement for {', '.join(unknown)}")


def _drop_permissions_of_routes(template: Template) -> None:
    """Drops the permissions by which the gateway may call functions: the embedded AWS asks for none. On AWS each nested
    stack has its own limit of 500 resources; here all are in one template, to which the same limit applies."""
    resources: dict[str, Json] = template["Resources"]
    for name, resource in list(resources.items()):
        is_permission = resource["Type"] == "AWS::Lambda::Permission"
        if is_permission and resource["Properties"]["Principal"] == "apigateway.amazonaws.com":
            del resources[name]


def _allow_on_every_resource(template: Template) -> None:
    """Allows WIDENED_ACTIONS on every resource: on AWS the permission names the state machine of a task token, the
    sender of a mail, or the table of an import, but the emulator checks these actions without a resource."""
    documents: list[Json] = []
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Role":
            documents += [policy["PolicyDocument"] for policy in resource["Properties"].get("Policies", [])]
        elif resource["Type"] == "AWS::IAM::ManagedPolicy":
            documents.append(resource["Properties"]["PolicyDocument"])
    for document in documents:
        statements: list[Json] = document["Statement"]
        for statement in list(statements):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            widened = [action for action in actions if action.startswith(WIDENED_ACTIONS)]
            if widened:
                statements.append({"Effect": "Allow", "Action": widened, "Resource": "*"})


def _replace_refs(value: Json, placeholder_of: Callable[[str], str | None]) -> Json:
    if isinstance(value, list):
        return [_replace_refs(item, placeholder_of) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and (found := placeholder_of(value["Ref"])) is not None:
        return found
    return {key: _replace_refs(item, placeholder_of) for key, item in value.items()}
