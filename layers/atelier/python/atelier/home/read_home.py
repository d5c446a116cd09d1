"""Read what a person sees first: one call, at most 12 read units, whatever the workspace has."""

from __future__ import annotations

from atelier.home.model import ARTICLES, DEPLOYMENTS, GENERATIONS, SECTIONS, WORKSHOPS, Home, HomeSection
from atelier.home.ports import HomeReads


def read_home(user_id: str, workspace_id: str, reads: HomeReads) -> Home:
    """What the person sees first in the workspace."""
    persona, wallet, unread = reads.person(user_id, workspace_id)
    sections = SECTIONS[persona]
    teaching, learning, deployments = (section in sections for section in HomeSection)
    return Home(
        persona,
        wallet,
        unread,
        tuple(reads.generations(workspace_id, GENERATIONS)),
        tuple(reads.articles(ARTICLES)),
        tuple(reads.teaching(workspace_id, WORKSHOPS)) if teaching else None,
        tuple(reads.learning(user_id, WORKSHOPS)) if learning else None,
        tuple(reads.deployments(workspace_id, DEPLOYMENTS)) if deployments else None,
    )
