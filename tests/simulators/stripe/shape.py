"""Do the simulator's objects have the fields and types that the pinned SDK declares for them?"""

from __future__ import annotations

import inspect
import typing
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from stripe import ListObject, StripeObject
from stripe._object_classes import OBJECT_CLASSES, get_object_class
from stripe._stripe_object import UntypedStripeObject


def deviations(value: Any, declared: Any, path: str = "") -> list[str]:
    """Where a value, as JSON has it, is not what the annotation says: unknown fields, other types, other words."""
    if isinstance(value, dict) and str(value.get("object")) in OBJECT_CLASSES.keys() - {"list"}:
        return _object_deviations(value, get_object_class("V1", value["object"]), path or value["object"])
    origin = get_origin(declared)
    if origin in (typing.Union, UnionType):
        options = get_args(declared)
        # The SDK admits words of later versions; here only those of this one count.
        words = any(get_origin(option) is Literal for option in options)
        found = [deviations(value, option, path) for option in options if not (words and option is str)]
        return [] if any(not each for each in found) else min(found, key=len)
    if origin is Literal:
        return [] if value in get_args(declared) else [f"{path}: {value!r} is none of {get_args(declared)}"]
    if UntypedStripeObject in (origin, declared):
        return [] if isinstance(value, dict) else [f"{path}: {value!r} is no object"]
    if origin is list:
        return _list_deviations(value, get_args(declared)[0], path)
    if origin is ListObject or declared is ListObject:
        return _list_object_deviations(value, path)
    if isinstance(declared, type) and issubclass(declared, StripeObject):
        return _object_deviations(value, declared, path)
    return _scalar_deviations(value, declared, path)


def _scalar_deviations(value: Any, declared: Any, path: str) -> list[str]:
    if declared in (None, NoneType):
        return [] if value is None else [f"{path}: {value!r} is not null"]
    if declared in (int, bool, str, float):
        fits = type(value) is declared or (declared is float and type(value) is int)
        return [] if fits else [f"{path}: {value!r} is no {declared.__name__}"]
    if declared is Decimal:
        # JSON has a text, which the SDK turns into a number.
        return [] if isinstance(value, str | Decimal) else [f"{path}: {value!r} is no decimal text"]
    # A reference to a class by its name: an object of the API, checked by its `object` where it is one.
    return [] if isinstance(value, dict) or declared is Any else [f"{path}: {value!r} is no {declared}"]


def _list_deviations(value: Any, declared: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: {value!r} is no list"]
    return [each for index, element in enumerate(value) for each in deviations(element, declared, f"{path}[{index}]")]


def _list_object_deviations(value: Any, path: str) -> list[str]:
    if not isinstance(value, dict) or value.keys() != {"object", "data", "has_more", "url"}:
        return [f"{path}: {value!r} is no list object"]
    return [
        each for index, element in enumerate(value["data"]) for each in deviations(element, Any, f"{path}[{index}]")
    ]


def _object_deviations(value: Any, declared: type, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    fields = {
        getattr(declared, "_field_remappings", {}).get(name, name): annotation
        for each in reversed(declared.__mro__)
        for name, annotation in inspect.get_annotations(each).items()
    }
    if declared is StripeObject or not fields:
        return []
    found: list[str] = []
    for name, element in value.items():
        if name not in fields:
            found.append(f"{path}.{name}: not declared")
        else:
            found += deviations(element, fields[name], f"{path}.{name}")
    return found + [
        f"{path}.{name}: missing"
        for name, annotation in fields.items()
        if name not in value and not name.startswith("_") and name != "OBJECT_NAME" and _is_mandatory(annotation)
    ]


def _is_mandatory(annotation: Any) -> bool:
    """Whether a field that is not there is an error: one that may not be null."""
    return not (get_origin(annotation) in (typing.Union, UnionType) and NoneType in get_args(annotation))
