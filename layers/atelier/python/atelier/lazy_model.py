"""The base of pydantic models that many functions import and few use: pydantic builds a model's validator when it is
first used, not when its class is defined, which takes half a millisecond for each."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict


class LazyModel(BaseModel):
    """A model that is built when it is first used. A subclass's own `model_config` is added to this one."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def of_defaults(cls) -> Self:
        """One that has the default of each field, for the default of a field of another model. `cls()` would be a first
        use, and so build the model at import."""
        return cls.model_construct()


def build_models() -> None:
    """Build all imported models: the document of the API shows defaults, which only a built model can write."""
    waiting = [LazyModel]
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        model.model_rebuild()
