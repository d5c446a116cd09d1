"""A program: says what comes on standard input, as 16-bit samples on standard output, through espeak-ng.

python _speaking.py <library> <its data> <words a minute> <voice> ...: as many voices as there are pieces of text, which
are separated by zero bytes; status 3: there is no such voice, 4: it lasts too long. It stands alone, so that starting
it costs nothing but the library.
"""

import ctypes
import sys

SYNCHRONOUS, UTF8, RATE_PARAMETER = 2, 1, 1
SAMPLES_A_SECOND = 22050
NO_SUCH_VOICE, TOO_LONG = 3, 4
SECONDS_MAX = 30 * 60


def main() -> int:
    """Speak; the exit status."""
    library_path, data_path, words_a_minute, *voices = sys.argv[1:]
    library = ctypes.CDLL(library_path)
    # From the data's own folder, no buffer wanted, no audio device touched.
    if library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), 0) != SAMPLES_A_SECOND:
        return 1
    # Otherwise the second in which it starts decides how a voice trembles.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    spoken = 0

    @heard
    def keep(samples: int | None, count: int, _events: int | None) -> int:
        nonlocal spoken
        if samples and count > 0:
            spoken += count
            sys.stdout.buffer.write(ctypes.string_at(samples, count * 2))
        # Anything but 0 stops it.
        return int(spoken > SECONDS_MAX * SAMPLES_A_SECOND)

    library.espeak_SetSynthCallback(keep)
    for voice, piece in zip(voices, sys.stdin.buffer.read().split(b"\0"), strict=True):
        if not _set(library, voice):
            return NO_SUCH_VOICE
        library.espeak_SetParameter(RATE_PARAMETER, int(words_a_minute), 0)
        text = piece + b"\0"
        failed = library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
        failed = failed or library.espeak_Synchronize()
        if spoken > SECONDS_MAX * SAMPLES_A_SECOND:
            return TOO_LONG
        if failed:
            return 1
    return 0


def _set(library: ctypes.CDLL, voice: str) -> bool:
    """Take this voice; a country that has none of its own takes its language's."""
    language, plus, variant = voice.partition("+")
    names = (language, language.partition("-")[0])
    return any(library.espeak_SetVoiceByName(f"{name}{plus}{variant}".encode()) == 0 for name in names)


if __name__ == "__main__":
    sys.exit(main())
