"""OpenAI: text by the Responses API or by chat, pictures made and changed, speech, and the free moderation check.

Facts that shape this file: picture models answer with base64 only, and are billed by the tokens that the answer names;
nothing has a webhook, a cancellation or a list to look into, so an answer that is lost stays lost; the list of models
carries shutdown dates.
"""

from __future__ import annotations

from atelier.providers._contract import Job
from atelier.providers._openai_shape import Answer, OpenAIShape, bearer, objects
from atelier.providers._wire import NoAnswer, NotSent, Wire

MODERATION_SECONDS_MAX = 10.0


class OpenAI(OpenAIShape):
    """`api` in a model's settings: responses, chat, images (which edits where the job brings a picture) or speech.
    `moderation_model` judges texts; without it, OpenAI's default does."""

    tokens_max_field = "max_completion_tokens"

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.openai.com/v1",
        moderation_model: str | None = None,
        answer_seconds_max: float = 50.0,
    ) -> None:
        super().__init__(Wire(base_url, bearer(api_key), answer_seconds_max=answer_seconds_max))
        self._moderation_model = moderation_model

    def moderate(self, texts: list[str]) -> bool | None:
        """Whether any of these is against the rules; None when nobody said. Free."""
        order: Answer = {"input": texts}
        if self._moderation_model:
            order["model"] = self._moderation_model
        try:
            reply = self._wire.ask("POST", "/moderations", body=order, answer_seconds_max=MODERATION_SECONDS_MAX)
        except (NotSent, NoAnswer):
            return None
        results = objects(reply.json().get("results")) if reply.ok else []
        if any(result.get("flagged") is True for result in results):
            return True
        cleared = [result for result in results if result.get("flagged") is False]
        return False if cleared and len(cleared) == len(results) else None

    def _measures(self, job: Job) -> Answer:
        given = job.parameters
        names = ("background", "output_format", "output_compression")
        return super()._measures(job) | {name: given[name] for name in names if given.get(name) is not None}
