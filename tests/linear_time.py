"""Checks that regular expressions and text parsers take time linear in the length of their input.

    python -m tests.linear_time          # reads the product's code, and prints the slow ones as JSON

For a text eight times as long, the time may grow by 24 times at most; quadratic code grows by 64. Only CPU time of this
process counts, the best of three measurements, and very short times are not compared, so a busy machine changes
nothing. An alarm after some CPU time stops code that would never end.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parent.parent
PRODUCT = ("layers/atelier/python", "functions", "infra")
# Only the person who runs a simulator sends text to it, so its patterns need no check.
EXCLUDED = ("infra/simulators",)
FUNCTIONS = {"compile", "sub", "subn", "match", "fullmatch", "search", "split", "findall", "finditer"}
CHARACTERS = 20_000
TIMES_LONGER = 8
# Between 8, the factor of linear code, and 64, the factor of quadratic code.
TIMES_SLOWER_MAX = 24
NEGLIGIBLE_SECONDS = 0.05
TIME_LIMIT_SECONDS = 3
CHARACTERS_TRIED = [
    " ",
    "\n",
    "a",
    "A",
    "1",
    "-",
    "_",
    ".",
    ",",
    ";",
    ":",
    "=",
    "!",
    "?",
    "'",
    '"',
    "(",
    "[",
    "{",
    "<",
    "é",
    "年",
    "*",
    "/",
]
RANDOM_TEXTS = 40


class TimeLimitReached(Exception):
    """The call has used up its CPU time."""


class Pattern:
    """A regular expression of the product. `place`: its file and source text. `methods`: the names of the methods that
    apply it."""

    def __init__(self, place: str, compiled: re.Pattern[Any], methods: set[str]) -> None:
        self.place, self.compiled, self.methods = place, compiled, methods

    def applications(self) -> list[Callable[[Any], object]]:
        """Functions that apply the pattern to a text as the product does."""
        ways: list[Callable[[Any], object]] = []
        if self.methods & {"match"}:
            ways.append(self.compiled.match)
        if self.methods & {"fullmatch"}:
            ways.append(self.compiled.fullmatch)
        if self.methods - {"match", "fullmatch"}:
            # All other methods try every position of the text.
            ways.append(lambda text: sum(1 for _ in self.compiled.finditer(text)))
        return ways


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not str(path.relative_to(ROOT)).startswith(EXCLUDED):
                yield path, ast.parse(path.read_text())


def namespace(path: Path) -> dict[str, Any]:
    """A module's global names, with which the expressions of its patterns are evaluated."""
    inside = path.relative_to(ROOT / "layers/atelier/python") if "layers" in path.parts else path.relative_to(ROOT)
    return vars(importlib.import_module(".".join(inside.with_suffix("").parts)))


def patterns() -> tuple[list[Pattern], set[str]]:
    """All patterns of the product, and the places of those that depend on values known only at run time."""
    trees = list(modules())
    methods: dict[str, set[str]] = {}
    for _, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS - {"compile"}:
                name = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
                methods.setdefault(name, set()).add(node.attr)

    found: list[Pattern] = []
    runtime_places = set[str]()
    for path, tree in trees:
        names = {
            id(each.value): each.targets[0].id
            for each in ast.walk(tree)
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=attribute)) if attribute in FUNCTIONS:
                    place = f"{path.relative_to(ROOT)}: {ast.unparse(node.args[0])[:90]}"
                    rest = [each for each in node.args[1:] if "re." in ast.unparse(each)]
                    flags = [each.value for each in node.keywords if each.arg == "flags"] or rest[-1:]
                    try:
                        scope = namespace(path)
                        written = eval(ast.unparse(node.args[0]), scope)
                        flag = eval(ast.unparse(flags[0]), scope) if flags else 0
                        compiled = re.compile(written, flag)
                    except NameError:
                        runtime_places.add(place)
                        continue
                    name = names.get(id(node), "")
                    methods_used = methods.get(name, FUNCTIONS) if attribute == "compile" else {attribute}
                    found.append(Pattern(place, compiled, methods_used))
                case _:
                    pass
    return found, runtime_places


