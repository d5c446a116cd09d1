"""Reads and writes OUTCOMES.md, the table of crash points as the last exploration found it."""

from __future__ import annotations

from pathlib import Path

from tests.crashes.explorer import Exploration

FILE = Path(__file__).with_name("OUTCOMES.md")
HEADER = """\
# What became of each crash

One generation after the other dies at each AWS call that it makes: in the process that makes the call, before the
call, or after it took effect; or the call takes effect and only its answer is lost, so that the client repeats it. Then
everything that is delivered again in AWS is delivered again, time passes, and this is what the generation has come to:
its state, the credits charged, and how many jobs the provider was given. In all of them no credit is lost or doubled,
the hold has ended once, and the reconciler finds nothing left to write.

Written by `python -m tests.crashes`, compared with what happens by `tests/crashes/test_*.py`.
"""


def read_sections() -> dict[str, str]:
    """The sections of the file, by the scenario's name."""
    sections = FILE.read_text().split("\n## ")[1:] if FILE.exists() else []
    return {section.partition("\n")[0]: f"## {section.rstrip()}\n" for section in sections}


def write_sections(explorations: list[Exploration], order: list[str]) -> None:
    """Write the file with these sections in place of their older ones; sections of removed scenarios are dropped."""
    sections = read_sections() | {found.scenario.name: found.table() for found in explorations}
    FILE.write_text("\n".join([HEADER, *(sections[name] for name in order if name in sections)]))
