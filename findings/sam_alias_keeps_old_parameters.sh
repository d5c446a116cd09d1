#!/bin/bash
# aws-sam-translator 1.115.0: a function with `AutoPublishAlias` and `AutoPublishAliasAllProperties: true` gets a new version
# when the text of its properties changes. A parameter that an environment variable refers to is no text: with another value
# the version keeps its name, CloudFormation publishes none, and the alias goes on with the old value, while $LATEST has the
# new one. Whoever needs an alias (SnapStart, provisioned concurrency) writes the parameters into a property, for example the
# description, by a value that the build computes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check aws-sam-translator==1.115.0
AWS_DEFAULT_REGION=us-east-1 "$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import copy

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

TEMPLATE = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Limit": {"Type": "String"}},
    "Resources": {
        "Greet": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "Runtime": "python3.13",
                "Handler": "app.handler",
                "CodeUri": "s3://bucket/key",
                "AutoPublishAlias": "live",
                "AutoPublishAliasAllProperties": True,
                "Environment": {"Variables": {"LIMIT": {"Ref": "Limit"}}},
            },
        }
    },
}


def version(template, parameters):
    session = boto3.Session(region_name="us-east-1")
    translated = Translator({}, Parser(), boto_session=session).translate(copy.deepcopy(template), parameters)
    return next(name for name, each in translated["Resources"].items() if each["Type"] == "AWS::Lambda::Version")


written = copy.deepcopy(TEMPLATE)
written["Resources"]["Greet"]["Properties"]["Environment"]["Variables"]["LIMIT"] = "20"
ten, twenty, text = version(TEMPLATE, {"Limit": "10"}), version(TEMPLATE, {"Limit": "20"}), version(written, {"Limit": "20"})
print(f"the parameter is 10: {ten}")
print(f"the parameter is 20: {twenty}")
print(f"20 is written in the template: {text}")
if ten != twenty:
    raise SystemExit("changed: another value of a parameter publishes a version")
if text == ten:
    raise SystemExit("changed: another text publishes no version")
PYTHON