def pattern_parts(compiled: re.Pattern[Any]) -> list[str]:
    """The parts of a pattern from which awkward texts are built: its words, numbers and punctuation characters."""
    written = compiled.pattern if isinstance(compiled.pattern, str) else compiled.pattern.decode("latin-1")
    words = re.findall(r"[^\W\d_]{2,}|\d+", re.sub(r"\\[a-zA-Z]", " ", written))
    signs = re.findall(r"[^\w\s\\]", written)
    return list(dict.fromkeys([*words, *signs]))


def awkward_texts(compiled: re.Pattern[Any]) -> list[tuple[str, str, str]]:
    """Awkward texts for a pattern, each as (beginning, repeated part, end)."""
    parts, rng = pattern_parts(compiled), Random(compiled.pattern if isinstance(compiled.pattern, str) else 1)
    anything = [*CHARACTERS_TRIED, *parts]
    found = [("", piece, "\0") for piece in anything]
    found += [(word, " ", "!") for word in parts]
    for _ in range(RANDOM_TEXTS):
        head = "".join(rng.choice(anything) for _ in range(rng.randint(0, 3)))
        found.append(
            (head, "".join(rng.choice(anything) for _ in range(rng.randint(1, 3))), rng.choice(["\0", "", " "]))
        )
    return found


def text_parsers() -> dict[str, Callable[[str], object]]:
    """Functions of the product that parse text from users, clients and models, by name. An expected refusal counts as
    a result."""
    from datetime import UTC, datetime

    from atelier.adapters.media import text as texts
    from atelier.adapters.media.processed import MediaInvalid
    from atelier.adapters.providers._speech_parts import split_text
    from atelier.adapters.providers.local.page import build_page
    from atelier.adapters.providers.local.text import write_text
    from atelier.errors import AtelierError
    from atelier.generations.pipelines import rewritten_prompt
    from atelier.http.request import Request
    from atelier.identity import credentials
    from atelier.library import template
    from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
    from atelier.openai_api import multipart
    from atelier.openai_api.request import image_from_url
    from atelier.page_writing.read_answer import read_answer
    from atelier.provider_port import Job

    now = datetime(2026, 11, 20, tzinfo=UTC)

    def gaps(text: str) -> object:
        known = template.Template("tpl_1", "wsp_1", "usr_1", "a", "image", text, now, now)
        return template.fill_gaps(template.validate_template(known), {})

    def prefer(text: str) -> object:
        return Request(now, None, None, {}, {"prefer": text}, {}, "", "r-1", {}).wait_seconds

    def refused(read: Callable[[str], object]) -> Callable[[str], object]:
        def reading(text: str) -> object:
            try:
                return read(text)
            except (AtelierError, MediaInvalid, ValueError) as error:
                return error

        return reading

    kind = "multipart/form-data; boundary=x"
    head = 'content-disposition: form-data; name="'
    found: dict[str, Callable[[str], object]] = {
        "local/writer": lambda text: write_text(Job("att_1", "text", "local/writer", text)),
        "local/writer, a rewritten prompt": lambda text: write_text(
            Job("att_1", "text", "local/writer", f"Rewrite the prompt {text}")
        ),
        "local/page": lambda text: build_page(Job("att_1", "page", "local/page", text)),
        "a model's rewritten prompt": lambda text: rewritten_prompt("a fox", text),
        "the blocklist": DEFAULT_BLOCKLIST.categories_of,
        "a form": lambda text: multipart.parse_multipart(text.encode(), kind),
        "a form's part": lambda text: multipart.parse_multipart(
            f"--x\r\n{head}{text}\r\n\r\n1\r\n--x--\r\n".encode(), kind
        ),
        "a form's content type": lambda text: multipart.parse_multipart(b"", f"multipart/form-data; {text}"),
        "a form's fields": lambda text: multipart.collect_values([multipart.FormPart(text, b"1", False)], files=()),
        "a template": gaps,
        "the Prefer header": prefer,
        "a data URL": lambda text: image_from_url(f"data:{text}", "image"),
        "an address": credentials.normalize_email,
        "a text to be spoken": split_text,
        "a text that was made": lambda text: texts.process(text.encode()),
        "a model's answer": read_answer,
        "a model's answer in a fence": lambda text: read_answer(f"```html\n{text}\n```"),
        "a page that was made": lambda text: texts.process_page(text.encode()),
    }
    return {name: refused(read) for name, read in (found | article_parsers()).items()}


