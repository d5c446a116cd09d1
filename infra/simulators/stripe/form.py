"""Parameters as Stripe takes them: form fields with nested names, read by the shape that an operation declares.

A shape is `str`, `int`, `bool`, `float`, a `Choice` of words, `MAP` (free names with texts), a dict of shapes by name,
a list with the shape of its elements, or a `OneOf` several. An empty text unsets a parameter: it is read as None.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from infra.simulators.stripe.errors import ParameterError, StripeError, missing_parameter, unknown_parameters

# Free names with texts, as in `metadata`.
MAP = "map"
METADATA_KEYS_MAX, METADATA_KEY_MAX, METADATA_VALUE_MAX = 50, 40, 500


@dataclass(frozen=True)
class Choice:
    """One of these words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class OneOf:
    """The first of these shapes that reads the value."""

    shapes: tuple[Any, ...]


def choice(*words: str) -> Choice:
    return Choice(words)


def one_of(*shapes: Any) -> OneOf:
    return OneOf(shapes)


def parse_form(text: str) -> dict[str, Any]:
    """The nested fields of a form: `a[b]=1&c[0]=2&d[]=3` → {"a": {"b": "1"}, "c": {"0": "2"}, "d": {"0": "3"}}."""
    fields: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *inner = re.findall(r"^[^\[\]]+|\[[^\[\]]*\]", name) or [name]
        steps = [head, *(part[1:-1] for part in inner)]
        _put(fields, steps, value)
    return fields


def _put(fields: dict[str, Any], steps: list[str], value: str) -> None:
    """`x[]` begins a new element, unless an object is being filled whose next field is still free."""
    for step, following in itertools.pairwise(steps):
        last = str(len(fields) - 1)
        open_object = fields.get(last)
        is_free = isinstance(open_object, dict) and following != "" and following not in open_object
        place = step or (last if is_free else str(len(fields)))
        inner = fields.setdefault(place, {})
        if not isinstance(inner, dict):
            raise ParameterError(400, f"Invalid object: {steps[0]}", param=steps[0])
        fields = inner
    fields[steps[-1] if steps[-1] != "" else str(len(fields))] = value


def read_parameters(shape: dict[str, Any], fields: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The typed parameters of a request. Raises StripeError for unknown, missing and invalid ones."""
    unknown: list[str] = []
    values = _read_object({"expand": [str], **shape}, fields, "", unknown)
    if unknown:
        raise unknown_parameters(unknown)
    for name in required:
        if values.get(name) is None:
            raise missing_parameter(name)
    return values


def _read(shape: Any, value: Any, name: str, unknown: list[str]) -> Any:
    match shape:
        case OneOf():
            return _read_one_of(shape, value, name, unknown)
        case _ if value == "":
            return None
        case dict():
            return _read_object(shape, _object(value, name), name, unknown)
        case list():
            return _read_list(shape[0], value, name, unknown)
        case "map":
            return _read_map(_object(value, name), name)
        case _ if not isinstance(value, str):
            raise ParameterError(400, f"Invalid string: {value}", param=name)
        case Choice():
            if value not in shape.words:
                *most, last = shape.words
                words = f"{', '.join(most)}, or {last}" if most else last
                raise ParameterError(400, f"Invalid {name}: must be one of {words}", param=name)
            return value
        case _:
            return _read_scalar(shape, value, name)


def _read_scalar(shape: Any, value: str, name: str) -> Any:
    if shape is bool:
        if value not in ("true", "false", "True", "False"):
            raise ParameterError(400, f"Invalid boolean: {value}", param=name)
        return value in ("true", "True")
    if shape is int:
        if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
            raise ParameterError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        return int(value)
    if shape is float:
        if not re.fullmatch(r"-?\d{1,12}(\.\d{1,12})?", value, re.ASCII):
            raise ParameterError(400, f"Invalid decimal: {value}", param=name)
        return float(value)
    return value


def _read_one_of(shape: OneOf, value: Any, name: str, unknown: list[str]) -> Any:
    for index, option in enumerate(shape.shapes):
        found: list[str] = []
        try:
            result = _read(option, value, name, found)
        except StripeError:
            if index == len(shape.shapes) - 1:
                raise
            continue
        unknown += found
        return result
    return None


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ParameterError(400, "Invalid object", param=name)
    return value


def _read_object(shape: dict[str, Any], fields: dict[str, Any], name: str, unknown: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in fields.items():
        full = f"{name}[{key}]" if name else key
        if key not in shape:
            unknown.append(full)
        else:
            values[key] = _read(shape[key], value, full, unknown)
    return values


def _read_list(shape: Any, value: Any, name: str, unknown: list[str]) -> list[Any]:
    elements = _object(value, name)
    if not all(re.fullmatch(r"\d{1,4}", key, re.ASCII) for key in elements):
        raise ParameterError(400, "Invalid array", param=name)
    ordered = sorted(elements.items(), key=lambda each: int(each[0]))
    return [_read(shape, each, f"{name}[{key}]", unknown) for key, each in ordered]


def _read_map(fields: dict[str, Any], name: str) -> dict[str, str]:
    if len(fields) > METADATA_KEYS_MAX:
        raise ParameterError(400, f"Metadata can have at most {METADATA_KEYS_MAX} keys", param=name)
    for key, value in fields.items():
        if not isinstance(value, str):
            raise ParameterError(400, f"Metadata values must be strings, but for key '{key}' you passed in an object")
        if len(key) > METADATA_KEY_MAX or len(value) > METADATA_VALUE_MAX:
            text = f"Metadata keys have at most {METADATA_KEY_MAX} characters and values at most {METADATA_VALUE_MAX}"
            raise ParameterError(400, text, param=f"{name}[{key}]")
    return dict(fields)
