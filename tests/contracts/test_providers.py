"""One suite over every provider: what routing, attempts and finishing rely on, whoever does the work."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.media.fetch import Fetcher
from atelier.pricing.catalogue import catalogue
from atelier.pricing.model import Model
from atelier.providers._contract import (
    Accepted,
    Cancelled,
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Job,
    Pending,
    Progress,
    Provider,
    Unknown,
    WebhookInvalid,
)
from atelier.providers.local import Local
from atelier.providers.replicate import Replicate
from infra.local.standins.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateStandIn

ALL = catalogue(frozenset({"local", "replicate"}))
ENDS = (Done, Failed, Cancelled)


@dataclass(frozen=True)
class Case:
    """A provider as the product meets it: with its catalogue entry, and where its results may come from."""

    provider: Provider
    model: Model
    local_hosts: frozenset[str] = frozenset()

    def job(self, prompt: str = "a fox in the snow", **parameters: Any) -> Job:
        completed, _ = ALL.offers(
            "image", self.model.id, {"width": 512, "height": 640} | parameters, today=system_clock().date(), seed=11
        )
        return Job(
            new_id("att", system_clock()),
            "image",
            self.model.id,
            prompt,
            parameters=completed,
            settings=self.model.settings,
            run_seconds_max=self.model.run_seconds_max,
        )


@pytest.fixture(params=["local/canvas", "replicate/sdxl"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    model = ALL.model(request.param)
    if model.provider == "local":
        yield Case(Local(), model)
        return
    with ReplicateStandIn(run_seconds=0.02) as stand_in:
        provider = Replicate(api_token=API_TOKEN, webhook_secret=WEBHOOK_SECRET, base_url=stand_in.url)
        yield Case(provider, model, frozenset({stand_in.host}))


def finished(case: Case, work: Job) -> Progress:
    """The end of a job, whether its provider answers at once or is asked until it does."""
    answer = case.provider.submit(work)
    if not isinstance(answer, Accepted):
        return answer
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        progress = case.provider.poll(answer.reference, work)
        if not isinstance(progress, Pending):
            return progress
    raise AssertionError("the job never ended")


def pictures(case: Case, done: Progress) -> list[Image.Image]:
    assert isinstance(done, Done), done
    fetcher = Fetcher(local_hosts=case.local_hosts)
    files = [
        fetcher.fetch(output.url or "", hosts=case.model.output_hosts) if output.data is None else output.data
        for output in done.outputs
    ]
    return [Image.open(io.BytesIO(file)) for file in files]


@pytest.mark.parametrize("n", [1, 4])
def test_a_job_gives_as_many_pictures_of_the_size_as_were_asked_for(case: Case, n: int) -> None:
    found = pictures(case, finished(case, case.job(n=n)))
    assert [picture.size for picture in found] == [(512, 640)] * n


def test_the_same_job_gives_the_same_picture(case: Case) -> None:
    first, second = (pictures(case, finished(case, case.job())) for _ in "12")
    assert [picture.tobytes() for picture in first] == [picture.tobytes() for picture in second]


def test_each_output_is_bytes_or_a_url_and_never_both(case: Case) -> None:
    done = finished(case, case.job(n=2))
    assert isinstance(done, Done)
    assert all((output.data is None) != (output.url is None) for output in done.outputs)


def test_usage_and_cost_are_integers_that_the_catalogue_can_settle(case: Case) -> None:
    work = case.job()
    done = finished(case, work)
    assert isinstance(done, Done)
    assert all(type(count) is int and count >= 0 for count in done.usage.values())
    assert done.cost_microusd is None or type(done.cost_microusd) is int
    end = ALL.settle(case.model.id, work.parameters, "succeeded", delivered=1, usage=done.usage)
    assert 0 < end.credits <= ALL.price(case.model.id, work.parameters).credits


def test_any_prompt_is_taken_without_an_exception(case: Case) -> None:
    for prompt in ("", "\0", "🦊 " * 500, "'; DROP TABLE", "[[", "[[no:such]]", "ends in a backslash\\"):
        assert isinstance(finished(case, case.job(prompt)), ENDS)


def test_a_model_it_does_not_know_is_an_outcome_and_no_exception(case: Case) -> None:
    settings = {**case.model.settings, "version": "0" * 64}
    failed = finished(case, replace(case.job(), model=f"{case.model.provider}/nothing", settings=settings))
    assert isinstance(failed, Failed)
    assert failed.error_class is ErrorClass.MODEL_GONE


def test_a_finished_job_is_too_late_to_cancel(case: Case) -> None:
    work = case.job()
    answer = case.provider.submit(work)
    reference = answer.reference if isinstance(answer, Accepted) else case.provider.find(work)
    assert reference is not None
    while not isinstance(case.provider.poll(reference, work), ENDS):
        pass
    assert case.provider.cancel(reference) in (CancelResult.TOO_LATE, CancelResult.UNSUPPORTED)


def test_a_reference_nobody_gave_out_is_an_outcome_and_no_exception(case: Case) -> None:
    assert isinstance(case.provider.poll("nobody-gave-this-out", case.job()), (*ENDS, Unknown))
    assert isinstance(case.provider.cancel("nobody-gave-this-out"), CancelResult)


def test_a_submitted_job_can_be_found_again(case: Case) -> None:
    work = case.job()
    answer = case.provider.submit(work)
    found = case.provider.find(work)
    assert found is not None
    assert not isinstance(answer, Accepted) or found == answer.reference


def test_what_is_safe_to_resend_says_so_and_what_is_not_was_never_sent_twice(case: Case) -> None:
    assert case.provider.resend_safe is (case.model.provider == "local")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "msg_1", "webhook-timestamp": "soon", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": "\udcff"},
    ],
)
def test_an_unsigned_webhook_is_invalid_for_everybody(case: Case, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookInvalid):
        case.provider.parse_webhook(headers, b'{"id": "abc", "status": "succeeded"}', 1000)