def article_parsers() -> dict[str, Callable[[str], object]]:
    """Functions that parse what people write in articles, by name."""
    from atelier.adapters.content.portable_text import markdown_of
    from atelier.articles.front_matter import read_front_matter
    from atelier.articles.model import ArticleContent
    from atelier.articles.render_body import render_body

    return {
        "an article's body": lambda text: render_body(ArticleContent("a", "a", body=text), "", str),
        "an article's file": lambda text: read_front_matter(f"---\ntitle: a\n---\n{text}"),
        "a block of Portable Text": lambda text: markdown_of([{"_type": "block", "children": [{"text": text}]}], str),
    }


WORDS_TRIED = [
    "please",
    "could you ",
    "prompt",
    "a simple ",
    "{{a}}",
    "{{",
    "}}",
    "--x\r\n",
    "\r\n",
    'name="',
    "<html ",
    "</html",
    "wait=",
    "b.o.m.b ",
    "b0mb ",
    "aaab",
    "; ",
    "data:",
    "%",
    "@",
    "\u0301",
]


def cpu_seconds(use: Callable[[Any], object], text: Any) -> float:
    """CPU seconds of one call. Raises Endless."""
    before = signal.signal(signal.SIGVTALRM, _raise_time_limit)
    signal.setitimer(signal.ITIMER_VIRTUAL, TIME_LIMIT_SECONDS)
    started = time.process_time()
    try:
        use(text)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return time.process_time() - started


def _raise_time_limit(*_: object) -> None:
    raise TimeLimitReached


def growth_report(use: Callable[[Any], object], shape: tuple[str, str, str], *, raw: bool = False) -> str | None:
    """A description of the growth when a longer text takes too much longer; None when the growth is acceptable."""
    head, body, tail = shape

    def best(characters: int, times: int) -> float:
        text = head + body * (characters // len(body)) + tail
        return min(cpu_seconds(use, text.encode() if raw else text) for _ in range(times))

    try:
        for times in (1, 3):
            # One measurement is enough for most; a suspect is measured three times again.
            short, long = best(CHARACTERS, times), 0.0
            if short >= NEGLIGIBLE_SECONDS:
                long = best(CHARACTERS * TIMES_LONGER, times)
            if long <= short * TIMES_SLOWER_MAX:
                return None
    except TimeLimitReached:
        return f"{shape}: no end"
    return f"{shape}: {short:.3f} s, then {long:.3f} s"


def main() -> int:
    """Print the patterns and functions whose time grows too fast."""

    sys.path[:0] = [str(ROOT), str(ROOT / "layers/atelier/python")]
    known, runtime_places = patterns()
    slow: dict[str, str] = {}
    for pattern in known:
        raw = isinstance(pattern.compiled.pattern, bytes)
        for use in pattern.applications():
            for shape in awkward_texts(pattern.compiled):
                said = growth_report(use, shape, raw=raw)
                if said:
                    slow[pattern.place] = said
                    break
    rng = Random(7)
    mixed = [*CHARACTERS_TRIED, *WORDS_TRIED]
    whole = [("", piece, "\0") for piece in mixed] + [(word, " ", "!") for word in WORDS_TRIED]
    whole += [("", rng.choice(mixed) + rng.choice(mixed), rng.choice(mixed)) for _ in range(RANDOM_TEXTS)]
    for name, read in text_parsers().items():
        said = next((said for shape in whole if (said := growth_report(read, shape))), None)
        if said:
            slow[name] = said
    print(
        json.dumps({"patterns": len(known), "made": sorted(runtime_places), "slow": slow}, ensure_ascii=False, indent=1)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
