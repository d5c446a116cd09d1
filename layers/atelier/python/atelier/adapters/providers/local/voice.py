"""How `local/voice` speaks: with espeak-ng in a subprocess.

espeak-ng keeps the state of its noise generator between calls and cannot reset it. A new process gives the same samples
for the same text each time, and a crash in the C library ends only that process.
"""

from __future__ import annotations

import re
import subprocess  # nosec B404
import sys
from array import array
from pathlib import Path

from atelier.adapters.providers.local.audio import RATE, Audio, encode_mp3, encode_wav
from atelier.adapters.providers.local.parameters import JobRefused, choice_parameter, number_parameter
from atelier.catalogue import speakable
from atelier.provider_port import Job, Output

TITLE = "Atelier local/voice"

CHARACTERS_MAX = 4096
SECONDS_MAX = 30
# A piece is a run of one script; switching the voice for each piece takes some milliseconds.
PIECES_MAX = 1000
NO_SUCH_VOICE, TOO_LONG = 3, 4
# Audio whose samples (up to 32,767) never exceed this counts as silence.
SILENCE_LEVEL_MAX = 50
WORDS_PER_MINUTE = 170
# Our voice names, and those that clients of other speech services send, each with espeak-ng's voice.
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
# The espeak-ng language for each script. Scripts whose words espeak-ng does not know are left out: it would spell them.
LANGUAGE_BY_SCRIPT = {
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
# Letters that show that a text is in another language of the same script.
DISTINCTIVE_LETTERS = {
    "cyrillic": ((frozenset("іїєґІЇЄҐ"), "uk"),),
    "arabic": ((frozenset("ٹڈڑںےہھ"), "ur"), (frozenset("پچژگ"), "fa")),
}
LANGUAGE_PATTERN = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}(\+[mf][1-8])?")


def make_speech(job: Job) -> tuple[Output, int]:
    """The spoken prompt as an audio file, and its length in milliseconds; parameters: voice, speed, format. Raises
    Refused."""
    audio = synthesize(job)
    if choice_parameter(job, "format", ("mp3", "wav")) == "wav":
        return Output(encode_wav(audio, TITLE), content_type="audio/wav"), audio.milliseconds
    return Output(encode_mp3(audio, TITLE), content_type="audio/mpeg"), audio.milliseconds


def synthesize(job: Job) -> Audio:
    """The spoken prompt as samples. The parameter `voice` is one of VOICES, or an espeak-ng language such as `de` or
    `pt-br+f2`. Raises Refused."""
    text, voice = job.prompt, str(job.parameters.get("voice") or "ada")
    speed = number_parameter(job, "speed", 1, 0.5, 2)
    voice_name = VOICES.get(voice, voice)
    if not LANGUAGE_PATTERN.fullmatch(voice_name):
        raise JobRefused("There is no such voice.")
    if len(text) > CHARACTERS_MAX:
        raise JobRefused(f"The text is longer than {CHARACTERS_MAX} characters.")
    # Control characters and unpaired surrogates cannot be spoken. espeak-ng takes tags as markup, not as words.
    words = speakable.normalize(re.sub(r"[\0-\x08\x0b-\x1f\ud800-\udfff]", " ", text).strip())
    if refusal := speakable.speech_error(words, tuple(LANGUAGE_BY_SCRIPT)):
        raise JobRefused(f"The text {refusal}" if refusal.startswith("has") else "There is nothing to say.")
    language, plus, variant = voice_name.partition("+")
    voices, pieces = list[str](), list[bytes]()
    for script, piece in speakable.script_runs(words):
        voices.append(f"{_language_for(script, piece, language)}{plus}{variant}")
        pieces.append(piece.encode())
    if len(pieces) > PIECES_MAX:
        raise JobRefused(f"The text changes its script {len(pieces) - 1:,} times; it may {PIECES_MAX - 1:,} times.")
    import espeakng_loader  # pyright: ignore[reportMissingTypeStubs]

    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_speech_worker.py"))]
    command += [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
    command += [str(round(WORDS_PER_MINUTE * speed)), *voices]
    # The command holds only our own program and library paths; the text is passed on standard input.
    try:
        process = subprocess.run(  # nosec B603
            command,
            input=b"\0".join(pieces),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # The time depends on the text only, so a retry would take as long.
        raise JobRefused(
            f"To speak the text takes longer than {SECONDS_MAX} seconds, the most that is spent."
        ) from None
    if process.returncode == NO_SUCH_VOICE:
        raise JobRefused("There is no such voice.")
    if process.returncode == TOO_LONG:
        raise JobRefused("Spoken, the text is longer than half an hour.")
    process.check_returncode()
    samples = array("h", process.stdout)
    if len(samples) < RATE // 20 or max(map(abs, samples)) < SILENCE_LEVEL_MAX:
        raise JobRefused("There is nothing to say.")
    return Audio(samples)


def _language_for(script: str, piece: str, requested: str) -> str:
    """The espeak-ng language for a piece: the requested one for Latin script, else the script's own."""
    if script == "latin":
        return requested
    letters = set(piece)
    for distinctive, language in DISTINCTIVE_LETTERS.get(script, ()):
        if letters & distinctive:
            return language
    return LANGUAGE_BY_SCRIPT[script]
