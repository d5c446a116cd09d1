"""Our frozen classes are created at a tenth of the cost and behave like the standard library's frozen dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from atelier.dataclass import COMPILE_AFTER
from atelier.dataclass import dataclass as ours

T = TypeVar("T")
Decorator = Callable[..., Any]


def classes(dataclass: Decorator) -> tuple[Any, Any, Any]:
    """The same three classes, made by either decorator."""

    @dataclass(frozen=True, slots=True)
    class Place:
        """Where."""

        LIMIT: ClassVar[int] = 7
        x: int
        y: int = 0
        tags: tuple[str, ...] = ()
        notes: dict[str, int] = field(default_factory=dict[str, int], compare=False)
        secret: str = field(default="s", repr=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

        def __post_init__(self) -> None:
            if self.x > self.LIMIT:
                raise ValueError("too far")

    @dataclass(frozen=True, slots=True)
    class Box(Generic[T]):  # noqa: PLW1641 - its hash is the decorator's
        content: T
        size: int = field(default=1, kw_only=True)

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Box) and self.size == other.size

    @dataclass(frozen=True, slots=True)
    class Named(Place):
        name: str = "?"

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Limits:
        low: int
        high: int = 9

    Place.Limits = Limits
    return Place, Box, Named


STANDARD = classes(dataclasses.dataclass)


@pytest.fixture(params=["its first objects", "one of many"])
def made(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """The classes made by ours: new ones, and ones with so many objects that the faster constructor is in use."""
    found = classes(ours)
    if request.param == "one of many":
        for each in (*found, found[0].Limits):
            for _ in range(COMPILE_AFTER + 1):
                each(low=1) if each is found[0].Limits else each(1)
    return found


# Operations on the three classes; both decorators must give the same result.
DEEDS: dict[str, Callable[[Any, Any, Any], object]] = {
    "defaults": lambda place, box, named: (place(1).y, place(1).tags, place(1).notes, place(1).sum, place.LIMIT),
    "a factory for each": lambda place, box, named: place(1).notes is place(1).notes,
    "by name": lambda place, box, named: repr(place(y=2, x=1)),
    "equal": lambda place, box, named: (place(1) == place(1, 0), place(1) == place(2), place(1) != place(1)),
    "what is not compared": lambda place, box, named: place(1, notes={"a": 1}) == place(1, notes={"b": 2}),
    "of another class": lambda place, box, named: (place(1) == 1, place(1) == named(1), place(1).__eq__(1)),
    "hash": lambda place, box, named: (hash(place(1, 2)), {place(1): "a"}[place(1)]),
    "hash of a class with its own equality": lambda place, box, named: hash(box(1)),
    "its own equality": lambda place, box, named: (box(1) == box(2), box(1) == box(1, size=2)),
    "shown": lambda place, box, named: (repr(place(1)), str(box("b")), repr(named(1, name="n"))),
    "fields": lambda place, box, named: [
        [(each.name, each.init, each.compare, each.kw_only) for each in dataclasses.fields(of)]
        for of in (place, box, named)
    ],
    "changed": lambda place, box, named: repr(dataclasses.replace(place(1), y=5)),
    "as a mapping": lambda place, box, named: dataclasses.asdict(named(1, tags=("a",))),
    "copied": lambda place, box, named: (repr(copy.copy(place(1))), repr(copy.deepcopy(named(3)))),
    "inherited": lambda place, box, named: (named(1, 2).sum, isinstance(named(1), place), named(1) == named(1)),
    "generic": lambda place, box, named: (box[int].__origin__ is box, box.__parameters__),
    "match": lambda place, box, named: (place.__match_args__, box.__match_args__, named.__match_args__),
    "is a frozen dataclass": lambda place, box, named: (
        dataclasses.is_dataclass(place), place.__dataclass_params__.frozen,
    ),
    "room": lambda place, box, named: (hasattr(place(1), "__dict__"), sorted(place.__slots__)),
    "given by name": lambda place, box, named: (repr(place.Limits(low=1)), place.Limits.__match_args__),
    "named": lambda place, box, named: (place.__name__, place.__qualname__, place.__module__, place.__doc__),
}  # fmt: skip

# Operations that must raise the same error with the same message.
REFUSALS: dict[str, tuple[Callable[[Any, Any, Any], object], type[Exception]]] = {
    "a change": (lambda place, box, named: setattr(place(1), "x", 2), FrozenInstanceError),
    "a deletion": (lambda place, box, named: delattr(place(1), "x"), FrozenInstanceError),
    "too little": (lambda place, box, named: place(), TypeError),
    "too much": (lambda place, box, named: place(1, 2, (), {}, "s", 6), TypeError),
    "an unknown name": (lambda place, box, named: place(1, z=2), TypeError),
    "only by name": (lambda place, box, named: box(1, 2), TypeError),
    "what is to be named": (lambda place, box, named: place.Limits(1), TypeError),
    "what its own check refuses": (lambda place, box, named: place(8), ValueError),
    "an order": (lambda place, box, named: place(1) < place(2), TypeError),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_frozen_class_behaves_as_a_standard_dataclass(made: tuple[Any, Any, Any], deed: str) -> None:
    assert DEEDS[deed](*made) == DEEDS[deed](*STANDARD)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_frozen_class_raises_the_errors_of_a_standard_dataclass(made: tuple[Any, Any, Any], refusal: str) -> None:
    deed, error = REFUSALS[refusal]
    with pytest.raises(error) as said:
        deed(*STANDARD)
    with pytest.raises(error) as raised:
        deed(*made)
    assert str(raised.value) == str(said.value)


@ours(frozen=True, slots=True)
class Packed:
    x: int
    y: str = "y"


def test_a_frozen_class_refuses_new_attributes() -> None:
    with pytest.raises(FrozenInstanceError):
        Packed(1).__setattr__("z", 2)


def test_a_frozen_object_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Packed(1))) == Packed(1)


def test_a_frozen_class_keeps_its_annotations_after_many_objects() -> None:
    assert all(Packed(1) for _ in range(COMPILE_AFTER + 1))
    assert Packed.__init__.__annotations__ == {"x": "int", "y": "str", "return": None}
