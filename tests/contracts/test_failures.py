"""Every refusal and fault of every simulator, through its adapter: the outcome is what the provider documents, and
nothing is sent twice."""

from __future__ import annotations

import re

import pytest

from atelier.provider_port import ErrorClass, Failed, PollOutcome, Unknown
from infra.simulators.all import simulator_class
from infra.simulators.kit.faults import UNKNOWN, Fault, Refusal
from tests.contracts.cases import (
    FAILURE_CASES,
    HANG,
    REMOTE_PROVIDERS,
    ROWS,
    SILENCE_SECONDS_MAX,
    FailureCase,
    RunningProviders,
    adapter,
)
from tests.polling import wait_until
from tests.provider_jobs import outcome_of

# Words about our account at a provider, which no message for a caller may have.
ACCOUNT_WORDS = re.compile(r"credit|quota|\bplan\b|billing|balance|org-", re.IGNORECASE)


@pytest.mark.parametrize("tried", FAILURE_CASES, ids=str)
def test_a_failure_has_its_documented_outcome_and_is_sent_once(providers: RunningProviders, tried: FailureCase) -> None:
    case = providers.case(tried.model, tried.kind)
    simulator = case.simulator
    assert simulator is not None
    provider, job = case.provider, case.job(f"a fox [[{tried.marker}]]", settings=tried.settings)
    if tried.marker == HANG:
        impatient = adapter(case.provider_id, simulator, answer_seconds_max=SILENCE_SECONDS_MAX)
        outcome = outcome_of(impatient, job)
        # The time-out may end before the simulator has read the request.
        wait_until(lambda: simulator.jobs_begun)
    else:
        outcome = outcome_of(provider, job)
    assert case.submitted_jobs == 1
    assert len(simulator.calls) == 1 or not tried.marker.startswith("create:")
    assert simulator.jobs_begun == (0 if isinstance(tried.expected, Refusal) else 1)

    if tried.expected.error_class == UNKNOWN:
        assert isinstance(outcome, Unknown), outcome
        found = provider.find(job)
        # Where a provider has no list to find the job in, only a webhook could still tell of it.
        assert (found is not None) == case.model.list_for_reconcile
        assert not provider.resend_safe
    else:
        check_failure(outcome, tried, case.provider_id)


def check_failure(outcome: PollOutcome, tried: FailureCase, provider_id: str) -> None:
    assert isinstance(outcome, Failed), outcome
    assert outcome.error_class is ErrorClass(tried.expected.error_class)
    assert outcome.message
    assert not {provider_id, "simulator"} & set(re.findall(r"\w+", outcome.message.lower()))
    assert not ACCOUNT_WORDS.search(outcome.message)
    assert all(type(count) is int and count >= 0 for count in outcome.usage.values())
    if isinstance(tried.expected, Fault):
        if tried.expected.is_billed:
            assert any(outcome.usage.values()) or outcome.cost_microusd
        elif tried.expected.is_billed is False:
            assert not outcome.usage
            assert not outcome.cost_microusd
        assert outcome.retry_after_seconds is None
        return
    wait = tried.expected.retry_after_seconds
    if callable(tried.expected.answer):
        # The answer names a point in time in whole seconds, and a second may pass before it is sent.
        assert wait is not None
        assert outcome.retry_after_seconds in (wait - 1, wait, wait + 1)
    else:
        assert outcome.retry_after_seconds == wait


@pytest.mark.parametrize("provider_id", REMOTE_PROVIDERS)
def test_each_row_of_a_provider_is_one_refusal_or_fault_of_a_fitting_class(provider_id: str) -> None:
    simulated = simulator_class(provider_id)
    rows = [each.row for each in (*simulated.refusals.values(), *simulated.faults.values()) if each.row]
    assert len(rows) == len(set(rows))
    assert rows
    assert set(rows) <= ROWS.keys()
    for each in (*simulated.refusals.values(), *simulated.faults.values()):
        assert each.row is None or each.error_class in ROWS[each.row]


@pytest.mark.parametrize("provider_id", REMOTE_PROVIDERS)
def test_every_refusal_and_fault_of_a_provider_is_tried(provider_id: str) -> None:
    simulated = simulator_class(provider_id)
    tried = {case.marker for case in FAILURE_CASES if case.model.startswith(f"{provider_id}/")}
    assert tried == {*simulated.faults, *map("create:{}".format, simulated.refusals)}
