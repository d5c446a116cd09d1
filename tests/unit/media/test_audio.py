"""The processing of a provider's audio: decoded completely, freed of its metadata, with the same samples."""

from __future__ import annotations

import hashlib
import io
import random
import struct

import av
import pytest
from av.stream import Disposition
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atelier.adapters.media import audio
from atelier.adapters.media.processed import MediaInvalid
from atelier.adapters.providers.local.provider import Local
from atelier.provider_port import Done, Job
from infra.simulators.kit.samples import sample_audio as tone
from infra.simulators.kit.samples import sample_wav
from tests.unit.media import av_files
from tests.unit.media.av_files import SECRET, TAGS, decode_file, with_tags

FORMS = {"mp3": "mp3", "wav": "wav", "flac": "flac", "opus": "ogg", "aac": "adts"}


def spoken(text: str, format: str) -> bytes:
    work = Job("att_01K9ABCDEFGHJKMNPQRSTVWXYZ", "audio", "local/voice", text, parameters={"format": format})
    done = Local().submit(work)
    assert isinstance(done, Done)
    return done.outputs[0].data or b""


@pytest.mark.parametrize("form", ["mp3", "wav"])
def test_a_local_providers_speech_keeps_its_samples(form: str) -> None:
    data = spoken("Good morning, and welcome on board.", form)
    made = audio.process(data)
    before, after = decode_file(data), decode_file(made.data)
    assert (made.type, made.format, made.width, made.height) == ("audio", form, None, None)
    assert made.content_type == {"mp3": "audio/mpeg", "wav": "audio/wav"}[form]
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()
    assert made.duration_ms == pytest.approx(before.audio_seconds * 1000, abs=1)
    assert after.samples == before.samples
    assert not after.is_silent
    assert b"Procedural" in data
    assert b"Procedural" not in made.data


@pytest.mark.parametrize(("kind", "form"), FORMS.items())
def test_every_audio_format_keeps_its_samples_and_loses_its_tags(kind: str, form: str) -> None:
    data = tone(2, kind)
    if kind == "aac":
        # Such a file can have tags only before its first frame.
        described = b"ID3\x04\0\0\0\0\0\x7f" + (b"TIT2" + SECRET.encode()).ljust(127, b"\0") + data
    else:
        described = with_tags(data, form)
    assert b"canary" in described
    made = audio.process(described)
    assert b"canary" not in made.data
    assert not {"title", "comment", "artist"} & {name.lower() for name in decode_file(made.data).tags}
    assert decode_file(made.data).samples == decode_file(data).samples
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert made.format == ("ogg" if kind == "opus" else kind)


def test_tags_at_both_ends_of_an_mp3_are_removed() -> None:
    described = with_tags(tone(1, "mp3"), "mp3", TAGS, write_id3v1="1", write_apetag="1")
    old = b"TAG" + SECRET.encode().ljust(125, b"\0")
    made = audio.process(described + old)
    assert b"canary" not in made.data
    assert b"TAG" not in made.data[-128:]
    assert not made.data.startswith(b"ID3")


def test_html_in_a_tag_is_removed_and_html_as_audio_is_refused() -> None:
    page = b"<!doctype html><script>alert(1)</script>"
    tag = b"ID3\x03\0\0" + struct.pack(">I", len(page)) + page
    assert page not in audio.process(tag + tone(1, "mp3")).data
    for data in (page, tag + page, b"ID3" + page, tag):
        with pytest.raises(MediaInvalid):
            audio.process(data)


def test_the_same_bytes_give_the_same_hash() -> None:
    for kind in FORMS:
        data = tone(1, kind)
        assert audio.process(data) == audio.process(data)


def test_the_waveform_thumbnail_shows_where_the_audio_is_loud() -> None:
    quiet_then_loud = bytearray(sample_wav(2))
    middle = 44 + (len(quiet_then_loud) - 44) // 4 * 2
    quiet_then_loud[44:middle] = bytes(middle - 44)
    picture = Image.open(io.BytesIO(audio.process(bytes(quiet_then_loud)).thumbnail or b"")).convert("L")
    assert (picture.format or "WEBP", picture.size) == ("WEBP", (512, 160))
    row = [picture.crop((x, 40, x + 4, 44)).getextrema() for x in (100, 200, 312, 412)]
    assert [dark < 200 for dark, _ in row] == [False, False, True, True]


def test_silent_audio_is_accepted() -> None:
    silent = bytearray(sample_wav(1))
    silent[44:] = bytes(len(silent) - 44)
    made = audio.process(bytes(silent))
    assert made.duration_ms == 1000
    assert decode_file(made.data).is_silent
    assert made.thumbnail


