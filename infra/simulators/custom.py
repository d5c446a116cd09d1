"""A simulator for an endpoint of a workspace's own: OpenAI's API under another name.

python -m infra.simulators.custom --port 9105        # prints its URL, serves until it is stopped
"""

from __future__ import annotations

from typing import ClassVar

from infra.simulators.kit.faults import Fault
from infra.simulators.kit.server import main
from infra.simulators.openai import RESPONSE_FAULTS, OpenAISimulator


class CustomSimulator(OpenAISimulator):
    """An endpoint with OpenAI's API, stood in for. The platform has no key for it."""

    example_marker = "create:429"
    tried_with = (
        ("custom/llama", "text"),
        ("custom/llama", "page"),
        ("custom/llama", "image"),
        ("custom/llama", "audio"),
    )
    # Such an endpoint's texts are chats.
    further_apis: ClassVar[dict[str, str]] = {}
    faults: ClassVar[dict[str, Fault]] = {
        marker: fault for marker, fault in OpenAISimulator.faults.items() if marker not in RESPONSE_FAULTS
    }
    on_platform = False


SIMULATOR = CustomSimulator

if __name__ == "__main__":
    main(SIMULATOR, "custom")
