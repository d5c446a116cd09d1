"""The catalogue of texts: every language is complete, every text is used, and no page has a text of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import pytest

from studio.pages import history
from studio.strings import DEFAULT, LANGUAGES, Translator, catalogue, chosen_language, fill

STUDIO = Path(__file__).parents[3] / "layers/studio/python/studio"
PRODUCT = Path(__file__).parents[3] / "layers/atelier/python/atelier"
OTHERS = [language for language in LANGUAGES if language != DEFAULT]
SOURCES = {path: path.read_text() for path in STUDIO.rglob("*") if path.suffix in {".html", ".py"}}
# Words that are the same in every language: the product's name, and signs.
SAME_EVERYWHERE = {"Atelier"}


def placeholders(text: str) -> set[str]:
    # Doubled braces stand for braces.
    return {name for _, name, *_ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_with_the_same_placeholders(language: str) -> None:
    english, other = catalogue(DEFAULT), catalogue(language)
    assert english.keys() == other.keys()
    assert {key for key in english if placeholders(english[key]) != placeholders(other[key])} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_stands_in_the_file_of_its_room_once(language: str) -> None:
    files = {path.stem: json.loads(path.read_text()) for path in (STUDIO / "strings" / language).glob("*.json")}
    assert sum(len(texts) for texts in files.values()) == len(catalogue(language))
    assert all(text.strip() for texts in files.values() for text in texts.values())


def test_every_text_that_a_page_names_exists() -> None:
    named = {key for text in SOURCES.values() for key in re.findall(r"\bt\(\s*['\"](\w+\.[\w.]+)['\"]\s*[,)]", text)}
    assert named
    assert named - catalogue(DEFAULT).keys() == set()


def test_every_text_is_used() -> None:
    """By its whole key, or by a key that a page puts together: `t('error.' + code)` uses all of `error.`."""
    sources = "\n".join(SOURCES.values())
    prefixes = tuple(set(re.findall(r"['\"]([\w.]+[._])['\"] ?[+~]|f['\"]([\w.]+[._])\{", sources)))
    begun = tuple(part for pair in prefixes for part in pair if part)
    idle = {
        key
        for key in catalogue(DEFAULT)
        if f"'{key}'" not in sources and f'"{key}"' not in sources and not key.startswith(begun)
        if not (key.endswith("_other") and key.removesuffix("_other") in catalogue(DEFAULT))
        if not any(key.startswith(each) for each in begun)
    }
    assert idle == set()


def visible_words(template: str) -> set[str]:
    """The words of a template that a person reads and that are not from the catalogue."""
    plain = re.sub(
        r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<script.*?</script>|<(?:code|pre)\b.*?</(?:code|pre)>",
        " ",
        template,
        flags=re.S,
    )
    plain = re.sub(r"<[^>]*>", " ", plain, flags=re.S)
    return set(re.findall(r"[^\W\d_]{3,}", re.sub(r"&\w+;", " ", plain)))


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".html"], ids=lambda path: path.name)
def test_a_template_has_no_text_of_its_own(path: Path) -> None:
    assert visible_words(SOURCES[path]) - SAME_EVERYWHERE == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if path.suffix == ".html"], ids=lambda path: path.name)
def test_no_page_waits_for_a_script(path: Path) -> None:
    """A script that is neither deferred nor a module costs a phone a round trip before anything is seen."""
    waited_for = [
        tag for tag in re.findall(r"<script [^>]*src=[^>]*>", SOURCES[path]) if not re.search(r"\bdefer\b|module", tag)
    ]
    assert waited_for == []


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "fr,it;q=0.9", "en"),
        ("", "fr,de;q=0.9", "de"),
        ("de", "en", "de"),
        ("xx", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers_first_that_there_is(
    cookie: str, accepted: str, language: str
) -> None:
    assert chosen_language(cookie, accepted) == language


def test_values_in_a_text_are_escaped() -> None:
    filled = fill("<b>{name}</b> of {place}", {"name": "<i>x</i> {place} %s", "place": 7})
    assert filled == "<b>&lt;i&gt;x&lt;/i&gt; {place} %s</b> of 7"


def test_an_unknown_text_is_an_error() -> None:
    t = Translator("en")
    assert (t.has("nav.create"), t.has("nav.nowhere")) == (True, False)
    with pytest.raises(KeyError):
        t("nav.nowhere")


def test_the_history_can_be_filtered_by_each_group_that_has_a_name() -> None:
    named = {key.removeprefix("history.group.") for key in catalogue(DEFAULT) if key.startswith("history.group.")}
    assert {f"{name}." for name in named} == set(history.GROUPS)
    assert "webhook_endpoint" in named


def test_each_act_that_the_product_records_has_a_text_in_the_history() -> None:
    named = re.compile(r'(?:audit_events?|platform_events)\(\s*(?:[^,"]+|\([^)]*\)),\s*"([a-z_.]+)"')
    recorded = {name for path in PRODUCT.rglob("*.py") for name in named.findall(path.read_text("utf-8"))}
    assert "session.opened" in recorded
    assert {name for name in recorded if f"history.action.{name}" not in catalogue(DEFAULT)} == set()