# ---- formats of devices and programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "form", "rate", "options", "expected"),
    [
        ("aac", "ipod", 44_100, {}, ("m4a", "aac")),
        ("aac", "mp4", 48_000, {"movflags": "frag_keyframe+empty_moov"}, ("m4a", "aac")),
        ("alac", "ipod", 44_100, {}, ("flac", "flac")),
        ("libopus", "webm", 48_000, {"live": "1"}, ("ogg", "opus")),
        ("libopus", "mp4", 48_000, {}, ("ogg", "opus")),
        ("pcm_s16le", "matroska", 48_000, {}, ("wav", "pcm_s16le")),
        ("libopencore_amrnb", "amr", 8_000, {}, ("m4a", "aac")),
        ("libopencore_amrnb", "3gp", 8_000, {}, ("m4a", "aac")),
        ("pcm_s16be", "aiff", 44_100, {}, ("wav", "pcm_s16le")),
        ("pcm_s24be", "caf", 44_100, {}, ("wav", "pcm_s24le")),
        ("pcm_s24le", "wav", 96_000, {}, ("wav", "pcm_s24le")),
        ("pcm_f32le", "wav", 48_000, {}, ("wav", "pcm_f32le")),
        ("adpcm_ima_wav", "wav", 22_050, {}, ("wav", "pcm_s16le")),
    ],
)
def test_formats_of_phones_and_browsers_are_accepted(
    codec: str, form: str, rate: int, options: dict[str, str], expected: tuple[str, str]
) -> None:
    data = av_files.make_audio(codec, form, rate=rate, options=options)
    made = audio.process(data)
    again = decode_file(made.data)
    assert (made.format, *again.codecs) == expected
    assert made.duration_ms == pytest.approx(2000, abs=80)
    assert again.audio_seconds == pytest.approx(2, abs=0.08)
    assert not again.is_silent


def test_a_voice_memos_cover_is_dropped() -> None:
    cover = io.BytesIO()
    Image.new("RGB", (32, 32), (9, 99, 9)).save(cover, "JPEG")
    file = io.BytesIO()
    with av.open(io.BytesIO(av_files.make_audio("aac", "ipod"))) as plain, av.open(file, "w", format="mp4") as made:
        to = made.add_stream_from_template(plain.streams[0])
        shown = made.add_stream("mjpeg", rate=1)
        shown.width, shown.height, shown.pix_fmt = 32, 32, "yuvj420p"
        shown.disposition = Disposition.attached_pic
        for packet in plain.demux():
            if packet.size:
                packet.stream = to
                made.mux(packet)
        picture = av.Packet(cover.getvalue())
        picture.stream, picture.pts, picture.dts = shown, 0, 0
        made.mux(picture)
    assert decode_file(audio.process(file.getvalue()).data).codecs == ("aac",)


MP3 = tone(2, "mp3")
COVER = random.Random(3).randbytes(200_000).replace(b"\xff", b"\x00")


def tag(content: bytes) -> bytes:
    size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + content


@pytest.mark.parametrize(
    "padded",
    [
        bytes(3000) + MP3,
        tag(b"TIT2") + bytes(5000) + MP3,
        tag(b"TIT2") + b"some junk that is no frame" + MP3,
        tag(COVER) + MP3,
        tag(COVER)[:-50_000] + MP3,
        tag(bytes(100)) + tag(bytes(200)) + MP3,
        b"APETAGEX\xd0\x07\0\0" + struct.pack("<II", 50, 1) + bytes(12) + bytes(50) + MP3,
        b"\xff\xfb\x90 looks like a frame" + MP3,
        MP3 + bytes(5000),
        MP3 + b"APETAGEX\xd0\x07\0\0" + struct.pack("<II", 32, 0) + bytes(12),
        MP3[:4000] + b"junk between the frames" + MP3[4000:],
    ],
    ids=["zeros", "padding", "junk", "cover", "short", "two tags", "ape", "false head", "tail", "ape tail", "between"],
)
def test_an_mp3_with_padding_has_the_same_length_as_one_without(padded: bytes) -> None:
    made = audio.process(padded)
    assert made.format == "mp3"
    assert made.duration_ms == pytest.approx(audio.process(MP3).duration_ms, abs=60)
    assert not decode_file(made.data).is_silent


def test_a_tag_with_a_footer_before_a_flac_is_removed() -> None:
    flac = av_files.make_audio("flac", "flac")
    footed = b"ID3\x04\0\x10" + tag(bytes(300))[6:] + b"3DI\x04\0\x10" + tag(bytes(300))[6:10]
    assert audio.process(footed + flac) == audio.process(flac)


