"""Reads CloudFormation templates as plain data: `!Ref A` is {"Ref": "A"}, `!GetAtt A.B` {"Fn::GetAtt": ["A", "B"]}."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Template = dict[str, Any]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TemplateLoader(_Loader):
    pass


def _intrinsic(loader: Any, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_TemplateLoader.add_multi_constructor("!", _intrinsic)


def read_template(path: Path) -> Template:
    """The template; raises yaml.YAMLError. The loader is a safe one that knows the tags of intrinsic functions."""
    return yaml.load(path.read_text("utf-8"), _TemplateLoader)  # nosec B506
