#!/bin/bash
# espeak-ng (espeakng-loader 0.2.4) given Arabic text with an English voice succeeds, and speaks the *names* of the
# letters one after the other: the sound is several times as long as with the Arabic voice, and nothing in the result
# says that no word was read. Whoever sells speech has to look at the script first and choose the voice by it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check espeakng-loader==0.2.4
"$folder/venv/bin/python" - <<'PYTHON'
import ctypes
import espeakng_loader

SYNCHRONOUS, UTF8, TEXT = 2, 1, "مرحبا بالعالم. الطقس جميل اليوم."
library = ctypes.CDLL(espeakng_loader.get_library_path())
rate = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
samples = 0


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def count(_sound, number, _events):
    global samples
    samples += number
    return 0


library.espeak_SetSynthCallback(count)
seconds = {}
for voice in ("ar", "en"):
    samples = 0
    library.espeak_SetVoiceByName(voice.encode())
    text = TEXT.encode() + b"\0"
    status = library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()
    seconds[voice] = samples / rate
    print(f"voice {voice}: status {status}, {seconds[voice]:.1f} s of sound")
if status != 0 or seconds["en"] < 2 * seconds["ar"]:
    raise SystemExit("changed: the English voice fails, or no longer names the letters")
PYTHON
