"""The base of pydantic models that many functions import and few use: pydantic builds a model's validator when it is
first used, not when its class is defined, which takes half a millisecond for each."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LazyModel(BaseModel):
    """A model that is built when it is first used. A subclass's own `model_config` is added to this one."""

    model_config = ConfigDict(defer_build=True)
