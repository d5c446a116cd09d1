"""The first page, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.home import DynamoHomeReads
from atelier.settings import Deployment
from atelier.wiring import articles, deployments, generations, identity, ledger, notifications, workshops


@cache
def reads() -> DynamoHomeReads:
    """What the page is made of; each context binds its items to their tables."""
    generations.store()
    identity.accounts()
    ledger.wallets()
    notifications.store()
    workshops.workshops()
    deployments.store()
    return DynamoHomeReads(articles.articles())


def base_url() -> str:
    """The address of the deployment."""
    return Deployment.read().public_url
