"""The stream of the sites table, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.sites.changes import leftovers as leftovers
from atelier.adapters.aws.dynamodb.sites.changes import mentions as mentions
from atelier.adapters.aws.dynamodb.sites.pages import DynamoPages
from atelier.adapters.aws.dynamodb.sites.parts import DynamoParts
from atelier.adapters.aws.dynamodb.sites.sites import DynamoSites
from atelier.adapters.aws.events import EventBridgeBus
from atelier.clock import system_clock
from atelier.feeds.publish import BusAndFeeds
from atelier.settings import EventBus, LibraryTable, SitesTable
from atelier.sites.remove_leftovers import LeftoverKind, Remover
from atelier.wiring.feeds import feeds


@cache
def publisher() -> BusAndFeeds:
    """The event bus and the feeds of the workspaces."""
    return BusAndFeeds(EventBridgeBus(EventBus.read().name), feeds(), system_clock)


@cache
def leftover_deps() -> dict[LeftoverKind, Remover]:
    """What removes leftovers."""
    table = SitesTable.read().name
    pages = DynamoPages(table)
    sites = DynamoSites(table, LibraryTable.read().name, pages)
    return {LeftoverKind.SITE: sites, LeftoverKind.PAGE: pages, LeftoverKind.PART: DynamoParts(table)}
