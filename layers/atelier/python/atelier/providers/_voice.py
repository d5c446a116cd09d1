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

from atelier.providers._contract import Job, Output
from atelier.providers._given import Refused, choice, number
from atelier.providers._sound import Sound, mp3, wav

TITLE = "Atelier local/voice"

CHARACTERS_MAX = 4096
SECONDS_MAX = 30
NO_SUCH_VOICE = 3
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
    words = re.sub(r"[\0-\x08\x0b-\x1f\ud800-\udfff]", " ", text).strip()
    if not any(character.isalnum() for character in words):
        raise Refused("There is nothing to say.")
    import espeakng_loader  # pyright: ignore[reportMissingTypeStubs]

    command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_speaking.py"))]
    command += [espeakng_loader.get_library_path(), espeakng_loader.get_data_path()]
    command += [named, str(round(WORDS_A_MINUTE * speed))]
    # Our own program and library, by their paths; the text goes through its standard input.
    said = subprocess.run(  # nosec B603
        command, input=words.encode(), capture_output=True, timeout=SECONDS_MAX, check=False
    )
    if said.returncode == NO_SUCH_VOICE:
        raise Refused("There is no such voice.")
    said.check_returncode()
    samples = array("h", said.stdout)
    if not samples:
        raise Refused("There is nothing to say.")
    return Sound(samples)
