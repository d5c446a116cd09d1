"""OpenAI: text by the Responses API or the chat API, generating and editing images, and speech.

Facts that shape this file: image models return base64 only and are billed by the tokens that the response reports;
there is no webhook, no cancellation and no list of requests, so a lost response cannot be found again; the list of
models carries shutdown dates.
"""

from __future__ import annotations

from typing import Unpack

from atelier.adapters.providers._http import HttpClient
from atelier.adapters.providers._openai_compatible.adapter import OpenAICompatible, bearer
from atelier.adapters.providers._openai_compatible.values import JsonObject
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import AdapterOptions, Job


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> OpenAI:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return OpenAI(api_key=credentials.key, **options)


class OpenAI(OpenAICompatible):
    """The adapter for OpenAI. `api` in a model's settings: responses, chat, images (which edits when the job has an
    input image) or speech."""

    tokens_max_field = "max_completion_tokens"

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.openai.com/v1",
        answer_seconds_max: float = 50.0,
    ) -> None:
        super().__init__(HttpClient(base_url, bearer(api_key), answer_seconds_max=answer_seconds_max))

    def _api_name(self, job: Job) -> str:
        # The Responses API has no stop sequences; the chat API has.
        api = super()._api_name(job)
        return "chat" if api == "responses" and job.parameters.get("stop") else api

    def _image_options(self, job: Job) -> JsonObject:
        parameters = job.parameters
        names = ("background", "output_format", "output_compression")
        return super()._image_options(job) | {
            name: parameters[name] for name in names if parameters.get(name) is not None
        }
