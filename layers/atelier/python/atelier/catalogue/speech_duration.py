"""An upper estimate of how long a text lasts when it is spoken, by the scripts that it is written in.

A price by the length of the audio is held by this estimate and settled by the measured length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

LATIN, SPELLED, SYLLABLE, KANA, HANGUL, DIGIT, SIGN = 77, 120, 350, 200, 300, 500, 500
# Milliseconds for a character, from each code point on. LATIN: a letter, at eight hundred a minute. SPELLED: a letter
# in a script that leaves vowels out, or writes them as separate signs. SYLLABLE: a syllable or a word in one character.
# Digits, signs and emoji are read out as words.
CHARACTER_MILLISECONDS: tuple[tuple[int, int], ...] = (
    (0x0000, LATIN),
    (0x0021, LATIN),  # Punctuation is a pause; READ_OUT has the signs that are read out.
    (0x0030, DIGIT),
    (0x003A, LATIN),
    (0x0080, SIGN),
    (0x00C0, LATIN),
    (0x0370, 90),  # Greek, Cyrillic, Armenian
    (0x0590, SPELLED),  # Hebrew, Arabic, Syriac, Thaana, the scripts of India, Thai, Lao, Tibetan, Burmese
    (0x10A0, 90),  # Georgian
    (0x1100, HANGUL),
    (0x1200, SYLLABLE),  # Ethiopic, Cherokee, Canadian syllabics
    (0x1680, SPELLED),
    (0x1780, SPELLED),  # Khmer, Mongolian
    (0x1C90, 90),
    (0x1E00, LATIN),
    (0x2000, LATIN),
    (0x2030, SIGN),
    (0x2070, DIGIT),
    (0x20A0, SIGN),
    (0x2C00, 90),
    (0x2E00, LATIN),
    (0x2E80, SYLLABLE),
    (0x3000, LATIN),
    (0x3040, KANA),
    (0x3100, SYLLABLE),
    (0x3130, HANGUL),
    (0x3190, SYLLABLE),
    (0x31F0, KANA),
    (0x3200, SYLLABLE),
    (0xA4D0, SPELLED),
    (0xAC00, HANGUL),
    (0xD7B0, HANGUL),
    (0xD800, SIGN),
    (0xF900, SYLLABLE),
    (0xFB00, LATIN),
    (0xFB1D, SPELLED),
    (0xFE00, 0),  # Variation selectors
    (0xFE10, LATIN),
    (0xFE70, SPELLED),
    (0xFF00, LATIN),
    (0xFF10, DIGIT),
    (0xFF1A, LATIN),
    (0xFF66, KANA),
    (0xFFA0, HANGUL),
    (0xFFE0, SIGN),
    (0x10000, SYLLABLE),
    (0x1F000, 1000),
    (0x20000, SYLLABLE),
    (0xE0000, 0),
)
RANGE_STARTS = [start for start, _ in CHARACTER_MILLISECONDS]
READ_OUT_SIGNS = frozenset("#$%&*+/<=>@\\^_|~")
# The digits of other scripts.
DIGIT_STARTS = (0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0x1040)
# The slowest speed of a voice, in hundredths; a smaller one counts as this.
SPEED_HUNDREDTHS_MIN = 25


def spoken_milliseconds(text: str, speed: float | None = None) -> int:
    """An upper estimate of the spoken length at a speed (1 = as usual), with a constant for silence around it."""
    usual = 500 + sum(_milliseconds(character) * number for character, number in Counter(text).items())
    hundredths = max(int((speed or 1) * 100), SPEED_HUNDREDTHS_MIN)
    return -(-usual * 100 // hundredths)


def _milliseconds(character: str) -> int:
    point = ord(character)
    if character in READ_OUT_SIGNS:
        return SIGN
    if any(start <= point < start + 10 for start in DIGIT_STARTS):
        return DIGIT
    return CHARACTER_MILLISECONDS[bisect_right(RANGE_STARTS, point) - 1][1]
