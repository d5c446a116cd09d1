"""template.yaml as the embedded AWS gets it: nothing is lost but what differences.py names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.local import translate
from infra.local.flatten import flatten
from infra.local.split import OBSERVING, Stacks, split
from infra.local.templates import read_template

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def local() -> dict[str, Any]:
    return translate.translate(ROOT, "artifacts")


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return read_template(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def stacks(local: dict[str, Any]) -> Stacks:
    return split(local)


def of_type(template: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in template["Resources"].items() if r["Type"] == kind}


def test_every_route_of_the_template_reaches_its_function(local: dict[str, Any], source: dict[str, Any]) -> None:
    declared: dict[str, tuple[str, bool]] = {}
    for function, properties in of_type(source, "AWS::Serverless::Function").items():
        for event in properties.get("Events", {}).values():
            if event["Type"] == "HttpApi":
                at = event["Properties"]
                key = f"{at['Method']} {at['Path']}" if "Path" in at else "$default"
                declared[key] = (function, at.get("Auth", {}).get("Authorizer") != "NONE")
    integrations = {
        name: re.findall(r"\$\{(\w+Function)\.Arn\}", json.dumps(p["IntegrationUri"]))[0]
        for name, p in of_type(local, "AWS::ApiGatewayV2::Integration").items()
        if p["ApiId"] == {"Ref": "Api"}
    }
    made: dict[str, tuple[str, bool]] = {}
    for route in of_type(local, "AWS::ApiGatewayV2::Route").values():
        if route["ApiId"] != {"Ref": "Api"}:
            continue  # The WebSocket API has resources of its own for routes, which the translation leaves alone.
        [target] = re.findall(r"\$\{(\w+)\}", route["Target"]["Fn::Sub"])
        made[route["RouteKey"]] = (integrations[target], route.get("AuthorizationType") == "CUSTOM")
    assert made == declared


def test_the_authorizers_result_is_cached_by_the_authorization_header(local: dict[str, Any]) -> None:
    [authorizer] = of_type(local, "AWS::ApiGatewayV2::Authorizer").values()
    assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
    assert authorizer["AuthorizerResultTtlInSeconds"] == 300
    assert authorizer["EnableSimpleResponses"] is True


def dangling(local: dict[str, Any]) -> set[str]:
    """What a template refers to and does not have."""
    known = set(local["Resources"]) | set(local["Parameters"])
    used = set[str]()

    def look(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, dict):
            if set(value) == {"Ref"}:
                used.add(value["Ref"])
            if set(value) == {"Fn::GetAtt"}:
                used.add(value["Fn::GetAtt"][0])
            if set(value) == {"Fn::Sub"}:
                text, named = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
                used.update(name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text) if name not in named)
            for item in value.values():
                look(item)

    look(local["Resources"])
    look(local.get("Conditions", {}))
    look(local.get("Outputs", {}))
    return {name for name in used - known if not name.startswith("AWS::")}


def test_every_reference_has_a_target_in_its_own_stack(stacks: Stacks) -> None:
    assert dangling(stacks.product) == set()
    assert dangling(stacks.observers) == set()


def test_two_stacks_have_every_resource_of_the_one_template(local: dict[str, Any], stacks: Stacks) -> None:
    product, observers = set(stacks.product["Resources"]), set(stacks.observers["Resources"])
    assert (product | observers, product & observers) == (set(local["Resources"]), set())
    assert observers == {name for name in local["Resources"] if name.startswith(OBSERVING)} != set()


def test_what_observers_are_given_is_an_output_of_the_other_stack(stacks: Stacks) -> None:
    assert set(stacks.observers["Parameters"]) <= set(stacks.product["Outputs"])
    # A metric is named by the stack whose functions write it.
    assert stacks.product["Outputs"]["ObservedAWSStackName"]["Value"] == {"Ref": "AWS::StackName"}
    assert "AWS::StackName" not in json.dumps(stacks.observers)


def test_every_resource_of_the_nested_stacks_is_translated(local: dict[str, Any]) -> None:
    for stack, file in (("Data", "data"), ("Messaging", "messaging"), ("Media", "media")):
        for name, resource in read_template(ROOT / f"infra/{file}.yaml")["Resources"].items():
            if resource["Type"] not in translate.PLACEHOLDERS:
                assert local["Resources"][stack + name]["Type"] == resource["Type"]


def test_no_stack_has_more_resources_than_cloudformation_allows(stacks: Stacks) -> None:
    # The embedded AWS holds this limit too; on AWS each nested stack has its own.
    assert len(stacks.product["Resources"]) <= 500
    assert len(stacks.observers["Resources"]) <= 500


def test_only_the_gateways_permissions_are_left_out(local: dict[str, Any]) -> None:
    callers = {each["Principal"] for each in of_type(local, "AWS::Lambda::Permission").values()}
    assert "apigateway.amazonaws.com" not in callers
    assert "events.amazonaws.com" in callers


def test_a_nested_stack_is_merged_into_its_parent(tmp_path: Path) -> None:
    child = {
        "Parameters": {"Name": {"Type": "String"}, "Size": {"Type": "Number", "Default": 3}},
        "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Size"}, 9]}},
        "Resources": {
            "Box": {
                "Type": "X",
                "Condition": "Big",
                "DependsOn": "Lid",
                "Properties": {
                    "Name": {"Fn::Sub": "${Name}-${AWS::Region}-${Lid.Arn}"},
                    "Size": {"Fn::If": ["Big", {"Ref": "Size"}, {"Ref": "AWS::NoValue"}]},
                },
            },
            "Lid": {"Type": "Y", "Properties": {}},
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Lid", "Arn"]}}},
    }
    (tmp_path / "child.yaml").write_text(json.dumps(child))
    nested = {"TemplateURL": "child.yaml", "Parameters": {"Name": {"Ref": "Stage"}}}
    parent = {
        "Resources": {
            "Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": nested},
            "User": {"Type": "Z", "Properties": {"Of": {"Fn::Sub": "${Inner.Outputs.Arn}/*"}}},
        }
    }
    flat = flatten(parent, tmp_path, dropped_stack="None")
    assert flat["Conditions"] == {"InnerBig": {"Fn::Equals": [3, 9]}}
    box = flat["Resources"]["InnerBox"]
    assert (box["Condition"], box["DependsOn"]) == ("InnerBig", ["InnerLid"])
    assert box["Properties"] == {
        "Name": {"Fn::Sub": ["${Name}-${AWS::Region}-${InnerLid.Arn}", {"Name": {"Ref": "Stage"}}]},
        "Size": {"Fn::If": ["InnerBig", 3, {"Ref": "AWS::NoValue"}]},
    }
    assert flat["Resources"]["User"]["Properties"]["Of"] == {
        "Fn::Sub": ["${InnerOutputsArn}/*", {"InnerOutputsArn": {"Fn::GetAtt": ["InnerLid", "Arn"]}}]
    }
