"""Once a day: read from the providers when their models end, store the dates, and give notice of models about to end.

The dates keep requests away from a model on the day that its provider shuts it down, before they can fail. When a
provider does not answer, the dates known of it stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from atelier.catalogue.catalogue import Catalogue
from atelier.catalogue.model import Model
from atelier.catalogue.ports import Sunsets, SunsetStore
from atelier.dataclass import dataclass
from atelier.provider_port import ListedModel, Provider
from atelier.telemetry import logger, put_count

# Days before the end at which the operator gets a notice; from 0 on the model is no longer offered.
NOTICE_DAYS = (0, 7, 30, 60)


@dataclass(frozen=True, slots=True)
class Notice:
    """A model that ends soon, or has ended: sent once at each step of WARNED_AT, later when a daily run was missed."""

    model: str
    provider: str
    sunset_at: date
    days_left: int
    successor: str | None


@dataclass(frozen=True, slots=True)
class SunsetReport:
    """What one run found: how many providers published a list, and the notices to send."""

    lists: int
    notices: tuple[Notice, ...]


def refresh_sunsets(
    catalogue: Catalogue, providers: Mapping[str, Provider], store: SunsetStore, today: date
) -> SunsetReport:
    """Read the list of every provider that is set up, store its dates, and find the notices to send. Safe to repeat."""
    known = store.read()
    lists, notices = 0, list[Notice]()
    for provider in sorted(catalogue.enabled):
        before = known.get(provider, Sunsets())
        models = [model for model in catalogue.data.models if model.provider == provider]
        published_models = providers[provider].models() if provider in providers else None
        lists += published_models is not None
        dates = before.dates if published_models is None else published_shutdowns(models, published_models)
        due, warned = _due_notices(catalogue.with_sunsets(dates), models, before.warned, today)
        after = Sunsets(dates, warned)
        if after != before:
            store.write(provider, after)
        notices += due
    return SunsetReport(lists, tuple(notices))


def log_report(report: SunsetReport) -> None:
    """Log a run and each notice, and count the notices for the alarm."""
    for notice in report.notices:
        logger.warning(
            "a model leaves" if notice.days_left else "a model is offered no more",
            model=notice.model,
            sunset_at=notice.sunset_at.isoformat(),
            days_left=notice.days_left,
            successor=notice.successor,
        )
    if report.notices:
        put_count("ModelsLeaving", len(report.notices))
    logger.info("sunsets looked at", lists=report.lists, notices=len(report.notices))


def published_shutdowns(models: Iterable[Model], listed: Iterable[ListedModel]) -> dict[str, date]:
    """The shutdown dates in a provider's list, by our model id. The list has models by their upstream name."""
    dates = {each.name: each.shutdown_on for each in listed if each.shutdown_on is not None}
    names = {model.id: str(model.settings.get("model", model.id.partition("/")[2])) for model in models}
    return {model_id: dates[name] for model_id, name in names.items() if name in dates}


def _due_notices(
    catalogue: Catalogue, models: Iterable[Model], before: Mapping[str, int], today: date
) -> tuple[list[Notice], dict[str, int]]:
    notices: list[Notice] = []
    warned: dict[str, int] = {}
    for model in models:
        sunset_at = catalogue.sunset_at(model)
        if sunset_at is None:
            continue
        days_left = (sunset_at - today).days
        step = next((days for days in NOTICE_DAYS if days_left <= days), None)
        if step is None:
            continue
        warned[model.id] = step
        if step < before.get(model.id, NOTICE_DAYS[-1] + 1):
            notices.append(Notice(model.id, model.provider, sunset_at, max(days_left, 0), model.successor))
    return notices, warned
