"""The session with fewer event handlers behaves as botocore's own, for every service that Atelier calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.handlers import BUILTIN_HANDLERS
from urllib3.response import HTTPResponse

from atelier.adapters.aws.clients import session

PRODUCT = Path(__file__).parents[3] / "layers/atelier/python/atelier"
CALLED = {
    found for path in PRODUCT.rglob("*.py") for found in re.findall(r'\bclient\("([a-z0-9-]+)"\)', path.read_text())
}


@pytest.fixture
def sparing() -> Iterator[botocore.session.Session]:
    session.cache_clear()
    yield session()
    session.cache_clear()


def heard(made: Any, event: str) -> list[Any]:
    """The handlers of a client's event."""
    emitter = made.meta.events._emitter
    return list(emitter._handlers.prefix_search(made.meta.events._alias_event_name(event)))


@pytest.mark.parametrize("service", sorted(CALLED | {"dynamodb"}))
def test_a_client_has_the_event_handlers_of_botocores_own_client(
    sparing: botocore.session.Session, service: str
) -> None:
    place = {"region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    ours, theirs = (each.create_client(service, **place) for each in (sparing, botocore.session.Session()))
    name = theirs.meta.service_model.service_id.hyphenize()
    events = {event for event, *_ in BUILTIN_HANDLERS if not event.startswith("docs.")}
    parts = [event.split(".") for event in events]
    patterns = [".".join([part[0], name, *(part[2:] if part[1:2] == [name] else ["Any"])]) for part in parts]
    assert {event: names(heard(ours, event)) for event in patterns} == {
        event: names(heard(theirs, event)) for event in patterns
    }
    assert {"s3", "sqs", "stepfunctions"} <= CALLED


def names(handlers: list[Any]) -> list[str]:
    """The handlers' names: some handlers are another object for each client."""
    return sorted(getattr(handler, "__qualname__", type(handler).__name__) for handler in handlers)


def test_a_client_sends_a_one_word_user_agent(sparing: botocore.session.Session) -> None:
    config = Config(parameter_validation=False)
    made = sparing.create_client("sqs", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b", config=config)
    sent: list[Any] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request.headers["User-Agent"])
        return AWSResponse(request.url, 200, {}, HTTPResponse(BytesIO(b"{}"), preload_content=False))

    made.meta.events.register_first("before-send.sqs", answer)
    made.list_queues()
    # Powertools, if it was imported, adds its own words.
    assert [said.split()[0] for said in sent] == [b"atelier"]
    assert b"lang/python" not in sent[0]


def test_credentials_are_read_from_the_lambda_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "SESSION_TOKEN": "c"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    session.cache_clear()
    assert session().get_credentials().get_frozen_credentials()[:3] == ("a", "b", "c")
    session.cache_clear()


def test_credentials_of_an_aws_profile_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = d\naws_secret_access_key = e\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    session.cache_clear()
    assert session().get_credentials().get_frozen_credentials()[:2] == ("d", "e")
    session.cache_clear()
