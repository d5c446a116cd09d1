"""Studio, the web console: an ASGI application, a client of the API that imports no product code."""

from __future__ import annotations

from studio.application import handler

__all__ = ["handler"]
