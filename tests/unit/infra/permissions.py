"""Writes PERMISSIONS.md: what each function and state machine of template.yaml may do, whatever policy says so.

A test compares the file with the template, so a change of permissions shows in the diff, and a change of the template's
form that changes no permission leaves the file as it is. `python -m tests.unit.infra.permissions` writes it anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from infra.local.templates import Template, read_template

ROOT = Path(__file__).parents[3]
TABLE = Path(__file__).with_name("PERMISSIONS.md")
HEAD = """# What each function and state machine may do

Written by `PYTHONPATH=layers/atelier/python .venv/bin/python -m tests.unit.infra.permissions`; a test compares it with
template.yaml. What SAM adds (logs, traces, reading the stream or queue of an event) is left out.
"""
OWNERS = ("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
_MACHINES = {"GenerateMedia": "generate-media", "RunPipeline": "run-pipeline", "WriteExport": "write-export"}


def statements(template: Template, owner: str) -> list[dict[str, Any]]:
    """The statements of the function or state machine `owner`: its own, and those of the managed policies it names."""
    found: list[dict[str, Any]] = []
    for policy in template["Resources"][owner]["Properties"].get("Policies", []):
        managed = template["Resources"][policy["Ref"]] if "Ref" in policy else None
        found += (managed["Properties"]["PolicyDocument"] if managed else policy)["Statement"]
    return found


def listed(value: Any) -> list[Any]:
    """A policy's value that may be one or several."""
    return value if isinstance(value, list) else [value]


def resource_name(resource: Any) -> str:
    """A resource as a reader knows it: without `Data.Outputs.` and `Arn`; a state machine by its name."""
    if isinstance(resource, str):
        return resource
    [(function, value)] = resource.items()
    if function == "Fn::If":
        condition, granted, _nothing = value
        return f"{resource_name(granted)} if {condition}"
    if function == "Ref":
        return f"state machine {_MACHINES[value]}" if value in _MACHINES else value
    text = ".".join(value) if isinstance(value, list) else value
    machine = re.fullmatch(r".*:stateMachine:\$\{AWS::StackName\}-([a-z-]+)", text)
    if machine:
        return f"state machine {machine[1]}"
    return re.sub(r"\$\{([^}]*)\}", r"\1", text).replace("Arn", "").replace(".Outputs", "").removesuffix(".")


def permissions(template: Template, owner: str) -> list[str]:
    """One line for each resource, with the actions that are allowed on it."""
    allowed: dict[str, set[str]] = defaultdict(set)
    for statement in statements(template, owner):
        where = f" where {statement['Condition']}" if "Condition" in statement else ""
        for resource in listed(statement["Resource"]):
            allowed[resource_name(resource) + where] |= set(listed(statement["Action"]))
    return [f"- `{resource}`: {', '.join(sorted(actions))}" for resource, actions in sorted(allowed.items())]


def table(template: Template) -> str:
    """The text of PERMISSIONS.md."""
    owners = sorted(name for name, resource in template["Resources"].items() if resource["Type"] in OWNERS)
    parts = ["\n".join([f"\n## {owner}\n", *permissions(template, owner)]) for owner in owners]
    return "\n".join([HEAD.rstrip(), *parts]) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(read_template(ROOT / "template.yaml")))
