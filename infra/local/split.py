"""Divides the flat template in two stacks. The embedded AWS holds CloudFormation's limit of 500 resources in a stack,
and locally all nested stacks are in one: so what nothing else refers to is a stack of its own, deployed second."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from infra.local.templates import Template

Json = Any
# How the names begin of what no other resource refers to: the nested stacks that observe the others, and the routes.
OBSERVING = ("Observability", "Objectives", "Dashboards", "ApiRoute")
_SUB_NAME = re.compile(r"\$\{([^!}][^}]*)\}")


@dataclass(frozen=True, slots=True)
class Stacks:
    """product: the template that is deployed first. observers: the second one, whose parameters are outputs of the
    first one, under the same names."""

    product: Template
    observers: Template


def split(template: Template) -> Stacks:
    """Moves the resources and conditions that OBSERVING names into a template of their own."""
    product: Template = {**template}
    observers: Template = {key: template[key] for key in ("AWSTemplateFormatVersion",) if key in template}
    for section in ("Resources", "Conditions", "Mappings"):
        entries = template.get(section, {})
        product[section] = {name: value for name, value in entries.items() if not name.startswith(OBSERVING)}
        observers[section] = {name: value for name, value in entries.items() if name.startswith(OBSERVING)}
    references = _References(set(observers["Resources"]))
    for section in ("Resources", "Conditions"):
        observers[section] = {name: references.replace(value) for name, value in observers[section].items()}
    observers["Parameters"] = {name: {"Type": "String"} for name in references.values}
    product["Outputs"] = {**template["Outputs"], **{n: {"Value": value} for n, value in references.values.items()}}
    return Stacks(product, observers)


class _References:
    """Replaces references to what is not `own` by references to parameters. values: what each parameter has to be
    given, as an expression of the other template."""

    def __init__(self, own: set[str]) -> None:
        self._own = own
        self.values: dict[str, Json] = {}

    def replace(self, value: Json) -> Json:
        if isinstance(value, list):
            return [self.replace(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return {"Ref": self._name(value["Ref"])}
        if set(value) == {"Fn::GetAtt"}:
            name, attribute = value["Fn::GetAtt"]
            return value if name in self._own else {"Ref": self._name(f"{name}.{attribute}")}
        if set(value) == {"Fn::Sub"}:
            text, named = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
            text = _SUB_NAME.sub(lambda each: each[0] if each[1] in named else f"${{{self._name(each[1])}}}", text)
            return {"Fn::Sub": [text, self.replace(named)] if named else text}
        return {key: self.replace(item) for key, item in value.items()}

    def _name(self, reference: str) -> str:
        """The name for `Resource` or `Resource.Attribute`: itself, or the parameter that stands for it."""
        resource, _, attribute = reference.partition(".")
        if resource in self._own or reference in ("AWS::Region", "AWS::AccountId", "AWS::Partition", "AWS::NoValue"):
            return reference
        name = "Observed" + re.sub(r"\W", "", reference)
        self.values[name] = {"Fn::GetAtt": [resource, attribute]} if attribute else {"Ref": reference}
        return name
