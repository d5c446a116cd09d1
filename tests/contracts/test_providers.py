"""One contract suite over every provider and kind: what routing, attempts and finishing rely on."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from PIL import Image

from atelier.adapters.media.fetch import Fetcher
from atelier.provider_port import (
    Accepted,
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Job,
    ListedModel,
    Pending,
    PollOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)
from tests.contracts.cases import (
    CATALOGUE,
    IMAGE_SIZE,
    MODELS_TESTED,
    PROVIDERS,
    REMOTE_PROVIDERS,
    ProviderCase,
    RunningProviders,
    adapter,
)
from tests.polling import wait_until
from tests.provider_jobs import outcome_of
from tests.webhook_receiver import webhook_receiver

ENDS = (Done, Failed, Cancelled)
ASYNCHRONOUS = [
    served
    for served in MODELS_TESTED
    if served[0].startswith(("replicate/", "fal/")) or served[1] in ("video", "upscale")
]
# Providers that can cancel a running job.
CANCELLABLE = ("fal", "replicate")
WITH_WEBHOOKS = [("replicate/sdxl", "image"), ("fal/flux-schnell", "image"), ("fal/wan-2.5", "video")]
PICTURES = [
    served for served in MODELS_TESTED if served[1] == "image" and CATALOGUE.model(served[0]).parameters.get("width")
]
OUTSIDE = [served for served in MODELS_TESTED if not served[0].startswith("local/")]
HOW_LONG_SECONDS = 600


@pytest.fixture
def case(request: pytest.FixtureRequest, providers: RunningProviders) -> ProviderCase:
    return providers.case(*request.param)


def each(served: list[tuple[str, str]] | tuple[tuple[str, str], ...] = MODELS_TESTED) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", served, indirect=True, ids="-".join)


def done(case: ProviderCase, work: Job) -> Done:
    end = outcome_of(case.provider, work)
    assert isinstance(end, Done), end
    return end


def files(case: ProviderCase, end: Done) -> list[bytes]:
    fetcher = Fetcher(local_hosts=case.local_hosts)
    return [
        fetcher.fetch(output.url or "", hosts=case.model.output_hosts) if output.data is None else output.data
        for output in end.outputs
    ]


# ---- results ---------------------------------------------------------------------------------------------------------


@each()
def test_each_output_of_a_job_is_either_bytes_or_a_url(case: ProviderCase) -> None:
    end = done(case, case.job())
    assert all((output.data is None) != (output.url is None) for output in end.outputs)
    (file,) = files(case, end)
    signs = {
        "image": (b"\x89PNG", b"\xff\xd8\xff", b"RIFF"),
        "audio": (b"ID3", b"\xff\xfb", b"\xff\xf3", b"RIFF"),
        "video": (b"\0\0\0",),
    }
    assert file
    assert file.startswith(signs.get(case.kind, b""))
    texts = {"text": "text/plain", "page": "text/html"}
    if case.kind in texts:
        assert end.outputs[0].content_type == texts[case.kind]


@each(PICTURES)
def test_an_image_has_the_requested_size(case: ProviderCase) -> None:
    (file,) = files(case, done(case, case.job()))
    assert Image.open(io.BytesIO(file)).size == IMAGE_SIZE


@each([served for served in PICTURES if CATALOGUE.model(served[0]).parameters.get("n")])
def test_a_job_returns_the_requested_number_of_images(case: ProviderCase) -> None:
    found = files(case, done(case, case.job(n=3)))
    assert [Image.open(io.BytesIO(file)).size for file in found] == [IMAGE_SIZE] * 3


@each(
    [served for served in PICTURES if "seed" in CATALOGUE.model(served[0]).parameters and served[0] != "custom/llama"]
)
def test_a_seed_reproduces_an_image(case: ProviderCase) -> None:
    first, second = (files(case, done(case, case.job(seed=7))) for _ in "12")
    assert first == second


@each()
def test_usage_and_cost_are_integers_that_the_catalogue_can_settle(case: ProviderCase) -> None:
    work = case.job()
    end = done(case, work)
    assert all(type(count) is int and count >= 0 for count in end.usage.values())
    assert end.cost_microusd is None or type(end.cost_microusd) is int
    bill = CATALOGUE.settle(
        case.model.id,
        work.parameters,
        "succeeded",
        prompt=work.prompt,
        delivered=1,
        usage=end.usage,
        reported_microusd=end.cost_microusd,
    )
    held = CATALOGUE.price(case.model.id, work.parameters, prompt=work.prompt).credits
    assert 0 <= bill.credits <= held
    assert (bill.credits > 0) == (case.provider_id != "custom")
    # A cost reported by the provider goes before one computed from usage, and that before the estimate.
    sources = {"xai": "provider"}
    assert bill.cost_source in (sources.get(case.provider_id, "usage"), "estimate")
    if end.cost_microusd is not None:
        assert (bill.cost_microusd, bill.cost_source) == (end.cost_microusd, "provider")


@each()
def test_no_prompt_raises_an_exception(case: ProviderCase) -> None:
    for prompt in ("", "\0", "🦊 " * 200, "'; DROP TABLE", "[[", "[[no:such]]", "ends in a backslash\\"):
        assert isinstance(outcome_of(case.provider, case.job(prompt)), (*ENDS, Unknown))


# ---- rejected requests and failures ----------------------------------------------------------------------------------


@each(OUTSIDE)
def test_a_submission_that_cannot_be_sent_is_transient(case: ProviderCase) -> None:
    assert case.simulator is not None
    case.simulator.stop()
    end = case.provider.submit(case.job())
    assert isinstance(end, Failed)
    # A custom endpoint fails in the same way, although its address could also have been refused.
    assert end.error_class is ErrorClass.TRANSIENT


@each()
def test_an_unknown_model_fails_as_model_gone(case: ProviderCase) -> None:
    gone = {"anthropic": "claude-gone", "local": "nothing"}
    settings = {
        **case.model.settings,
        "version": "0" * 64,
        "app": "gone/model",
        "path": "/v2beta/gone",
        "model": gone.get(case.provider_id, "0000"),
    }
    end = outcome_of(case.provider, replace(case.job(), model=f"{case.provider_id}/nothing", settings=settings))
    assert isinstance(end, Failed)
    assert end.error_class is ErrorClass.MODEL_GONE


# ---- running jobs ----------------------------------------------------------------------------------------------------


@each(ASYNCHRONOUS)
def test_a_running_job_is_pending_with_a_progress_below_100(case: ProviderCase) -> None:
    work = case.job("a fox [[run:hang]]")
    answer = case.provider.submit(work)
    assert isinstance(answer, Accepted)
    progress = case.provider.poll(answer.reference, work)
    assert isinstance(progress, Pending)
    assert 0 <= progress.progress < 100


@each(ASYNCHRONOUS)
def test_an_unanswered_poll_or_cancellation_leaves_the_outcome_open(case: ProviderCase) -> None:
    work = case.job()
    answer = case.provider.submit(work)
    assert isinstance(answer, Accepted)
    assert case.simulator is not None
    revoked = adapter(case.provider_id, case.simulator, key="another-key")
    assert isinstance(revoked.poll(answer.reference, work), Unknown)
    case.simulator.stop()
    assert isinstance(case.provider.poll(answer.reference, work), Unknown)
    is_cancellable = case.provider_id in CANCELLABLE
    assert case.provider.cancel(answer.reference) is (
        CancelResult.PENDING if is_cancellable else CancelResult.UNSUPPORTED
    )


@each(ASYNCHRONOUS)
def test_a_running_job_is_cancelled_if_its_provider_supports_it(case: ProviderCase) -> None:
    work = case.job("a fox [[run:hang]]")
    answer = case.provider.submit(work)
    assert isinstance(answer, Accepted)
    result = case.provider.cancel(answer.reference)
    if result is CancelResult.UNSUPPORTED:
        assert case.provider_id not in CANCELLABLE
        assert isinstance(case.provider.poll(answer.reference, work), Pending)
        return
    assert result in (CancelResult.CANCELLED, CancelResult.PENDING)

    def look() -> PollOutcome | None:
        progress = case.provider.poll(answer.reference, work)
        return None if isinstance(progress, Pending) else progress

    assert isinstance(wait_until(look), Cancelled)
    assert case.submitted_jobs == 1


@each()
def test_a_finished_job_is_too_late_to_cancel(case: ProviderCase) -> None:
    work = case.job()
    answer = case.provider.submit(work)
    if isinstance(answer, Accepted):
        wait_until(lambda: not isinstance(case.provider.poll(answer.reference, work), Pending))
    reference = answer.reference if isinstance(answer, Accepted) else work.attempt_id
    assert case.provider.cancel(reference) in (CancelResult.TOO_LATE, CancelResult.UNSUPPORTED)


@each()
def test_an_unknown_reference_never_raises(case: ProviderCase) -> None:
    for reference in ("nobody-gave-this-out", "", "../../v1/files", "a/b?c=d#e", "🦊"):
        assert isinstance(case.provider.poll(reference, case.job()), (*ENDS, Unknown))
        assert isinstance(case.provider.cancel(reference), CancelResult)


@each()
def test_a_submitted_job_is_found_if_its_provider_has_a_list(case: ProviderCase) -> None:
    work = case.job()
    answer = case.provider.submit(work)
    found = case.provider.find(work)
    assert (found is not None) == (case.model.list_for_reconcile or case.provider.resend_safe)
    if isinstance(answer, Accepted) and found is not None:
        assert found == answer.reference


@each()
def test_only_the_local_provider_is_safe_to_resend(case: ProviderCase) -> None:
    assert case.provider.resend_safe is (case.provider_id == "local")


# ---- webhooks --------------------------------------------------------------------------------------------------------


@each(WITH_WEBHOOKS)
def test_a_webhook_has_the_same_outcome_as_a_poll(case: ProviderCase) -> None:
    with webhook_receiver() as receiver:
        work = case.job(webhook=f"{receiver.url}/hook")
        answer = case.provider.submit(work)
        assert isinstance(answer, Accepted)
        ((_, headers, body),) = receiver.wait_for(1)
        event = case.provider.parse_webhook(headers, body, int(time.time()), work)
        polled = case.provider.poll(answer.reference, work)
        assert isinstance(event.progress, Done)
        assert isinstance(polled, Done)
        # fal's webhook does not report the run time.
        usage = polled.usage if case.provider_id == "replicate" else event.progress.usage
        assert (event.reference, event.progress) == (answer.reference, replace(polled, usage=usage))
        assert event.event_id


@each(WITH_WEBHOOKS)
def test_a_webhook_delivered_twice_has_one_id(case: ProviderCase) -> None:
    with webhook_receiver() as receiver:
        case.provider.submit(case.job("a fox [[webhook:twice]]", webhook=receiver.url))
        now = int(time.time())
        events = [case.provider.parse_webhook(headers, body, now) for _, headers, body in receiver.wait_for(2)]
        assert len({event.event_id for event in events}) == 1


@each(WITH_WEBHOOKS)
@pytest.mark.parametrize("how", ["forged", "stale"])
def test_a_forged_or_a_stale_webhook_is_invalid(case: ProviderCase, how: str) -> None:
    with webhook_receiver() as receiver:
        case.provider.submit(case.job(f"a fox [[webhook:{how}]]", webhook=receiver.url))
        ((_, headers, body),) = receiver.wait_for(1)
        with pytest.raises(WebhookInvalid):
            case.provider.parse_webhook(headers, body, int(time.time()))


@each(WITH_WEBHOOKS)
def test_a_webhook_read_at_another_time_or_with_a_changed_body_is_invalid(case: ProviderCase) -> None:
    with webhook_receiver() as receiver:
        case.provider.submit(case.job(webhook=receiver.url))
        ((_, headers, body),) = receiver.wait_for(1)
        now = int(time.time())
        assert isinstance(case.provider.parse_webhook(headers, body, now), WebhookEvent)
        for at, read in (
            (now + HOW_LONG_SECONDS, body),
            (now - HOW_LONG_SECONDS, body),
            (now, body + b" "),
            (now, body.replace(b'"', b"'", 1)),
            (now, b""),
        ):
            with pytest.raises(WebhookInvalid):
                case.provider.parse_webhook(headers, read, at)


@each(WITH_WEBHOOKS)
def test_a_webhook_of_another_job_is_invalid_or_has_another_reference(case: ProviderCase) -> None:
    with webhook_receiver() as receiver:
        theirs, mine = case.job("theirs", webhook=receiver.url), case.job("mine")
        case.provider.submit(theirs)
        answer = case.provider.submit(mine)
        assert isinstance(answer, Accepted)
        ((_, headers, body),) = receiver.wait_for(1)
        try:
            event = case.provider.parse_webhook(headers, body, int(time.time()), mine)
        except WebhookInvalid:
            return
        # A webhook without the job's input is told apart by its reference.
        assert event.reference != answer.reference


@each()
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "msg_1", "webhook-timestamp": "soon", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": "\udcff"},
        {"x-fal-webhook-request-id": "r", "x-fal-webhook-user-id": "simulator-user", "x-fal-webhook-timestamp": "1000"},
    ],
)
def test_an_unsigned_webhook_is_invalid_for_every_provider(case: ProviderCase, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookInvalid):
        case.provider.parse_webhook(headers, b'{"id": "abc", "status": "succeeded"}', 1000)


# ---- the key check and the list of models ----------------------------------------------------------------------------


@pytest.mark.parametrize("provider_id", sorted(PROVIDERS))
def test_the_key_check_starts_no_job_and_reports_a_wrong_key(providers: RunningProviders, provider_id: str) -> None:
    case = providers.case(*next(served for served in MODELS_TESTED if served[0].startswith(provider_id)))
    assert case.provider.check() is None
    if case.simulator is None:
        return
    refused = adapter(provider_id, case.simulator, key="another-key").check()
    assert refused is not None
    assert refused.error_class is ErrorClass.AUTH
    assert case.submitted_jobs == 0
    case.simulator.stop()
    silent = case.provider.check()
    assert silent is not None
    assert silent.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize("provider_id", sorted(PROVIDERS))
def test_a_list_of_models_is_none_when_it_cannot_be_read(providers: RunningProviders, provider_id: str) -> None:
    case = providers.case(*next(served for served in MODELS_TESTED if served[0].startswith(provider_id)))
    for answering in (True, False):
        listed = case.provider.models()
        assert listed is None or all(isinstance(model, ListedModel) and model.name for model in listed)
        assert answering or listed is None
        if case.simulator is not None and answering:
            case.simulator.stop()


def test_every_provider_of_the_catalogue_is_in_this_suite() -> None:
    assert {model.provider for model in CATALOGUE.data.models} == PROVIDERS == {*REMOTE_PROVIDERS, "local"}
