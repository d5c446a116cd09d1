"""A program: says what comes on standard input, as 16-bit samples on standard output, through espeak-ng.

python _speaking.py <library> <its data> <voice> <words a minute>; status 3: there is no such voice. It stands alone, so
that starting it costs nothing but the library.
"""

import ctypes
import sys

SYNCHRONOUS, UTF8, RATE_PARAMETER = 2, 1, 1
SAMPLES_A_SECOND = 22050
NO_SUCH_VOICE = 3


def main() -> int:
    """Speak; the exit status."""
    library_path, data_path, voice, words_a_minute = sys.argv[1:]
    library = ctypes.CDLL(library_path)
    # From the data's own folder, no buffer wanted, no audio device touched.
    if library.espeak_Initialize(SYNCHRONOUS, 0, data_path.encode(), 0) != SAMPLES_A_SECOND:
        return 1
    # Otherwise the second in which it starts decides how a voice trembles.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))

    heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    @heard
    def keep(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            sys.stdout.buffer.write(ctypes.string_at(samples, count * 2))
        return 0

    library.espeak_SetSynthCallback(keep)
    language, plus, variant = voice.partition("+")
    # A country that has no voice of its own takes its language's.
    for name in (language, language.partition("-")[0]):
        if library.espeak_SetVoiceByName(f"{name}{plus}{variant}".encode()) == 0:
            break
    else:
        return NO_SUCH_VOICE
    library.espeak_SetParameter(RATE_PARAMETER, int(words_a_minute), 0)
    text = sys.stdin.buffer.read() + b"\0"
    failed = library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, UTF8, None, None)
    return 1 if failed or library.espeak_Synchronize() else 0


if __name__ == "__main__":
    sys.exit(main())
