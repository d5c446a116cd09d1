"""A program that speaks the text on standard input with espeak-ng and writes 16-bit samples to standard output.

python _speech_worker.py <library> <its data> <words a minute> <voice> ...: one voice for each piece of text; the pieces
are separated by zero bytes. Exit status 3: there is no such voice; 4: the speech is too long. It imports nothing of the
package, so that it starts quickly.
"""

import ctypes
import sys

SYNCHRONOUS, UTF8, RATE_PARAMETER = 2, 1, 1
SAMPLES_PER_SECOND = 22050
NO_SUCH_VOICE, TOO_LONG = 3, 4
SECONDS_MAX = 30 * 60


def main() -> int:
    """Speak all pieces and return the exit status."""
    library_path, data_path, words_a_minute, *voices = sys.argv[1:]
    library = ctypes.CDLL(library_path)
    # SYNCHRONOUS: the samples go to a callback and no audio device is opened; 0 = the default buffer length.
    if library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), 0) != SAMPLES_PER_SECOND:
        return 1
    # Without a fixed seed, the noise in a voice would depend on the second in which the process starts.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    spoken = 0

    @callback_type
    def keep(samples: int | None, count: int, _events: int | None) -> int:
        nonlocal spoken
        if samples and count > 0:
            spoken += count
            sys.stdout.buffer.write(ctypes.string_at(samples, count * 2))
        # Any return value but 0 stops the synthesis.
        return int(spoken > SECONDS_MAX * SAMPLES_PER_SECOND)

    library.espeak_SetSynthCallback(keep)
    for voice, piece in zip(voices, sys.stdin.buffer.read().split(b"\0"), strict=True):
        if not _select_voice(library, voice):
            return NO_SUCH_VOICE
        library.espeak_SetParameter(RATE_PARAMETER, int(words_a_minute), 0)
        text = piece + b"\0"
        failed = library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
        failed = failed or library.espeak_Synchronize()
        if spoken > SECONDS_MAX * SAMPLES_PER_SECOND:
            return TOO_LONG
        if failed:
            return 1
    return 0


def _select_voice(library: ctypes.CDLL, voice: str) -> bool:
    """Select the voice, or that of the plain language if the country has none. Whether there is such a voice."""
    language, plus, variant = voice.partition("+")
    names = (language, language.partition("-")[0])
    return any(library.espeak_SetVoiceByName(f"{name}{plus}{variant}".encode()) == 0 for name in names)


if __name__ == "__main__":
    sys.exit(main())
