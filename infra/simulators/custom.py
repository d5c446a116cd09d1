"""A simulator for an endpoint of a workspace's own: OpenAI's API under another name.

python -m infra.simulators.custom --port 9105        # prints its URL, serves until it is stopped
"""

from __future__ import annotations

from infra.simulators.kit.server import main
from infra.simulators.openai import OpenAISimulator


class CustomSimulator(OpenAISimulator):
    """An endpoint with OpenAI's API, stood in for. The platform has no key for it."""

    example_marker = "create:429"
    on_platform = False


SIMULATOR = CustomSimulator

if __name__ == "__main__":
    main(SIMULATOR, "custom")
