"""Which scripts a text is written in, and whether it has anything to speak: checked before the speech is paid for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

TAG = re.compile(r"<[^<>]*>")
# Script by the first word of a character's Unicode name; for all other scripts that word is the name itself.
SCRIPT_NAMES = {"cjk": "han", "hiragana": "kana", "katakana": "kana", "katakana-hiragana": "kana"}
KANA, HAN, KANJI = "kana", "han", "kanji"
LANGUAGES = {
    "latin": "languages in Latin letters",
    "han": "Chinese",
    "kana": "Japanese in kana",
    "hangul": "Korean",
    "arabic": "Arabic, Persian and Urdu",
    "cyrillic": "Russian and Ukrainian",
    "greek": "Greek",
    "devanagari": "Hindi",
    "bengali": "Bengali",
    "tamil": "Tamil",
    "telugu": "Telugu",
    "kannada": "Kannada",
    "malayalam": "Malayalam",
    "gujarati": "Gujarati",
    "gurmukhi": "Punjabi",
    "oriya": "Odia",
    "sinhala": "Sinhala",
    "georgian": "Georgian",
    "armenian": "Armenian",
    "ethiopic": "Amharic",
}


def is_speakable(text: str) -> bool:
    """Whether the text has a letter or a number outside of tags."""
    return any(character.isalnum() for character in TAG.sub(" ", text))


def normalize(text: str) -> str:
    """The text with usual letters and digits in place of variants (full width, bold, in a circle, with a separate
    accent), because voices read such variants by their Unicode names."""
    return "".join(map(_usual_form, unicodedata.normalize("NFC", text)))


def _usual_form(character: str) -> str:
    if character.isascii():
        return character
    usual = unicodedata.normalize("NFKC", character)
    is_same = usual.isdecimal() if character.isdecimal() else usual.isalpha()
    return usual if is_same and (character.isalpha() or len(usual) == 1) else character


def script_runs(text: str) -> Iterator[tuple[str, str]]:
    """Split the text into (script, piece). Characters of no script go with the piece before them. Ideographs in a text
    that also has kana are `kanji`, because they are not read as Chinese."""
    scripts = [_script(character) for character in text]
    ideographs = KANJI if KANA in scripts else HAN
    current, start = "", 0
    for at, own in enumerate(scripts):
        script = ideographs if own == HAN else own
        if script and script != current:
            if current:
                yield current, text[start:at]
                start = at
            current = script
    if current:
        yield current, text[start:]
    elif text:
        yield "latin", text


def speech_error(text: str, scripts: tuple[str, ...]) -> str | None:
    """Why a voice that reads these scripts (empty = all) cannot speak the text; None = it can."""
    text = normalize(text)
    if not is_speakable(text):
        return "there is nothing in it to speak: no letter and no number"
    found = {script for script, _ in script_runs(text)} if scripts else set[str]()
    unread = sorted(found - set(scripts))
    if not unread:
        return None
    spoken = ", ".join(LANGUAGES[script] for script in scripts)
    return f"has letters of a script that this voice cannot read ({', '.join(unread)}). It speaks {spoken}."


def _script(character: str) -> str:
    """The script of a letter; empty for any other character."""
    if character.isascii():
        return "latin" if character.isalpha() else ""
    # Normalised first, so that letters in a circle, of full width or in bold count as letters.
    usual = unicodedata.normalize("NFKC", character)[:1]
    if not usual.isalpha() or unicodedata.category(usual) == "Lm":
        return ""
    name = unicodedata.name(usual, "").lower().partition(" ")[0]
    return SCRIPT_NAMES.get(name, name)
