"""The blocklist: find texts that are refused by their words alone, on this machine, free of charge.

`blocklist.txt` has the phrases; this module finds them. A phrase is found as whole words, also when they are disguised:
look-alike letters of other scripts, invisible letters, accents, digits in place of letters, letters repeated, spaced
out or run together. A part of a longer word is never found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

from atelier.moderation.model import Category

FILE = Path(__file__).with_name("blocklist.txt")
CATEGORIES = frozenset(Category)
EXCEPT = "except"
# At most this many words stand between the two words of a pair, within a sentence.
PAIR_DISTANCE_MAX = 4
# Words that are not split as in the phrase count from this many letters on, words spelled letter by letter from fewer:
# shorter ones make up a phrase by accident.
JOINED_MIN, SPELLED_MIN = 7, 4

# Every age below eighteen is replaced by this character, in phrases and in texts.
AGE = "#"
NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
AGES = frozenset((*NUMBERS.split(), *map(str, range(1, 18))))

# Each letter, followed by its look-alikes in other scripts, after decomposition and in lower case.
LOOKALIKES = (
    "aаαᴀ bвьʙ cсᴄ dԁđᴅ eеєεᴇ gɡɢց hһнհħʜ iіιıɪ jјᴊ kкκᴋ lӏłʟ mмᴍ nոηɴ oоοσօøᴏ pрρᴘ qԛզ rгʀ sѕꜱ tтτŧᴛ uυսᴜ vνᴠ wԝωᴡ "
    "xхχ yуүγʏ zᴢ fƒꜰ "
    # Coptic, Cherokee, Lisu.
    "aⲁᎪꓮ bⲃᏴꓐ cⲥᏟꓚ dᎠꓓ eⲉᎬꓰ fꓝ gᏀꓖ hⲏᎻᏂꓧ iⲓᎥꓲ jᎫꓙ kⲕᏦꓗ lᏞꓡ mⲙᎷꓟ nⲛꓠ oⲟꓳ pⲣᏢꓑ rᎡꓣ sᏚꓢ tⲧᎢꓔ uꓴ vᏙꓦ wᎳꓪ "
    "xⲭꓫ yⲩꓬ zᏃꓜ"
)
# Stands for “-free” after a word: “ricin-free soap” has no ricin in it. “Free of charge” is not meant.
FREE = "%"
# Invisible characters that can hide text: tags, and variation selectors, each of which can stand for a byte.
TAGS, SELECTORS = range(0xE0020, 0xE007F), range(0xE0100, 0xE01F0)
HIDDEN = re.compile("[\U000e0020-\U000e007e\U000e0100-\U000e01ef]+")
# Code points where an alphabet begins that does not decompose: letters in circles and squares, and letters of flags.
ALPHABETS = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
# Letters by Unicode's category that are invisible or blank.
INVISIBLE_LETTERS = (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)

LETTER_SUBSTITUTES = "0134578@$!|+"
AS_I, AS_L = (str.maketrans(LETTER_SUBSTITUTES, letters) for letters in ("oieastbasiit", "oleastbasllt"))
READ_AS = ((AS_I, True), (AS_I, False), (AS_L, True))
SUBSTITUTED_WORD = re.compile(r"[a-z0-9@$!|+]+")
LETTER = re.compile(r"[a-z]")
REPEATED_LETTERS = re.compile(r"([a-z])\1{2,}")
WORD = re.compile(r"[a-z]{3,}")
MASKS = "*#%_.-"
MASK = re.compile(r"[*#%_.\-]")
# Starts only at the beginning of a word, so that a long run of letters is scanned once and not from each letter again.
MASKED = re.compile(r"(?<![a-z])[a-z]+(?:[*#%_.\-][a-z]+)+")
RUNS_MAX, MASKS_MAX = 4, 2
# At most this many disguised words of a text are decoded, which bounds the work; a text with more is not readable.
DISGUISES_MAX = 500
AGE_WITH_SUFFIX = re.compile(r"\b(\d{1,2})(?=[a-z])")
PIECE = re.compile(
    r"[^\W_]+|[-\u2010-\u2013]free(?=\s{1,3}(?!(?:of|from|for|and|or|to|in|at|by|with|on|now|please)\b)[^\W_])"
    r"|[.!?;](?=\s)|\n"
)
# The first code point of scripts that put no space between words.
UNSPACED_FROM = "\u1100"


class Match(NamedTuple):
    """Where a mark was found: indexes of its first and last word, and of its sentence."""

    mark: str
    first: int
    last: int
    sentence: int


class Phrases:
    """The phrases to look for. A mark is a category, or a group of words that counts only near another group."""

    def __init__(self) -> None:
        # Phrase without its spaces → its marks, each with the number of letters of each word.
        self.marks: dict[str, list[tuple[str, list[int]]]] = {}
        self.beginnings: set[str] = set()
        self.words: set[str] = set()
        # (group, other group, category, before, after). A word of the other group does not count directly after a find
        # of the group `before`, or directly before one of `after`.
        self.pairs: list[tuple[str, str, str, str, str]] = []
        # (phrase, category) for scripts that put no space between words.
        self.unspaced: list[tuple[str, str]] = []

    def add(self, phrase: str, mark: str) -> None:
        """Add a folded phrase."""
        words = phrase.split()
        joined = "".join(words)
        if max(joined) >= UNSPACED_FROM:
            self.unspaced.append((joined, mark))
            return
        self.words.update(words)
        self.marks.setdefault(joined, []).append((mark, [len(word) for word in words]))
        self.beginnings.update(joined[: length + 1] for length in range(len(joined)))

    def marks_of(self, plain: str, *, wanted: bool) -> set[str]:
        """The marks found in a folded text. wanted: False leaves out pairs."""
        marks = set[str]()
        for reading in self._readings(plain):
            finds = list(self._matches(reading))
            harmless = {word for find in finds if find.mark == EXCEPT for word in range(find.first, find.last + 1)}
            counted = [find for find in finds if not harmless.issuperset(range(find.first, find.last + 1))]
            marks |= {find.mark for find in counted}
            marks |= self._paired_categories(counted) if wanted else set[str]()
        if self.unspaced:
            run = re.sub(r"\s", "", plain)
            marks |= {mark for phrase, mark in self.unspaced if phrase in run}
        return marks

    def _readings(self, plain: str) -> set[str]:
        """All readings of a folded text: as it is, with digits read as letters, with masked vowels filled in, with
        repeated letters reduced."""
        found = {AGE_WITH_SUFFIX.sub(r"\1 ", plain)}
        if any(sign in plain for sign in LETTER_SUBSTITUTES):
            for table, loud in READ_AS:
                found.add(
                    SUBSTITUTED_WORD.sub(
                        lambda word, t=table, loud=loud: _read_signs(word[0], t, keep_final_signs=loud), plain
                    )
                )
        if any(sign in plain for sign in MASKS):
            found |= {_replace_words(MASKED, text, self._unmask, MASK) for text in found}
        if REPEATED_LETTERS.search(plain):
            found |= {_replace_words(WORD, text, self._reduce_repeats, REPEATED_LETTERS) for text in found}
        return found

    def _unmask(self, word: str) -> str:
        """The listed word that has vowels where this word has masks (`*`, `#` …); without one, the word as it is."""
        parts = MASK.split(word)
        for vowels in product("aeiou", repeat=len(parts) - 1) if len(parts) <= MASKS_MAX + 1 else ():
            clear = "".join(part for pair in zip(parts, (*vowels, ""), strict=True) for part in pair)
            if clear in self.words:
                return clear
        return word

    def _reduce_repeats(self, word: str) -> str:
        """The listed word that has one or two letters for each run of three and more; without one, each run is reduced
        to one letter."""
        runs = len(REPEATED_LETTERS.findall(word))
        for lengths in product((1, 2), repeat=runs) if 0 < runs <= RUNS_MAX else ():
            left = iter(lengths)
            shorter = REPEATED_LETTERS.sub(lambda run, left=left: run[1] * next(left), word)
            if shorter in self.words:
                return shorter
        return REPEATED_LETTERS.sub(r"\1", word)

    def _matches(self, text: str) -> Iterator[Match]:
        words: list[str] = []
        sentences: list[int] = []
        sentence = 0
        for piece in PIECE.findall(text):
            if piece in ".!?;\n":
                sentence += 1
            else:
                words.append(AGE if piece in AGES else piece if piece[0].isalnum() else FREE)
                sentences.append(sentence)
        for first, word in enumerate(words):
            if word in self.beginnings:
                yield from self._matches_from(words, sentences, first)

    def _matches_from(self, words: list[str], sentences: list[int], first: int) -> Iterator[Match]:
        joined, lengths = "", list[int]()
        for last in range(first, len(words)):
            joined += words[last]
            lengths.append(len(words[last]))
            is_spelled = max(lengths) == 1
            if joined not in self.beginnings or not (is_spelled or sentences[first] == sentences[last]):
                return
            for mark, as_written in self.marks.get(joined, ()):
                if _is_deliberate(joined, lengths, as_written):
                    yield Match(mark, first, last, sentences[first])

    def _paired_categories(self, counted: list[Match]) -> set[str]:
        found = set[str]()
        for one, other, category, before, after in self.pairs:
            befores = {find.last + 1 for find in counted if find.mark == before}
            afters = {find.first - 1 for find in counted if find.mark == after}
            meant = [find for find in counted if find.mark == other]
            meant = [find for find in meant if find.first not in befores and find.last not in afters]
            begins = {(find.first, find.sentence) for find in meant}
            ends = {(find.last, find.sentence) for find in meant}
            for find in counted:
                if find.mark == one and any(
                    (find.last + step, find.sentence) in begins or (find.first - step, find.sentence) in ends
                    for step in range(1, PAIR_DISTANCE_MAX + 2)
                ):
                    found.add(category)
        return found


def _replace_words(pattern: re.Pattern[str], text: str, read: Callable[[str], str], disguise: re.Pattern[str]) -> str:
    """Replace each word that fits `pattern` and contains `riddle` (a disguise) by `read(word)`; at most RIDDLES_MAX
    different words."""
    known: dict[str, str] = {}

    def reading(found: re.Match[str]) -> str:
        word = found[0]
        if not disguise.search(word):
            return word
        if word not in known and len(known) < DISGUISES_MAX:
            known[word] = read(word)
        return known.get(word, word)

    return pattern.sub(reading, text)


def _is_deliberate(joined: str, lengths: list[int], as_written: list[int]) -> bool:
    """Whether words that together make up a phrase do so on purpose, not by accident."""
    if lengths == as_written or len(joined) >= JOINED_MIN:
        return True
    return len(joined) >= SPELLED_MIN and len(lengths) > 1 and max(lengths) == 1


def _variants(text: str) -> Iterator[str]:
    """The text as it is, and with hidden text revealed: within its word, and as a word of its own."""
    yield text
    if not text.isascii() and HIDDEN.search(text):
        yield HIDDEN.sub(lambda run: _reveal(run[0]), text)
        yield HIDDEN.sub(lambda run: f" {_reveal(run[0])} ", text)


def _reveal(run: str) -> str:
    codes = (code - 0xE0000 if code in TAGS else code - SELECTORS.start + 16 for code in map(ord, run))
    return "".join(chr(code) for code in codes if 0x20 <= code < 0x7F)


def fold(text: str) -> str:
    """The text in plain lower case: look-alikes become letters, accents and invisible characters are left out."""
    if text.isascii():
        return text.lower()
    # Imported here because it is large and most texts do not need it.
    import unicodedata

    shown = unicodedata.normalize("NFKD", text).casefold().translate(_lookalikes())
    return "".join(sign for sign in shown if sign.isascii() or unicodedata.category(sign) not in ("Mn", "Me", "Cf"))


@cache
def _lookalikes() -> dict[int, str | None]:
    table: dict[int, str | None] = {ord(sign): letter for letter, *signs in LOOKALIKES.split() for sign in signs}
    table |= {first + place: letter for first in ALPHABETS for place, letter in enumerate(ascii_lowercase)}
    return table | dict.fromkeys(INVISIBLE_LETTERS)


def _read_signs(word: str, table: dict[int, int], *, keep_final_signs: bool) -> str:
    """Read the digits and signs of a word as letters. loud: `!`, `|` and `+` at its end are no letters."""
    if not LETTER.search(word):
        # A number without any letter stays a number.
        return word
    body = word.rstrip("!|+") if keep_final_signs else word
    return f"{body.translate(table)} {word[len(body) :]}"


def parse_phrases(lines: str, *, foreign: bool = True) -> Phrases:
    """Parse lines in the format of `blocklist.txt`. foreign: False leaves out phrases that are not ASCII.
    Raises ValueError, which quotes the line, for a line that is neither a section, a pair nor a phrase."""
    phrases = Phrases()
    mark, groups = "", set[str]()
    for number, line in enumerate(lines.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        if content[0] == "[" and content[-1] == "]":
            mark = content[1:-1]
            if mark not in CATEGORIES and mark != EXCEPT:
                groups.add(mark)
        elif "~" in content:
            pair, *spared = (part.strip() for part in content.split("!"))
            one, _, other = (part.strip() for part in pair.partition("~"))
            if not {one, other, *spared} <= groups or len(spared) not in (0, 2) or mark not in CATEGORIES:
                raise ValueError(f"line {number} of the blocklist pairs no groups: {content}")
            before, after = spared or ("", "")
            phrases.pairs.append((one, other, mark, before, after))
        elif not mark or not all(word.isalnum() for word in _expand(content, "1", "1").split()):
            raise ValueError(f"line {number} of the blocklist is no phrase of a section: {content}")
        elif foreign or content.isascii():
            phrases.add(fold(_expand(content, AGE, FREE)), mark)
    return phrases


def _expand(phrase: str, age: str, free: str) -> str:
    return phrase.replace("{age}", age).replace("{free}", free)


class Blocklist:
    """A blocklist in the format of `blocklist.txt`, parsed at first use."""

    def __init__(self, lines: Callable[[], str]) -> None:
        self._lines = lines

    def categories_of(self, text: str, *, wanted: bool = True) -> frozenset[Category]:
        """The categories of a text. wanted: False for a negative prompt, whose words are near each other by chance, so
        that pairs of words do not count."""
        phrases = self._ascii if text.isascii() else self._all
        marks = set[str]().union(*(phrases.marks_of(fold(each), wanted=wanted) for each in _variants(text)))
        return frozenset(category for category in Category if category in marks)

    @cached_property
    def _ascii(self) -> Phrases:
        # Enough for an ASCII text; folding the other phrases needs a large table, which a cold start would wait for.
        return parse_phrases(self._lines(), foreign=False)

    @cached_property
    def _all(self) -> Phrases:
        return parse_phrases(self._lines())


DEFAULT_BLOCKLIST = Blocklist(lambda: FILE.read_text("utf-8"))
