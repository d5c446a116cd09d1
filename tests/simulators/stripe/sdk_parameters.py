"""The parameters that the pinned SDK declares for each call, read from its sources."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import typing
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import stripe
from typing_extensions import get_type_hints, is_typeddict

SOURCES = Path(stripe.__file__).parent


@cache
def sdk_parameters() -> dict[tuple[str, str], Any]:
    """The typed dict of parameters by method and path, whose variable parts are `{}`; None for a call without any."""
    found: dict[tuple[str, str], Any] = {}
    for file in sorted(SOURCES.rglob("_*_service.py")):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                call = _call(function)
                if call:
                    found[call] = _declared(function, file)
    return found


def _call(function: ast.FunctionDef) -> tuple[str, str] | None:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_request":
            method, path = (ast.unparse(argument) for argument in node.args[:2])
            literal = re.match(r"'([^']+)'", path)
            if literal:
                return ast.literal_eval(method).upper(), re.sub(r"\{\w+\}", "{}", literal[1])
    return None


def _declared(function: ast.FunctionDef, file: Path) -> Any:
    for argument in function.args.args:
        name = re.search(r"\w+Params\b", ast.unparse(argument.annotation)) if argument.annotation else None
        if argument.arg == "params" and name:
            folder = file.parent.relative_to(SOURCES).parts
            return getattr(importlib.import_module(".".join(["stripe.params", *folder])), name[0])
    return None


def unknown_parameters(shape: Any, declared: Any, path: str = "") -> list[str]:
    """The parameters of a simulator's shape that are not in the SDK's declaration."""
    if isinstance(shape, list):
        return unknown_parameters(shape[0], declared, path)
    if hasattr(shape, "shapes"):
        return [each for option in shape.shapes for each in unknown_parameters(option, declared, path)]
    if not isinstance(shape, dict):
        return []
    fields = {name: option for each in _typed_dicts(declared) for name, option in _hints(each).items()}
    found: list[str] = []
    for name, inner in shape.items():
        full = f"{path}[{name}]" if path else name
        found += unknown_parameters(inner, fields[name], full) if name in fields else [full]
    return found


def _hints(declared: Any) -> dict[str, Any]:
    options = {"Any": Any, "Mapping": typing.Mapping, "StripeContext": stripe.StripeContext}
    names = {**options, **vars(sys.modules[declared.__module__])}
    return get_type_hints(declared, names)


def _typed_dicts(declared: Any) -> list[Any]:
    """The typed dicts in a declaration: in its options, and in its lists."""
    if is_typeddict(declared):
        return [declared]
    if get_origin(declared) in (typing.Union, UnionType, list, typing.NotRequired, typing.Required):
        return [each for option in get_args(declared) for each in _typed_dicts(option)]
    return []
