"""How `local/page` writes blocks for a page of a site: stock texts about the prompt's subject, in the form that page
writing asks every model for.

It understands nothing: it improves a text by tidying it, and translates the words of a small dictionary. Each answer is
a pure function of the prompt and the seed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from html import escape, unescape
from random import Random

from atelier.adapters.providers.local.page import REQUEST_LEAD, page_kind
from atelier.adapters.providers.local.site_page_texts import STOCK_TEXTS, WORDS, StockTexts
from atelier.adapters.providers.local.text import MARK
from atelier.page_writing.html_tokens import TokenType, tokens_of
from atelier.page_writing.prompt import BlockFacts, PartFacts, WritingFacts, WritingKind, WritingTask

TITLE_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX = 60, 155
HERO_CSS = """.hero { padding: 4rem 1.5rem; text-align: center; }
.hero h1 { font-size: clamp(2rem, 6vw, 3.5rem); line-height: 1.1; }
.hero .action { display: inline-block; padding: .75rem 1.5rem; border: 2px solid; border-radius: 2rem; }
.hero .action { color: inherit; }"""
CARDS_CSS = """.cards { padding: 2rem 1.5rem; }
.cards ul { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); padding: 0; }
.cards li { list-style: none; padding: 1.5rem; border: 1px solid; border-radius: 1rem; }"""
TEXT_CSS = ".text { max-width: 42rem; margin: 0 auto; padding: 2rem 1.5rem; line-height: 1.6; }"
WORD = re.compile(r"[A-Za-z]+")
HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])


def answer_for_site(facts: WritingFacts, rng: Random) -> str:
    """The answer to a prompt of page writing, with the mark of the embedded provider's texts behind it."""
    return f"{_blocks(facts, rng)}\n\n{MARK}"


def _blocks(facts: WritingFacts, rng: Random) -> str:
    texts = STOCK_TEXTS.get(facts.language.partition("-")[0].lower(), STOCK_TEXTS["en"])
    match facts.task:
        case WritingTask.SEO:
            return _seo(facts, texts)
        case WritingTask.IMPROVE:
            return _rewritten(facts.blocks, lambda _tag, text: _tidied(text))
        case WritingTask.TRANSLATE:
            return _translated(facts)
        case WritingTask.WRITE if facts.kind is WritingKind.CONTENT:
            return _contents(facts, texts, rng)
        case WritingTask.WRITE:
            return _written(facts, texts, rng)


def _written(facts: WritingFacts, texts: StockTexts, rng: Random) -> str:
    subject = _subject(facts.request)
    sections = texts.sections[page_kind(facts.request)]
    if facts.kind is WritingKind.SECTION:
        heading, text = rng.choice(sections)
        return _html_fence(
            _text_section(heading, (text, rng.choice(texts.sentences).format(subject=subject))), TEXT_CSS
        )
    is_layout = facts.kind is WritingKind.LAYOUT
    first_parts, last_parts = _placed_parts(facts.parts) if is_layout else ((), ())
    fences = [_facts_fence(subject, texts.description.format(subject=subject), facts.path or _path(subject))]
    fences += [_part_fence(part, subject) for part in first_parts]
    fences.append(_html_fence(_hero(subject, texts), HERO_CSS))
    if is_layout:
        fences += [_html_fence(_text_section(heading, (text,))) for heading, text in sections]
    else:
        sentences = [each.format(subject=subject) for each in rng.sample(texts.sentences, 2)]
        fences.append(_html_fence(_cards(sections), CARDS_CSS))
        fences.append(_html_fence(_text_section(texts.about, sentences), TEXT_CSS))
        fences.append(_html_fence(_text_section(texts.closing, (texts.closing_text,), id="contact")))
    fences += [_part_fence(part, subject) for part in last_parts]
    return "\n\n".join(fences)


def _contents(facts: WritingFacts, texts: StockTexts, rng: Random) -> str:
    subject = _subject(facts.request)
    sections = texts.sections[page_kind(facts.request)]

    def rewrite(tag: str, _text: str) -> str:
        if tag == "h1":
            return subject
        if tag in HEADINGS:
            return rng.choice(sections)[0]
        return rng.choice(texts.sentences).format(subject=subject) if tag in ("p", "li", "blockquote") else _text

    return _rewritten(facts.blocks, rewrite)


def _translated(facts: WritingFacts) -> str:
    words = WORDS.get(facts.language.partition("-")[0].lower(), {})

    def translate(_tag: str, text: str) -> str:
        return WORD.sub(lambda found: _in_case_of(found[0], words.get(found[0].lower())), text)

    named = {"title": translate("", facts.title), "description": translate("", facts.description)}
    fence = f"```json\n{json.dumps({name: text for name, text in named.items() if text}, ensure_ascii=False)}\n```"
    return f"{fence}\n\n{_rewritten(facts.blocks, translate)}"


def _in_case_of(word: str, translated: str | None) -> str:
    if translated is None:
        return word
    return translated[:1].upper() + translated[1:] if word[:1].isupper() else translated


