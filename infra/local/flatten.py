"""Merges nested stacks into their parent: the emulator can create a nested stack, but cannot update one that has a
table's StreamArn among its outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.templates import Template, read_template

Json = Any
_SUB_NAME = re.compile(r"\$\{([^!}][^}]*)\}")


def flatten(template: Template, root: Path, dropped_stack: str) -> Template:
    """The template with its nested stacks replaced by their resources, which are named `<stack><resource>`.

    The stack `left_out` is removed, with the outputs that refer to it. Paths of templates are relative to `root`."""
    outputs: dict[str, Json] = {}
    for stack, resource in list(template["Resources"].items()):
        if resource["Type"] != "AWS::CloudFormation::Stack":
            continue
        del template["Resources"][stack]
        if stack == dropped_stack:
            continue
        nested = read_template(root / resource["Properties"]["TemplateURL"])
        child = _ReferenceRewriter(stack, nested, resource["Properties"].get("Parameters", {}))
        for section in ("Resources", "Conditions", "Mappings"):
            for name, value in nested.get(section, {}).items():
                template.setdefault(section, {})[stack + name] = child.rewrite(value)
        for name, output in nested.get("Outputs", {}).items():
            outputs[f"{stack}.Outputs.{name}"] = child.rewrite(output["Value"])
    declared_outputs = template.get("Outputs", {})
    template["Outputs"] = {
        name: output for name, output in declared_outputs.items() if not _refers_to(output, dropped_stack)
    }
    return _resolve_outputs(template, outputs)


def _refers_to(value: Json, stack: str) -> bool:
    if isinstance(value, dict):
        return any(_refers_to(item, stack) for item in value.values())
    if isinstance(value, list):
        return any(_refers_to(item, stack) for item in value)
    return isinstance(value, str) and (value == stack or f"{stack}.Outputs" in value)


class _ReferenceRewriter:
    """Rewrites a nested template's references: names get the stack's name before them, parameters their values."""

    def __init__(self, stack: str, nested: Template, arguments: Mapping[str, Json]) -> None:
        self._stack = stack
        self._resources = set(nested["Resources"])
        self._arguments = {n: arguments.get(n, p.get("Default")) for n, p in nested.get("Parameters", {}).items()}

    def rewrite(self, value: Json) -> Json:
        if isinstance(value, list):
            return [self.rewrite(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Ref"}:
            return self._ref(value["Ref"])
        if set(value) == {"Fn::GetAtt"}:
            name, attribute = _split_attribute(value["Fn::GetAtt"])
            return {"Fn::GetAtt": [self._stack + name, attribute]}
        if set(value) == {"Fn::Sub"}:
            return self._sub(value["Fn::Sub"])
        if set(value) == {"Fn::FindInMap"}:
            table, *keys = value["Fn::FindInMap"]
            return {"Fn::FindInMap": [self._stack + table, *self.rewrite(keys)]}
        if set(value) == {"Fn::If"}:
            condition, *branches = value["Fn::If"]
            return {"Fn::If": [self._stack + condition, *self.rewrite(branches)]}
        rewritten = {key: self.rewrite(item) for key, item in value.items()}
        if "Type" in value and isinstance(value.get("Condition"), str):
            rewritten["Condition"] = self._stack + value["Condition"]
        if "Type" in value and "DependsOn" in value:
            names = value["DependsOn"] if isinstance(value["DependsOn"], list) else [value["DependsOn"]]
            rewritten["DependsOn"] = [self._stack + name for name in names]
        return rewritten

    def _ref(self, name: str) -> Json:
        if name in self._arguments:
            return self._arguments[name]
        return {"Ref": self._stack + name if name in self._resources else name}

    def _sub(self, value: Json) -> Json:
        text, variables = value if isinstance(value, list) else (value, {})
        named = {name: self.rewrite(item) for name, item in variables.items()}

        def rename(match: re.Match[str]) -> str:
            name, dot, attribute = match[1].partition(".")
            if name in named:
                return match[0]
            if name in self._arguments:
                named[name] = self._arguments[name]
                return match[0]
            return f"${{{self._stack + name if name in self._resources else name}{dot}{attribute}}}"

        text = _SUB_NAME.sub(rename, text)
        return {"Fn::Sub": [text, named]} if named else {"Fn::Sub": text}


def _resolve_outputs(value: Json, outputs: Mapping[str, Json]) -> Json:
    """Replaces each reference to a nested stack's output by the output's value."""
    if isinstance(value, list):
        return [_resolve_outputs(item, outputs) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::GetAtt"}:
        name = ".".join(_split_attribute(value["Fn::GetAtt"]))
        return _resolve_outputs(outputs[name], outputs) if name in outputs else value
    if set(value) == {"Fn::Sub"}:
        text, variables = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else (value["Fn::Sub"], {})
        named = {name: _resolve_outputs(item, outputs) for name, item in variables.items()}
        for name in set(_SUB_NAME.findall(text)) & set(outputs):
            alias = name.replace(".", "")
            named[alias] = _resolve_outputs(outputs[name], outputs)
            text = text.replace(f"${{{name}}}", f"${{{alias}}}")
        return {"Fn::Sub": [text, named]} if named else {"Fn::Sub": text}
    return {key: _resolve_outputs(item, outputs) for key, item in value.items()}


def _split_attribute(value: Json) -> tuple[str, str]:
    name, _, attribute = (value if isinstance(value, str) else ".".join(value)).partition(".")
    return name, attribute
