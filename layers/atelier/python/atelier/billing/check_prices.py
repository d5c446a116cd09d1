"""Check a proposed version of a tier or pack as `tiers.yaml` is checked: as a part of the whole document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from atelier.catalogue.price_list import EntryKind, PublishedVersion
from atelier.catalogue.tiers import name_of, version_of
from atelier.errors import NotFound, ValidationFailed

# The document of the compiled catalogue, and what differs in a version from the present one.
Document = Mapping[str, Any]
Changes = Mapping[str, Any]
SECTIONS: dict[EntryKind, str] = {"tier": "tiers", "pack": "packs"}


def with_published(document: Document, published: Iterable[PublishedVersion]) -> Document:
    """The document with published versions, each after the others of its name."""
    found: dict[str, Any] = {**document, **{section: list(document[section]) for section in SECTIONS.values()}}
    for version in published:
        section = SECTIONS[version.kind]
        found[section] = _placed(found[section], dict(version.entry))
    return found


def find_newest(document: Document, name: str) -> tuple[EntryKind, Mapping[str, Any]]:
    """The newest version of a tier's or pack's name. Raises NotFound."""
    for kind, section in SECTIONS.items():
        versions = [entry for entry in document[section] if name_of(entry["id"]) == name]
        if versions:
            return kind, max(versions, key=lambda entry: version_of(entry["id"]))
    raise NotFound("There is no such tier or pack.")


def check_entry(document: Document, kind: EntryKind, before: Mapping[str, Any], changes: Changes) -> Mapping[str, Any]:
    """The next version after `before`, with these changes. Raises ValidationFailed, which names what is wrong, and when
    nothing differs."""
    # Imported here, because building the schema takes some tens of milliseconds.
    from pydantic import ValidationError

    from atelier.catalogue.yaml_schema import check

    id = f"{name_of(before['id'])}@{version_of(before['id']) + 1}"
    entry = {**before, **changes, "id": id}
    if "id" in changes and changes["id"] != id:
        raise ValidationFailed([{"path": "changes.id", "message": f"the next version is {id}"}])
    if {**entry, "id": None} == {**before, "id": None}:
        raise ValidationFailed([{"path": "changes", "message": "nothing differs from the present version"}])
    section = SECTIONS[kind]
    try:
        check(json.dumps({**document, section: _placed(document[section], entry)}))
    except ValidationError as error:
        raise ValidationFailed([_named(each["loc"], each["msg"], entry) for each in error.errors()]) from error
    return entry


def _placed(entries: Iterable[Mapping[str, Any]], added: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Entries with one more, after the last of its name; it takes the place of one with the same id."""
    others = [entry for entry in entries if entry["id"] != added["id"]]
    last = max(index for index, entry in enumerate(others) if name_of(entry["id"]) == name_of(added["id"]))
    return [*others[: last + 1], added, *others[last + 1 :]]


def _named(location: tuple[int | str, ...], message: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    fields = [each for each in location[2:] if isinstance(each, str) and each in entry]
    unknown = [each for each in location[2:3] if isinstance(each, str) and "unexpected" in message.lower()]
    path = ".".join(["changes", *(fields or unknown)[:1]])
    return {"path": path, "message": message.removeprefix("Value error, ")}
