"""How `local/voice` speaks: espeak-ng, in a process of its own.

The library keeps the state of its noise from one call to the next and has no way back; a fresh process says the same
text in the same samples each time, and a fault in C ends nothing else.
"""

from __future__ import annotations

import re
import subprocess  # nosec B404
import sys
from array import array
from pathlib import Path

from atelier.pricing import speakable
from atelier.providers._contract import Job, Output
from atelier.providers._given import Refused, choice, number
from atelier.providers._sound import RATE, Sound, mp3, wav

TITLE = "Atelier local/voice"

CHARACTERS_MAX = 4096
SECONDS_MAX = 30
# Each takes a voice of its own: some milliseconds.
PIECES_MAX = 1000
NO_SUCH_VOICE, TOO_LONG = 3, 4
# Of 32 767: what is never louder is a silence.
QUIET = 50
WORDS_A_MINUTE = 170
# Our names, and those that programs written for other speech services send.
VOICES = {
    "ada": "en-gb+f2",
    "ben": "en-gb+m3",
    "cora": "en-us+f4",
    "dan": "en-us+m7",
    "alloy": "en-us+f1",
    "ash": "en-us+m1",
    "ballad": "en-gb+m2",
    "cedar": "en-us+m8",
    "coral": "en-us+f2",
    "echo": "en-us+m4",
    "fable": "en-gb+m4",
    "marin": "en-us+f5",
    "nova": "en-us+f3",
    "onyx": "en-us+m5",
    "sage": "en-us+f4",
    "shimmer": "en-gb+f3",
    "verse": "en-us+m6",
}
# Which of espeak-ng's voices reads a script. Those are left out whose words it does not know: it names their letters.
LANGUAGE_OF = {
    "latin": "en-gb",
    "han": "cmn",
    "kana": "ja",
    "hangul": "ko",
    "arabic": "ar",
    "cyrillic": "ru",
    "greek": "el",
    "devanagari": "hi",
    "bengali": "bn",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "gujarati": "gu",
    "gurmukhi": "pa",
    "oriya": "or",
    "sinhala": "si",
    "georgian": "ka",
    "armenian": "hy",
    "ethiopic": "am",
}
# Letters by which another language with the same script is known.
OWN_LETTERS = {
    "cyrillic": ((frozenset("іїєґІЇЄҐ"), "uk"),),
    "arabic": ((frozenset("ٹڈڑںےہھ"), "ur"), (frozenset("پچژگ"), "fa")),
}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}(\+[mf][1-8])?")


def spoken(job: Job) -> tuple[Output, int]:
    """The prompt as a file, and its length in milliseconds; parameters: voice, speed, format. Raises
    Refused."""
    sound = speech(job)
    if choice(job, "format", ("mp3", "wav")) == "wav":
        return Output(wav(sound, TITLE), content_type="audio/wav"), sound.milliseconds
    return Output(mp3(sound, TITLE), content_type="audio/mpeg"), sound.milliseconds


def speech(job: Job) -> Sound:
    """The prompt as samples; `voice` is one of VOICES, or a language such as `de` or `pt-br+f2`. Raises Refused."""
    text, voice = job.prompt, str(job.parameters.get("voice") or "ada")
    speed = number(job, "speed", 1, 0.5, 2)
    named = VOICES.get(voice, voice)
    if not LANGUAGE.fullmatch(named):
        raise Refused("There is no such voice.")
    if len(text) > CHARACTERS_MAX:
        raise Refused(f"The text is longer than {CHARACTERS_MAX} characters.")
    # Control characters and halves of pairs are no words; espeak-ng would read tags as such.
    words = speakable.plain(re.sub(r"[\0-\x08\x0b-\x1f\ud800-\udfff]", " ", text).strip())
    if refusal := speakable.refusal(words, tuple(LANGUAGE_OF)):
        raise Refused(f"The text {refusal}" if refusal.startswith("has") else "There is nothing to say.")
    language, plus, variant = named.partition("+")
    voices, pieces = list[str](), list[bytes]()
    for script, piece in speakable.runs(words):
        voices.append(f"{_language(script, piece, language)}{plus}{variant}")
        pieces.append(piece.encode())
    if len(pieces) > PIECES_MAX:
        raise Refused(f"The text changes its script {len(pieces) - 1:,} times; it may {PIECES_MAX - 1:,} times.")
    import espeakng_loader  # pyright: ignore[reportMissingTypeStubs]

    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_speaking.py"))]
    command += [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
    command += [str(round(WORDS_A_MINUTE * speed)), *voices]
    # Our own program and library, by their paths; the text goes through its standard input.
    try:
        said = subprocess.run(  # nosec B603
            command,
            input=b"\0".join(pieces),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # The text decides how long it takes: another try would take as long.
        raise Refused(f"To speak the text takes longer than {SECONDS_MAX} seconds, the most that is spent.") from None
    if said.returncode == NO_SUCH_VOICE:
        raise Refused("There is no such voice.")
    if said.returncode == TOO_LONG:
        raise Refused("Spoken, the text is longer than half an hour.")
    said.check_returncode()
    samples = array("h", said.stdout)
    if len(samples) < RATE // 20 or max(map(abs, samples)) < QUIET:
        raise Refused("There is nothing to say.")
    return Sound(samples)


def _language(script: str, piece: str, asked_for: str) -> str:
    """Whose voice reads a piece: the one that was asked for, where the script is its own."""
    if script == "latin":
        return asked_for
    letters = set(piece)
    for own, language in OWN_LETTERS.get(script, ()):
        if letters & own:
            return language
    return LANGUAGE_OF[script]
