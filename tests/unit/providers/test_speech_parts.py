"""The sounds of a long text's parts, joined: whatever each says of its length, all of it is heard."""

from __future__ import annotations

import struct

import pytest

from atelier.media import sound
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
