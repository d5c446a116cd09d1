"""The outcome of a text or page job, the same for every provider's API."""

from __future__ import annotations

from atelier.adapters.providers._http import failure_of
from atelier.provider_port import Done, ErrorClass, Failed, FinishReason, Job, Output


def text_outcome(
    job: Job,
    text: str,
    usage: dict[str, int],
    *,
    cost_microusd: int | None = None,
    finish_reason: FinishReason | None = None,
) -> Done | Failed:
    """Done with the text as output, or the fitting outcome when the text is empty. An empty completion still counts as
    a result when the model has run: it spent its tokens on reasoning, or a stop sequence came first. Without any sign
    that the model ran, the outcome is a transient failure."""
    if text.strip():
        content_type = "text/html" if job.kind == "page" else "text/plain"
        output = Output(text.encode(errors="replace"), content_type=content_type)
        return Done((output,), usage, cost_microusd, finish_reason)
    if finish_reason is FinishReason.CONTENT_FILTER:
        return failure_of(ErrorClass.MODERATED_BILLED, usage=usage, cost_microusd=cost_microusd)
    has_run = finish_reason is FinishReason.LENGTH or (job.kind != "page" and "tokens_output" in usage)
    if has_run:
        return Done((), usage, cost_microusd, finish_reason)
    return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost_microusd)