@pytest.mark.parametrize("place", [12, 36, -1])
def test_a_wavs_broken_chunk_beside_its_samples_is_ignored(place: int) -> None:
    plain = sample_wav(2)
    before, after = (plain, b"") if place < 0 else (plain[:place], plain[place:])
    broken = before + b"LIST" + struct.pack("<I", 3) + b"abc\0" + after
    assert audio.process(broken) == audio.process(plain)


def test_zeros_and_junk_without_audio_are_refused() -> None:
    for data in (bytes(10**6), b"x" * 10**6, b"\xff" * 10**6, b"\xff\xfb\x90" * 10**5):
        with pytest.raises(MediaInvalid):
            audio.process(data)


def test_chained_ogg_streams_are_joined() -> None:
    made = audio.process(tone(2, "opus") + tone(3, "opus") + tone(1, "opus"))
    assert made.duration_ms == pytest.approx(6000, abs=80)
    again = decode_file(made.data)
    assert again.seconds == pytest.approx(6, abs=0.1)
    assert again.audio_seconds == pytest.approx(6, abs=0.1)


# ---- declared lengths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 10**9, 100])
def test_a_streamed_wavs_length_is_taken_from_its_samples(claimed: int) -> None:
    data = bytearray(sample_wav(3))
    struct.pack_into("<I", data, 4, claimed)
    if claimed != 100:
        struct.pack_into("<I", data, 40, claimed)
    made = audio.process(bytes(data))
    assert made.duration_ms == 3000
    assert struct.unpack_from("<I", made.data, 40) == (len(made.data) - 44,)


def test_an_mp3_without_a_length_header_has_its_decoded_length() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as made:
        stream = made.add_stream("libmp3lame", rate=24_000, layout="mono", options={"q": "5"})
        for number in range(100):
            frame = av.AudioFrame(format="s16", layout="mono", samples=1152)
            frame.sample_rate = 24_000
            # Silence first: a guess from the first frames' size is far too long.
            frame.planes[0].update(bytes(2304) if number < 50 else random.Random(number).randbytes(2304))
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    assert audio.process(file.getvalue()).duration_ms == pytest.approx(4800, abs=100)


def test_a_truncated_flac_is_refused() -> None:
    data = tone(3, "flac")
    with pytest.raises(MediaInvalid, match="where the file says 3"):
        audio.process(data[: len(data) // 2])


def test_audio_beyond_the_length_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "SECONDS_MAX", 1)
    for kind in FORMS:
        with pytest.raises(MediaInvalid):
            audio.process(tone(2, kind))


def test_highly_compressed_long_silence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "SECONDS_MAX", 60)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as made:
        stream = made.add_stream("flac", rate=8000, layout="mono")
        for second in range(120):
            frame = av.AudioFrame(format="s16", layout="mono", samples=8000)
            frame.sample_rate, frame.pts = 8000, second * 8000
            frame.planes[0].update(bytes(16000))
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    # Uncompressed, the samples are two megabytes.
    assert len(file.getvalue()) < 30_000
    with pytest.raises(MediaInvalid, match="seconds"):
        audio.process(file.getvalue())


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xfb",
        b"\xff\xfb\x90\x64" + bytes(3),
        b"ID3\x04\0\0\0\0\0\0",
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100),
        b"RIFF\xff\xff\xff\xffWAVE",
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0data\0\0\0\0",
        b"fLaC",
        b"fLaC" + bytes(400),
        b"OggS" + bytes(400),
        b"\xff\xf1" + bytes(400),
        b"<!doctype html><audio src=x>",
        b'{"error": {"message": "quota"}}',
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"#EXTM3U\n/etc/passwd\n",
        sample_wav(0),
        av_files.make_video(frames=2),
    ],
    ids=lambda data: repr(data[:14]),
)
def test_a_file_that_is_not_audio_is_refused(data: bytes) -> None:
    with pytest.raises(MediaInvalid):
        audio.process(data)


def test_a_video_in_an_ogg_is_refused_as_audio() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as made:
        shown = made.add_stream("libvpx", rate=12)
        shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        made.mux(shown.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48)))))
        made.mux(shown.encode())
    with pytest.raises(MediaInvalid, match="it is a video"):
        audio.process(file.getvalue())


SEEDS = [tone(0.3, kind) for kind in FORMS]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10**5), st.binary(min_size=1, max_size=4)), max_size=8)
)
def test_corrupt_bytes_give_audio_or_a_refusal(data: bytes, edits: list[tuple[int, bytes]]) -> None:
    broken = bytearray(data)
    for place, piece in edits:
        broken[place % len(broken) : place % len(broken) + len(piece)] = piece
    try:
        made = audio.process(bytes(broken))
    except MediaInvalid:
        return
    assert 0 < (made.duration_ms or 0) <= audio.SECONDS_MAX * 1000
