"""SDK clients, one per service and process, created at first use, so that a cold start pays only for those it uses."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

USER_AGENT = "atelier"


@cache
def session() -> Session:
    """The process's only session. A second one would read botocore's data again, about 70 ms of a cold start.

    Registering all 127 event handlers of botocore takes 8 ms. This session registers the handlers for all services at
    once, and those of one service when its first client is created. The clients have a short fixed user agent, because
    botocore otherwise builds a description of the machine for each request, a quarter of what a request costs here."""
    import botocore.config
    import botocore.session
    from botocore.credentials import CredentialResolver, EnvProvider

    class LeanSession(botocore.session.Session):
        def __init__(self) -> None:
            super().__init__(include_builtin_handlers=False)
            self._handled = {""}
            _register("", self)
            self.set_default_client_config(botocore.config.Config(user_agent=USER_AGENT))
            environment = EnvProvider()
            if environment.load() is not None:
                # In Lambda the credentials are in the environment, which botocore reads first anyway. Setting up its
                # other credential providers takes 3 ms.
                self.register_component("credential_provider", CredentialResolver([environment]))

        def create_client(self, service_name: str, *args: Any, **named: Any) -> BaseClient:
            if service_name not in self._handled:
                self._handled.add(service_name)
                _register(service_name, self)
            return super().create_client(service_name, *args, **named)

    return LeanSession()


def _register(service: str, target_session: Session) -> None:
    """Register botocore's handlers for the events of one service, or those for all services (`service` is "")."""
    from botocore.handlers import BUILTIN_HANDLERS, REGISTER_FIRST, REGISTER_LAST

    events = target_session.get_component("event_emitter")
    register_functions = {REGISTER_FIRST: events.register_first, REGISTER_LAST: events.register_last}
    for event, handler, *order in BUILTIN_HANDLERS:
        kind, _, event_service = event.partition(".")
        if event_service.partition(".")[0] == service and kind != "docs":
            (register_functions[order[0]] if order else events.register)(event, handler)


@cache
def client(service: str) -> Any:
    """A low-level client with short time-outs and bounded retries. Endpoint and region come from the environment."""
    import botocore.config

    config = botocore.config.Config(
        connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 4, "mode": "standard"}
    )
    new_client: BaseClient = session().create_client(service, config=config)
    return new_client
