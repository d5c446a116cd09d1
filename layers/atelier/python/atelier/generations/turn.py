"""Whose turn it is: the first candidate that is well and may be asked now; or, where all who are well have as many
requests as they may be sent, a place in line with the one that is free first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from atelier.clock import parse_rfc3339, rfc3339
from atelier.generations.model import Generation
from atelier.generations.ports import Lost, Workflow
from atelier.providers._contract import ErrorClass
from atelier.routing.book import HealthBook
from atelier.routing.model import Scope
from atelier.routing.places import Place, Places
from atelier.telemetry import logger

# As long as a message of the queue can be held back.
WAIT_MAX = timedelta(seconds=900)


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in line that is kept for a generation: with which candidate, and when."""

    candidate: str
    at: datetime

    def __str__(self) -> str:
        return f"{rfc3339(self.at)} {self.candidate}"

    @classmethod
    def read(cls, text: str) -> Turn:
        """The inverse of `str`."""
        at, _, candidate = text.partition(" ")
        return cls(candidate, parse_rfc3339(at))


@dataclass(frozen=True, slots=True)
class Wait:
    """Nobody may be asked before `until`; `turn` is what is kept for then, if anything could be."""

    until: datetime
    turn: Turn | None


def resume(task_token: str, turn: str | None, *, workflow: Workflow) -> None:
    """The turn has come that a waiting task waited for. Where nobody listens any more, the deadline ends it."""
    workflow.try_next(task_token, Lost("", ErrorClass.RATE_LIMITED, turn))


def scope_of(generation: Generation, provider: str, key: str | None) -> Scope:
    """Whose access an attempt is made with."""
    return Scope(provider, generation.workspace_id, key) if key else Scope(provider)


@dataclass(frozen=True, slots=True)
class Choice:
    """Chooses among the untried candidates of one generation. What cannot be read (health, places) keeps nobody from
    being tried: of whom nothing is known, nothing bad is known."""

    generation: Generation
    health: HealthBook
    places: Places
    run_seconds_max: Callable[[str], int]
    now: datetime

    def next(self, turn: Turn | None) -> str | Wait | None:
        """Who is to be tried now, with its place taken; or how long to wait, within the generation's deadline; or
        None. One that is passed over was not tried. After the deadline nobody is: the work would be the operator's."""
        if self.generation.deadline_at <= self.now:
            return None
        awake = [candidate for candidate in self.generation.untried if not self._rests(candidate)]
        if turn is not None and turn.candidate in awake:
            if turn.at > self.now:
                return Wait(turn.at, turn)
            if self.places.is_good(turn.at, self.now) and self._may_try(turn.candidate):
                return turn.candidate
        full: list[tuple[datetime, str]] = []
        for candidate in awake:
            place = self._place(candidate, self.now)
            if not place.is_taken:
                full.append((place.at, candidate))
            elif self._may_try(candidate):
                return candidate
        for _, candidate in sorted(full):
            latest = self._latest(candidate)
            place = self._place(candidate, latest)
            if place.is_taken:
                return Wait(place.at, Turn(candidate, place.at))
            if place.at <= latest:
                return Wait(place.at, None)
        return None

    def _latest(self, candidate: str) -> datetime:
        """Whoever begins later than this is not done in time."""
        run_time = timedelta(seconds=self.run_seconds_max(candidate.partition("@")[0]))
        return min(self.generation.deadline_at - run_time, self.now + WAIT_MAX)

    def _rests(self, candidate: str) -> bool:
        try:
            rests = self.health.is_cooling(self._scope(candidate), self.now)
        except Exception:
            logger.exception("health cannot be read", candidate=candidate)
            return False
        if rests:
            logger.info("candidate passed over", generation_id=self.generation.id, candidate=candidate)
        return rests

    def _may_try(self, candidate: str) -> bool:
        try:
            return self.health.may_try(self._scope(candidate), self.now)
        except Exception:
            logger.exception("health cannot be read", candidate=candidate)
            return True

    def _place(self, candidate: str, latest: datetime) -> Place:
        try:
            return self.places.take(self._scope(candidate), self.now, latest=latest)
        except Exception:
            logger.exception("places cannot be read", candidate=candidate)
            return Place(self.now, is_taken=True)

    def _scope(self, candidate: str) -> Scope:
        model, _, key = candidate.partition("@")
        return scope_of(self.generation, model.partition("/")[0], key or None)
