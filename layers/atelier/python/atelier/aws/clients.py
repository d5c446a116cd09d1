"""SDK clients, one per service and process, made when first used: a cold start pays only for what it calls."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

USER_AGENT = "atelier"


@cache
def session() -> Session:
    """The process's one session: every further one would read botocore's data again, some 70 ms of a cold start.

    Of botocore's 127 event handlers, which take 8 ms to register, it has those that are for every service, and for one
    service when its first client is made. Its clients say who they are in one word: botocore puts a sentence about the
    machine together anew for each request, a quarter of what a request costs here."""
    import botocore.config
    import botocore.session
    from botocore.credentials import CredentialResolver, EnvProvider

    class Sparing(botocore.session.Session):
        def __init__(self) -> None:
            super().__init__(include_builtin_handlers=False)
            self._handled = {""}
            _register("", self)
            self.set_default_client_config(botocore.config.Config(user_agent=USER_AGENT))
            environment = EnvProvider()
            if environment.load() is not None:
                # As in Lambda. It is the first place to look anyway; to set up the other ones takes 3 ms.
                self.register_component("credential_provider", CredentialResolver([environment]))

        def create_client(self, service_name: str, *args: Any, **named: Any) -> BaseClient:
            if service_name not in self._handled:
                self._handled.add(service_name)
                _register(service_name, self)
            return super().create_client(service_name, *args, **named)

    return Sparing()


def _register(service: str, on: Session) -> None:
    """Botocore's handlers of one service's events, or those of all services' ("")."""
    from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST

    events = on.get_component("event_emitter")
    ways = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for event, handler, *order in BUILTIN_HANDLERS:
        kind, _, whose = event.partition(".")
        if whose.partition(".")[0] == service and kind != "docs":
            (ways[order[0]] if order else events.register)(event, handler)


@cache
def client(service: str) -> Any:
    """A low-level client with short time-outs and bounded retries. Endpoint and region come from the environment."""
    import botocore.config

    config = botocore.config.Config(
        connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"}
    )
    made: BaseClient = session().create_client(service, config=config)
    return made
