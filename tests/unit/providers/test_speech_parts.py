"""The audio parts of a long speech, joined: whatever length each part declares, all of it is kept."""

from __future__ import annotations

import struct

import pytest

from atelier.media import sound
from atelier.media.processed import MediaInvalid
from atelier.providers._speech_parts import duration_milliseconds, joined
from infra.local.standins._kit import sound as tone
from infra.local.standins._kit import wav


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wavs_that_were_streamed_are_joined_whole(claimed: int) -> None:
    streamed = bytearray(wav(2))
    struct.pack_into("<I", streamed, 4, claimed)
    struct.pack_into("<I", streamed, 40, claimed)
    whole = joined([bytes(streamed)] * 3, "wav")
    assert duration_milliseconds(whole, "wav") == 6000
    assert sound.process(whole).duration_ms == 6000


@pytest.mark.parametrize("form", ["mp3", "aac", "opus", "wav", "pcm"])
@pytest.mark.parametrize("number", [1, 3])
def test_every_form_that_is_asked_for_is_delivered_as_long_as_its_parts(form: str, number: int) -> None:
    made = sound.process(joined([tone(2, form)] * number, form))
    assert made.duration_ms == pytest.approx(2000 * number, abs=200)


@pytest.mark.parametrize("asked_for", ["mp3", "aac", "opus", "wav", "pcm"])
@pytest.mark.parametrize("number", [1, 3])
def test_parts_of_a_server_that_knows_one_form_alone_are_joined_as_that(asked_for: str, number: int) -> None:
    forms = ["wav"] if asked_for == "pcm" else ["mp3", "aac", "opus", "wav"]
    for form in forms:
        made = sound.process(joined([tone(2, form)] * number, asked_for))
        assert made.duration_ms == pytest.approx(2000 * number, abs=200), form


@pytest.mark.parametrize(
    "parts",
    [[wav(2), tone(2, "mp3")], [tone(2, "flac")] * 2, [wav(2), wav(2)[:24] + struct.pack("<I", 8000) + wav(2)[28:]]],
    ids=["two forms", "flac", "two rates"],
)
def test_parts_that_cannot_be_joined_are_no_sound_rather_than_half_of_one(parts: list[bytes]) -> None:
    with pytest.raises(MediaInvalid):
        sound.process(joined(parts, "wav"))
