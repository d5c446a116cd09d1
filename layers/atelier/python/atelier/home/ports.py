"""Ports of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atelier.articles.model import ShownArticle
from atelier.deployments.model import SiteDeployment
from atelier.home.model import RecentGeneration
from atelier.ledger.model import Wallet
from atelier.workshops.model import Enrolment, Workshop


class HomeReads(Protocol):
    """What the page is made of. Each call reads at most `limit` items, with eventual consistency; newest first."""

    def person(self, user_id: str, workspace_id: str) -> tuple[str, Wallet, int]:
        """The person's persona and number of unread notifications, and the workspace's wallet."""
        ...

    def generations(self, workspace_id: str, limit: int) -> Sequence[RecentGeneration]: ...

    def teaching(self, workspace_id: str, limit: int) -> Sequence[Workshop]: ...

    def learning(self, user_id: str, limit: int) -> Sequence[tuple[Workshop, Enrolment]]: ...

    def deployments(self, workspace_id: str, limit: int) -> Sequence[SiteDeployment]: ...

    def articles(self, limit: int) -> Sequence[ShownArticle]: ...
