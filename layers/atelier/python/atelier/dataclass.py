"""`dataclass(frozen=True, slots=True)` at a tenth of its cost, for classes that are imported more often than used.

The standard decorator generates and compiles half a dozen methods for each class when the class is defined, which takes
0.7 ms. A Lambda function imports a hundred such classes and creates objects of only a few. Here all classes share their
methods. `__init__` cannot be shared; it is compiled once a class has created more than COMPILE_AFTER objects. The
resulting class behaves like one of the standard decorator, which type checkers see in its place."""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, FrozenInstanceError
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False):
        """The decorator. `frozen` and `slots` must be true: other dataclasses are not supported."""
        assert frozen
        assert slots
        return partial(_build_class, kw_only=kw_only)


_standard: Any = dataclasses.dataclass


def _build_class(cls: type, *, kw_only: bool) -> type:
    if any(dataclasses.is_dataclass(base) for base in cls.__bases__):
        return _standard(frozen=True, slots=True, kw_only=kw_only)(cls)
    declared = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    # A class without a docstring would get its signature as one, and computing that takes 0.1 ms.
    cls.__doc__ = cls.__doc__ or cls.__name__
    fields = dataclasses.fields(_standard(init=False, repr=False, eq=False, kw_only=kw_only)(cls))
    assert all(field.init for field in fields), "every field is given"
    names = tuple(field.name for field in fields)
    kept = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__", *names)}
    shared = {name: method for name, method in _METHODS.items() if declared.get(name) is None}
    own = {
        "__slots__": names,
        "__qualname__": cls.__qualname__,
        "__dataclass_params__": _FROZEN,
        "__compared__": tuple(field.name for field in fields if field.compare),
        "__shown__": tuple(field.name for field in fields if field.repr),
    }
    built = type(cls)(cls.__name__, cls.__bases__, {**kept, **shared, **own})
    if "__init__" not in declared:
        built.__init__ = _interpreted_init(built)
    return built


# The number of objects of a class that are created slowly (5 µs each) before its `__init__` is compiled (200 µs).
COMPILE_AFTER = 16


def _interpreted_init(made: Any) -> Any:
    """An `__init__` for the first COMPILE_AFTER objects; afterwards it replaces itself by the compiled one. The
    compiled one is used earlier when the arguments do not match, because it raises the usual TypeError."""
    count = 0

    def first(self: Any, *arguments: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        values = _bind_arguments(dataclasses.fields(made), arguments, named) if count <= COMPILE_AFTER else None
        if values is None:
            made.__init__ = _compiled_init(made)
            self.__init__(*arguments, **named)
            return
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if hasattr(made, "__post_init__"):
            self.__post_init__()

    return first


def _bind_arguments(
    fields: tuple[dataclasses.Field[Any], ...], arguments: tuple[Any, ...], named: dict[str, Any]
) -> dict[str, Any] | None:
    """The value of each field by name, in the order of the fields; None when the arguments do not match the fields."""
    values: dict[str, Any] = {}
    remaining, taken = list(arguments), 0
    for field in fields:
        if remaining and not field.kw_only:
            if field.name in named:
                return None
            values[field.name] = remaining.pop(0)
        elif field.name in named:
            values[field.name] = named[field.name]
            taken += 1
        elif field.default is not MISSING:
            values[field.name] = field.default
        elif field.default_factory is not MISSING:
            values[field.name] = field.default_factory()
        else:
            return None
    return None if remaining or taken < len(named) else values


def _compiled_init(made: Any) -> Any:
    fields = dataclasses.fields(made)
    values: dict[str, Any] = {"set": object.__setattr__, "MISSING": MISSING}
    positional, named, lines = ["self"], ["*"], list[str]()
    for field in fields:
        name, default, made_by = field.name, f"default_{field.name}", f"new_{field.name}"
        parameter, value = name, name
        if field.default is not MISSING:
            values[default] = field.default
            parameter = f"{name}={default}"
        elif field.default_factory is not MISSING:
            values[made_by] = field.default_factory
            parameter, value = f"{name}=MISSING", f"{made_by}() if {name} is MISSING else {name}"
        (named if field.kw_only else positional).append(parameter)
        lines.append(f"    set(self, {name!r}, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("    self.__post_init__()")
    parameters = ", ".join([*positional, *(named if len(named) > 1 else [])])
    # The source consists of the field names of our own classes only: no text from outside is executed.
    exec(f"def __init__({parameters}):\n" + "\n".join(lines or ["    pass"]), values)  # nosec B102
    init = values["__init__"]
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return init


def _compare_key(value: Any) -> tuple[Any, ...]:
    return tuple([getattr(value, name) for name in value.__compared__])


def _eq(self: Any, other: object) -> Any:
    return _compare_key(self) == _compare_key(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_compare_key(self))


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name in self.__shown__)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__slots__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)


_METHODS = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Model:
    pass


_FROZEN = vars(_Model)["__dataclass_params__"]