def _seo(facts: WritingFacts, texts: StockTexts) -> str:
    plain = [(token_tag, text) for block in facts.blocks for token_tag, text in _texts(block.html)]
    heading = next((text for tag, text in plain if tag in HEADINGS), facts.title)
    paragraph = next((text for tag, text in plain if tag == "p"), texts.description.format(subject=heading))
    title = f"{heading} – {facts.site}" if facts.site and facts.site not in heading else heading
    values = {
        "title": _cut(title, TITLE_CHARACTERS_MAX),
        "description": _cut(paragraph, DESCRIPTION_CHARACTERS_MAX),
    }
    return f"```json\n{json.dumps(values, ensure_ascii=False)}\n```"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rpartition(" ")[0] + "…"


def _rewritten(blocks: Sequence[BlockFacts], rewrite: Callable[[str, str], str]) -> str:
    """The blocks with their texts changed by rewrite(tag, text)."""
    fences: list[str] = []
    for block in blocks:
        pieces = [
            escape(rewrite(tag, unescape(source)), quote=False) if is_text and source.strip() else source
            for tag, source, is_text in _sources(block.html)
        ]
        fences.append(_html_fence(f"<!-- block: {block.id} -->\n{''.join(pieces)}", block.css))
    return "\n\n".join(fences)


def _sources(html: str) -> list[tuple[str, str, bool]]:
    """The pieces of a block's HTML: the tag that each one is in, its source, and whether it is text."""
    pieces: list[tuple[str, str, bool]] = []
    tag = ""
    for token in tokens_of(html):
        if token.type is TokenType.START:
            tag = token.name
        pieces.append((tag, token.source, token.type is TokenType.TEXT))
    return pieces


def _texts(html: str) -> list[tuple[str, str]]:
    return [
        (tag, " ".join(unescape(source).split()))
        for tag, source, is_text in _sources(html)
        if is_text and source.strip()
    ]


def _tidied(text: str) -> str:
    """A text with single spaces, and a capital letter at its beginning."""
    words = " ".join(text.split())
    start, end = text[:1] if text[:1].isspace() else "", text[-1:] if text[-1:].isspace() else ""
    return f"{start}{words[:1].upper()}{words[1:]}{end}"


def _subject(request: str) -> str:
    first_line = next((line for line in request.splitlines() if line.strip()), "")
    subject = REQUEST_LEAD.sub("", " ".join(first_line.split()))[:300].strip()
    subject = re.split(r"(?<=\w)[.!?,;:] | with | that | – ", subject)[0][:80].strip(" .") or "A new page"
    subject = re.sub(r"^(?:a|an|the|my|our)\s+", "", subject, flags=re.IGNORECASE)
    return subject[:1].upper() + subject[1:]


def _path(subject: str) -> str:
    words = re.findall(r"[a-z0-9]+", subject.lower())[:6]
    return "/" + "-".join(words)


def _facts_fence(title: str, description: str, path: str) -> str:
    values = {
        "title": _cut(title, TITLE_CHARACTERS_MAX),
        "description": _cut(description, DESCRIPTION_CHARACTERS_MAX),
        "path": path,
    }
    return f"```json\n{json.dumps(values, ensure_ascii=False)}\n```"


def _html_fence(html: str, css: str = "") -> str:
    mark = "`" * (3 if "```" not in html else max(len(run) for run in re.findall("`+", html)) + 1)
    fence = f"{mark}html\n{html}\n{mark}"
    return f"{fence}\n```css\n{css}\n```" if css else fence


def _hero(subject: str, texts: StockTexts) -> str:
    lead = texts.lead.format(subject=subject)
    return (
        f'<section class="hero">\n  <h1>{escape(subject)}</h1>\n  <p>{escape(lead)}</p>\n'
        f'  <a class="action" href="#contact">{texts.action}</a>\n</section>'
    )


def _cards(sections: Sequence[tuple[str, str]]) -> str:
    cards = "\n".join(f"    <li><h2>{heading}</h2><p>{text}</p></li>" for heading, text in sections)
    return f'<section class="cards">\n  <ul>\n{cards}\n  </ul>\n</section>'


def _text_section(heading: str, paragraphs: Sequence[str], id: str = "") -> str:
    named = f' id="{id}"' if id else ""
    text = "\n".join(f"  <p>{escape(each)}</p>" for each in paragraphs)
    return f'<section class="text"{named}>\n  <h2>{escape(heading)}</h2>\n{text}\n</section>'


def _placed_parts(parts: Sequence[PartFacts]) -> tuple[Sequence[PartFacts], Sequence[PartFacts]]:
    """The parts for the beginning of a page, and those for its end: by their names."""
    last = [part for part in parts if re.search(r"foot|contact|fuß|kontakt", part.name, re.IGNORECASE)]
    return [part for part in parts if part not in last], last


def _part_fence(part: PartFacts, subject: str) -> str:
    values = {name: subject for name in part.parameters if re.search("title|titel|heading|name", name, re.IGNORECASE)}
    # The JSON is within a comment, which it must not end.
    data = json.dumps(values, ensure_ascii=False).replace(">", "\\u003e")
    return f"```html\n<!-- part: {part.name} {data} -->\n```"
