"""`/v1/audio/speech`: map a text to an audio generation that speaks it."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from atelier.catalogue.parameters import SPEED, VOICE_CHARACTERS_MAX
from atelier.generations.model import Kind
from atelier.lazy_model import LazyModel
from atelier.openai_api import sse
from atelier.openai_api.request import MappedRequest, ModelName, OpenAIRequest, set_fields
from atelier.openai_api.result import Result

CHARACTERS_MAX = 4096
FIELD_NAMES = {"prompt": "input", "format": "response_format"}


class VoiceId(LazyModel):
    model_config = ConfigDict(extra="forbid")

    id: str


class SpeechRequest(OpenAIRequest):
    """The request body: a text and the voice that speaks it."""

    model: ModelName
    input: Annotated[str, Field(min_length=1, max_length=CHARACTERS_MAX)]
    voice: Annotated[str, Field(min_length=1, max_length=VOICE_CHARACTERS_MAX)] | VoiceId | None = None
    instructions: str | None = None
    response_format: str | None = None
    speed: Annotated[float, Field(ge=SPEED[0], le=SPEED[1])] | None = None
    stream_format: Literal["audio", "sse"] | None = None

    @property
    def stream(self) -> bool:
        """Whether the caller wants server-sent events."""
        return self.stream_format == "sse"

    def to_mapped_request(self) -> MappedRequest:
        """The request in our terms. Raises UnsupportedParameter, ValidationFailed."""
        voice = self.voice.id if isinstance(self.voice, VoiceId) else self.voice
        parameters = set_fields(
            voice=voice, instructions=self.instructions or None, speed=self.speed, format=self.response_format
        )
        return MappedRequest(Kind.AUDIO, self.input, self.model, parameters, {}, FIELD_NAMES, self.ignored_fields())


def stream(result: Result) -> bytes:
    """The response body of a streaming request: the audio in base64 as server-sent events."""
    usage = result.usage
    token_counts = {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    deltas: list[dict[str, Any]] = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(file).decode()} for file in result.files
    ]
    return sse.named_event_stream([*deltas, {"type": "speech.audio.done", "usage": token_counts}])
