"""The audio parts of a long speech, joined: whatever length each part declares, all of it is kept."""

from __future__ import annotations

import struct

import pytest

from atelier.adapters.media import audio
from atelier.adapters.media.processed import MediaInvalid
from atelier.adapters.providers._speech_parts import duration_milliseconds, join_audio
from infra.simulators.kit.samples import sample_audio as tone
from infra.simulators.kit.samples import sample_wav


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_streamed_wav_parts_are_joined_at_full_length(claimed: int) -> None:
    streamed = bytearray(sample_wav(2))
    struct.pack_into("<I", streamed, 4, claimed)
    struct.pack_into("<I", streamed, 40, claimed)
    whole = join_audio([bytes(streamed)] * 3, "wav")
    assert duration_milliseconds(whole, "wav") == 6000
    assert audio.process(whole).duration_ms == 6000


@pytest.mark.parametrize("form", ["mp3", "aac", "opus", "wav", "pcm"])
@pytest.mark.parametrize("number", [1, 3])
def test_joined_speech_is_as_long_as_its_parts_in_every_format(form: str, number: int) -> None:
    made = audio.process(join_audio([tone(2, form)] * number, form))
    assert made.duration_ms == pytest.approx(2000 * number, abs=200)


@pytest.mark.parametrize("requested", ["mp3", "aac", "opus", "wav", "pcm"])
@pytest.mark.parametrize("number", [1, 3])
def test_speech_parts_in_another_format_than_requested_are_joined(requested: str, number: int) -> None:
    forms = ["wav"] if requested == "pcm" else ["mp3", "aac", "opus", "wav"]
    for form in forms:
        made = audio.process(join_audio([tone(2, form)] * number, requested))
        assert made.duration_ms == pytest.approx(2000 * number, abs=200), form


@pytest.mark.parametrize(
    "parts",
    [
        [sample_wav(2), tone(2, "mp3")],
        [tone(2, "flac")] * 2,
        [sample_wav(2), sample_wav(2)[:24] + struct.pack("<I", 8000) + sample_wav(2)[28:]],
    ],
    ids=["two forms", "flac", "two rates"],
)
def test_speech_parts_that_cannot_be_joined_are_refused(parts: list[bytes]) -> None:
    with pytest.raises(MediaInvalid):
        audio.process(join_audio(parts, "wav"))
