"""What the documents name is there: files, modules of commands, make targets, tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
GUIDES = sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs/runbooks").glob("*.md"))
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *DECISIONS, *GUIDES]
# Documents name files as their readers think of them: from the repository, or from the product's packages.
PLACES = (
    "",
    "layers/atelier/python",
    "layers/atelier/python/atelier",
    "layers/atelier/python/atelier/adapters",
    "layers/studio/python",
    "layers/studio/python/studio",
)
SUFFIXES = ("py", "yaml", "json", "md", "toml", "sh")
GLOSSARY_LINES_MAX = 40
ENTRY = re.compile(
    r"## \d{4}-\d\d-\d\d: .+\n\n- Why: (?:.|\n)+?\n- Instead of: (?:.|\n)+?\n- Revisit when: (?:.|\n)+?\n"
)


def names(document: Path) -> Iterator[str]:
    """Everything in backticks, and every line of the document's commands."""
    text = document.read_text()
    commands = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in commands:
        yield from block.splitlines()
    yield from re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def missing_files(document: Path) -> list[str]:
    path = re.compile(rf"(?<![\w.:/-])((?:[\w.-]+/)+(?:[\w.-]+\.(?:{'|'.join(SUFFIXES)}))?)(?![\w<*{{/-])")
    found = [match for name in names(document) if not re.search(r"[<…]|https?:", name) for match in path.findall(name)]
    generated = (".venv", ".bench", ".local", "node_modules")
    return [
        name
        for name in found
        if not any(part in name for part in generated) and not any((ROOT / place / name).exists() for place in PLACES)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_files_that_exist(document: Path) -> None:
    assert missing_files(document) == [], f"{document.name} names files that are not here: correct the path"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_names_tests_that_exist(document: Path) -> None:
    tests = {test for name in names(document) for test in re.findall(r"\btest_\w+(?!\.py)\b", name)}
    there = "\n".join(path.name + path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    gone = sorted(test for test in tests if not re.search(rf"\b{test}(\.py|\()", there))
    assert gone == [], f"{document.name} names tests that are gone: name the ones that show it now"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_documents_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for name in names(document)
        for call in re.findall(r"^make ([^#\n]*)", name)
        for word in re.sub(r'"[^"]*"', "", call).split()
        if re.fullmatch(r"[a-z.-]+", word)
    }
    assert named - targets == set(), f"{document.name} names targets that the Makefile does not have"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_documents_python_commands_find_their_module(document: Path) -> None:
    """A module of the product needs PYTHONPATH; one of this repository's other folders does not."""
    for name in names(document):
        for setting, module in re.findall(r"^(PYTHONPATH=\S+ )?\S*python3? -m ([\w.]+)", name):
            if module in ("pytest", "pip"):
                continue
            places = [ROOT / "layers/atelier/python", ROOT] if setting else [ROOT]
            path = module.replace(".", "/")
            found = [p for place in places for p in (place / f"{path}.py", place / path / "__main__.py") if p.exists()]
            assert found, f"{document.name}: `{name}` finds no module {module}: give its PYTHONPATH or correct its name"


@pytest.mark.parametrize("document", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_when_why_instead_of_what_and_when_to_revisit_it(document: Path) -> None:
    entries = re.split(r"^(?=## )", document.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    wrong = [entry.splitlines()[0] for entry in entries if not ENTRY.fullmatch(entry.rstrip() + "\n")]
    assert wrong == [], (
        "a decision is `## YYYY-MM-DD: what was decided`, an empty line, and three items `- Why: …`, "
        "`- Instead of: …`, `- Revisit when: …`"
    )


def test_every_context_of_decisions_is_a_context_of_the_product() -> None:
    package = ROOT / "layers/atelier/python/atelier"
    known = {path.stem for place in (package, package / "adapters") for path in place.iterdir()} | {
        "platform",
        "studio",
        # Routes over all contexts, which have none of their own.
        "admin",
    }
    assert {path.stem for path in DECISIONS} - known == set(), "name the file of decisions as the folder it is about"


def test_the_glossary_is_short() -> None:
    glossary = re.search(r"^## Glossary\n(.*?)^## ", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE | re.DOTALL)
    assert glossary
    assert len(glossary[1].splitlines()) <= GLOSSARY_LINES_MAX, (
        "the glossary has at most 40 lines: leave out plain words"
    )
