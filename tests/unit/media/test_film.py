"""The processing of a provider's video: checked, bounded, cleaned and watermarked, and still playable."""

from __future__ import annotations

import hashlib
import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from atelier.media import film
from atelier.media.processed import MediaInvalid, MediaLimitExceeded, Processed
from atelier.providers._contract import Done, Job
from atelier.providers.local import Local
from tests.unit.media import reels
from tests.unit.media.reels import SECRET, TAGS, boxes, changed, difference, seen, tagged


@pytest.fixture(scope="module")
def plain() -> bytes:
    return reels.film()


def local(model: str, kind: str, prompt: str, **parameters: object) -> bytes:
    done = Local().submit(Job("att_01K9ABCDEFGHJKMNPQRSTVWXYZ", kind, f"local/{model}", prompt, parameters=parameters))
    assert isinstance(done, Done)
    return done.outputs[0].data or b""


def poster(made: Processed) -> Image.Image:
    picture = Image.open(io.BytesIO(made.thumbnail or b""))
    assert picture.format == "WEBP"
    return picture.convert("RGB")


# ---- playback --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watermark", [False, True])
def test_a_film_of_this_machine_is_delivered_with_its_size_its_length_and_its_sound(watermark: bool) -> None:
    data = local("film", "video", "a lake at dusk", width=192, height=128, duration_seconds=2, fps=12)
    made = film.process(data, watermark=watermark)
    again = seen(made.data)
    assert (made.type, made.format, made.content_type) == ("video", "mp4", "video/mp4")
    assert (made.width, made.height, made.duration_ms) == (192, 128, 2000)
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()
    assert again.codecs == ("h264", "aac")
    assert again.seconds == pytest.approx(2, abs=0.05)
    assert len(again.pictures) == 24
    assert again.pictures[0].size == (192, 128)
    assert not again.is_silent
    assert difference(poster(made), again.pictures[12].resize(poster(made).size)) < 12


def test_a_talking_face_keeps_its_voice() -> None:
    data = local("talker", "avatar", "Good morning.", width=128, height=128, fps=12)
    made = film.process(data, watermark=False)
    assert made.data != data
    assert seen(made.data).samples == seen(data).samples
    assert made.duration_ms == pytest.approx(seen(data).seconds * 1000, abs=50)


def test_what_browsers_play_is_copied_picture_by_picture(plain: bytes) -> None:
    for data in (plain, reels.film("libvpx-vp9", "webm", sound="libopus"), reels.film("libsvtav1", sound=None)):
        before, after = seen(data), seen(film.process(data, watermark=False).data)
        assert after.codecs == before.codecs
        assert [picture.tobytes() for picture in after.pictures] == [picture.tobytes() for picture in before.pictures]
        assert after.samples == before.samples


@pytest.mark.parametrize(
    ("codec", "form", "sound", "expected"),
    [
        ("libvpx-vp9", "webm", "libopus", ("webm", ("vp9", "opus"))),
        ("libvpx", "webm", None, ("webm", ("vp8",))),
        ("libx264", "mov", "pcm_s16le", ("mp4", ("h264", "aac"))),
        ("libx264", "mp4", "libmp3lame", ("mp4", ("h264", "mp3"))),
        ("libx264", "mp4", "libopus", ("mp4", ("h264", "aac"))),
        ("prores_ks", "mov", None, ("mp4", ("h264",))),
        ("mpeg4", "mp4", "aac", ("mp4", ("h264", "aac"))),
    ],
)
def test_what_they_do_not_play_is_encoded_afresh(
    codec: str, form: str, sound: str | None, expected: tuple[str, tuple[str, ...]]
) -> None:
    data = reels.film(codec, form, sound=sound, pixels="yuv422p10le" if codec == "prores_ks" else "yuv420p")
    made = film.process(data, watermark=False)
    again = seen(made.data)
    assert (made.format, again.codecs) == expected
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert len(again.pictures) == 24
    assert again.is_silent == (sound is None)


def test_a_film_begins_to_play_before_it_is_loaded(plain: bytes) -> None:
    names = [name for name, _, _ in boxes(plain)]
    assert names.index("moov") > names.index("mdat")
    for watermark in (False, True):
        names = [name for name, _, _ in boxes(film.process(plain, watermark=watermark).data)]
        assert names.index("moov") < names.index("mdat")


def test_the_same_bytes_give_the_same_hash(plain: bytes) -> None:
    webm = reels.film("libvpx-vp9", "webm", sound="libopus")
    for data, watermark in ((plain, False), (plain, True), (webm, False), (webm, True)):
        assert film.process(data, watermark=watermark) == film.process(data, watermark=watermark)


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize(("turn", "matrix"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))])
def test_a_film_that_lies_on_its_side_is_seen_upright(
    plain: bytes, turn: int, matrix: tuple[int, int, int, int], watermark: bool
) -> None:
    a, b, c, d = (part * 65536 for part in matrix)
    lying = changed(plain, "moov/trak/tkhd", 40, ">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    made = film.process(lying, watermark=watermark)
    upright = poster(film.process(plain, watermark=False)).rotate(-turn, expand=True)
    assert (made.width, made.height) == upright.size
    assert difference(poster(made), upright) < 12
    if watermark:
        assert seen(made.data).pictures[0].size == upright.size


def test_frames_keep_their_times(plain: bytes) -> None:
    times = [number * 3 if number < 12 else 36 + number for number in range(24)]
    data = reels.film(sound=None, times=times)
    for watermark in (False, True):
        with av.open(io.BytesIO(film.process(data, watermark=watermark).data)) as container:
            shown = [round((frame.time or 0) * 12) for frame in container.decode(video=0)]
        assert [time - shown[0] for time in shown] == times


def test_a_cover_and_further_streams_are_left_behind(tmp_path: Path) -> None:
    file = io.BytesIO()
    with av.open(io.BytesIO(reels.film())) as source, av.open(file, "w", format="mov") as made:
        to = [made.add_stream_from_template(source.streams[index]) for index in (0, 0, 1, 1)]
        for packet in source.demux():
            if packet.size:
                for stream in (to[:2], to[2:])[packet.stream_index][::-1]:
                    packet.stream = stream
                    made.mux(packet)
                    break
    assert len(seen(film.process(file.getvalue(), watermark=False).data).codecs) == 2


# ---- formats of devices and programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "form", "sound", "pixels", "options", "expected"),
    [
        ("libx265", "mov", "aac", "yuv420p10le", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "mov", "pcm_s24le", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "mov", "pcm_s24be", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "mov", "pcm_s32le", "yuv422p10le", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "mov", "pcm_f32le", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("mjpeg", "mov", "pcm_mulaw", "yuvj420p", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "matroska", "aac", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("libx264", "matroska", "libopus", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("libvpx-vp9", "matroska", "libopus", "yuv420p", {}, ("webm", ("vp9", "opus"))),
        ("libx264", "mpegts", "aac", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("mpeg2video", "mpegts", "mp2", "yuv420p", {}, ("mp4", ("h264", "aac"))),
        ("mjpeg", "avi", "pcm_s16le", "yuvj420p", {}, ("mp4", ("h264", "aac"))),
        ("libvpx", "webm", "libopus", "yuv420p", {"live": "1"}, ("webm", ("vp8", "opus"))),
        ("libx264", "mp4", "aac", "yuv420p", {"movflags": "frag_keyframe+delay_moov"}, ("mp4", ("h264", "aac"))),
    ],
)
def test_what_phones_cameras_and_recorders_write_is_a_film(
    codec: str, form: str, sound: str, pixels: str, options: dict[str, str], expected: tuple[str, tuple[str, ...]]
) -> None:
    made = film.process(reels.film(codec, form, sound=sound, pixels=pixels, options=options), watermark=False)
    again = seen(made.data)
    assert (made.format, again.codecs) == expected
    assert made.duration_ms == pytest.approx(2000, abs=90)
    assert len(again.pictures) == 24
    assert not again.is_silent


def test_a_phones_small_film_with_amr_sound_is_taken() -> None:
    data = reels.film("h263", "3gp", size=(176, 144), sound=None)
    data = reels.joined([data, reels.sound("libopencore_amrnb", "3gp", rate=8000)], "3gp")
    made = film.process(data, watermark=False)
    assert seen(made.data).codecs == ("h264", "aac")


@pytest.mark.parametrize("watermark", [False, True])
def test_a_film_of_old_cameras_keeps_its_mp3_sound(watermark: bool) -> None:
    # An AVI counts time in steps of one audio packet.
    made = film.process(reels.film("mpeg4", "avi", sound="libmp3lame"), watermark=watermark)
    assert seen(made.data).codecs == ("h264", "aac")
    assert seen(made.data).lasting == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("watermark", [False, True])
def test_a_film_in_pieces_whose_times_do_not_grow_is_taken(watermark: bool) -> None:
    # Fragmented frame by frame, as by programs that stream while they record; FFmpeg reads two equal timestamps.
    data = reels.film(options={"movflags": "frag_every_frame+empty_moov"})
    made = film.process(data, watermark=watermark)
    assert seen(made.data).lasting == pytest.approx(2, abs=0.15)
    assert made.duration_ms == pytest.approx(2000, abs=250)


@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
@pytest.mark.parametrize("watermark", [False, True])
def test_a_sound_that_begins_late_or_ends_early_or_late_stays_where_it_is(form: str, watermark: bool) -> None:
    picture = reels.film("libvpx" if form == "webm" else "libx264", form, sound=None, frames=48)
    codec = {"mp4": "aac", "mov": "pcm_s24le", "webm": "libopus"}[form]
    for begins, lasts in ((1.5, 1), (0, 1), (1.5, 5)):
        tone = reels.sound(codec, "matroska" if form == "webm" else "mov", seconds=lasts)
        made = film.process(reels.joined([picture, tone], form, {1: begins}), watermark=watermark)
        begun, lasting = reels.lanes(made.data)[1]
        assert begun == pytest.approx(begins, abs=0.06)
        assert lasting == pytest.approx(lasts, abs=0.12)
        assert made.duration_ms == pytest.approx(max(4, begins + lasts) * 1000, abs=120)


def test_a_second_longer_sound_is_left_out_and_said(plain: bytes) -> None:
    data = reels.joined([plain, reels.sound("aac", "mp4", seconds=6)], "mp4")
    made = film.process(data, watermark=False)
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert made.notes == ("Sound track 2 (aac) was left out.",)


def test_a_sound_that_nobody_can_read_is_left_out_and_said(plain: bytes) -> None:
    spatial = reels.joined([reels.film(sound=None), reels.sound("aac", "mp4"), reels.sound("aac", "mp4")], "mov")
    # Both the codec's name and its description are unknown.
    first = spatial.replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa", 1)
    made = film.process(first, watermark=False)
    assert made.notes == ("Sound track 1 (unknown codec) was left out.",)
    assert seen(made.data).codecs == ("h264", "aac")
    assert not seen(made.data).is_silent
    only = film.process(plain.replace(b"mp4a", b"apac").replace(b"esds", b"dapa"), watermark=False)
    assert seen(only.data).codecs == ("h264",)
    assert only.notes == ("Sound track 1 (unknown codec) was left out.",)


def test_a_camera_may_write_a_dozen_tracks(plain: bytes) -> None:
    made = film.process(reels.joined([plain, *[reels.sound("aac", "mp4", seconds=1)] * 11], "mov"), watermark=False)
    assert seen(made.data).codecs == ("h264", "aac")
    assert len(made.notes) == 11


@pytest.mark.parametrize("first", [b"wide", b"free", b"skip", b"mdat", b"moov"])
def test_a_film_may_begin_with_any_box_that_cameras_write(plain: bytes, first: bytes) -> None:
    # With the length of `ftyp`, in its place or behind the index, the box keeps all offsets valid.
    data = film.process(plain, watermark=False).data if first == b"moov" else plain
    (_, start, end), (_, _, after), *_ = boxes(data)
    other = struct.pack(">I4s", end - start, b"free" if first == b"moov" else first) + bytes(end - start - 8)
    data = data[end:after] + other + data[after:] if first == b"moov" else other + data[end:]
    assert data[4:8] == first
    assert len(seen(film.process(data, watermark=False).data).pictures) == 24


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("seconds", [0.5, 1.25])
def test_a_film_that_was_trimmed_shows_what_was_kept(watermark: bool, seconds: float) -> None:
    data = reels.film(sound=None)
    start, _ = reels.box(data, "moov/trak/edts/elst")
    duration, begin = struct.unpack_from(">II", data, start + 8)
    with av.open(io.BytesIO(data)) as container:
        ticks = round(seconds / (container.streams.video[0].time_base or 1))
    trimmed = changed(data, "moov/trak/edts/elst", 8, ">II", duration - round(seconds * 1000), begin + ticks)
    made = film.process(trimmed, watermark=watermark)
    kept = 24 - round(seconds * 12)
    assert len(seen(trimmed).pictures) == kept
    again = seen(made.data).pictures
    assert len(again) == kept
    if not watermark:
        assert difference(again[0], seen(trimmed).pictures[0]) < 2
    assert made.duration_ms == pytest.approx(kept * 1000 / 12, abs=90)


TURNS = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("matrix", TURNS)
def test_a_mirrored_or_turned_film_is_seen_as_players_show_it(
    plain: bytes, matrix: tuple[int, int, int, int], watermark: bool
) -> None:
    a, b, c, d = (part * 65536 for part in matrix)
    data = changed(plain, "moov/trak/tkhd", 40, ">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    made = film.process(data, watermark=watermark)
    expected = poster(film.process(plain, watermark=False)).transpose(TURNS[matrix])
    assert (made.width, made.height) == expected.size
    assert difference(poster(made), expected) < 12
    if watermark:
        assert difference(seen(made.data).pictures[12], expected) < 20
    else:
        with av.open(io.BytesIO(made.data)) as container:
            side_data = next(container.decode(video=0)).side_data
            assert struct.unpack("=9i", bytes(side_data["DISPLAYMATRIX"]))[:5] == (a, b, 0, c, d)


@pytest.mark.parametrize(
    ("aspect", "box_says", "size"),
    [((4, 3), None, (480, 270)), ((3, 4), None, (360, 360)), ((4, 3), (16, 9), (640, 270))],
)
@pytest.mark.parametrize("watermark", [False, True])
def test_pixels_that_are_not_square_are_shown_as_broad_as_they_are(
    aspect: tuple[int, int], box_says: tuple[int, int] | None, size: tuple[int, int], watermark: bool
) -> None:
    data = reels.film(size=(360, 270), frames=4, sound=None, aspect=Fraction(*aspect))
    if box_says:
        at = data.index(b"pasp") + 4
        data = data[:at] + struct.pack(">II", *box_says) + data[at + 8 :]
    made = film.process(data, watermark=watermark)
    assert (made.width, made.height) == size
    assert Image.open(io.BytesIO(made.thumbnail or b"")).width == min(size[0], 512)
    with av.open(io.BytesIO(made.data)) as container:
        shown = container.streams.video[0]
        assert Fraction(shown.width, shown.height) * (shown.sample_aspect_ratio or 1) == Fraction(*size)


@pytest.mark.parametrize("watermark", [False, True])
def test_a_call_that_was_recorded_may_change_its_size(watermark: bool) -> None:
    both = [reels.film("libvpx", "webm", sound=None, size=size, frames=12) for size in ((64, 48), (32, 24))]
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as made:
        to = None
        for number, data in enumerate(both):
            with av.open(io.BytesIO(data)) as source:
                to = to or made.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = (packet.pts or 0) + number * 1000
                        packet.stream = to
                        made.mux(packet)
    done = film.process(file.getvalue(), watermark=watermark)
    assert len(seen(done.data).pictures) == 24
    assert done.width == 64


# ---- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
def test_what_is_written_beside_the_pictures_is_left_behind(form: str, watermark: bool) -> None:
    data = reels.film("libvpx-vp9" if form == "webm" else "libx264", form, sound=None, tags=TAGS)
    if form != "webm":
        # A private box, as cameras and tools add them.
        data += struct.pack(">I4s", 8 + len(SECRET), b"uuid") + SECRET.encode()
    assert SECRET.encode() in data
    made = film.process(data, watermark=watermark)
    assert b"canary" not in made.data + (made.thumbnail or b"")
    assert not set(TAGS) & set(seen(made.data).tags)


def test_what_encoders_write_between_the_pictures_is_left_behind(plain: bytes) -> None:
    assert b"x264 - core" in plain
    assert b"x264 - core" not in film.process(plain, watermark=False).data


def test_the_local_provider_says_what_it_is_in_the_picture_not_in_the_tags() -> None:
    data = local("film", "video", "a lake", width=192, height=128, duration_seconds=1, fps=12)
    assert b"Procedural" in data
    assert b"Procedural" not in film.process(data, watermark=False).data


def test_a_film_with_tags_in_place_is_the_film_without_them(plain: bytes) -> None:
    assert film.process(tagged(plain, "mp4"), watermark=False) == film.process(plain, watermark=False)


# ---- the watermark ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (66, 50)])
def test_the_mark_is_in_every_frame_and_on_the_poster_in_its_corner(size: tuple[int, int]) -> None:
    data = reels.film(size=size, frames=6, sound=None, encoding={"crf": "12"})
    plain, marked = (film.process(data, watermark=watermark) for watermark in (False, True))
    corner = (size[0] * 2 // 3, size[1] - max(min(size) // 8, 24), *size)
    for before, after in zip(seen(plain.data).pictures, seen(marked.data).pictures, strict=True):
        assert difference(before.crop(corner), after.crop(corner)) > 6
        rest = (0, 0, size[0], size[1] // 2)
        assert difference(before.crop(rest), after.crop(rest)) < 6
    assert poster(plain).tobytes() != poster(marked).tobytes()


def test_a_film_too_long_to_be_marked_in_time_is_made_smaller(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    monkeypatch.setattr(film, "WRITTEN_PIXELS_MAX", 24 * 32 * 24)
    made = film.process(plain, watermark=True)
    assert (made.width, made.height) == (32, 24)
    assert seen(made.data).pictures[0].size == (32, 24)
    assert film.process(plain, watermark=False).width == 64
    monkeypatch.setattr(film, "READ_PIXELS_MAX", 24 * 32 * 24)
    with pytest.raises(MediaInvalid, match="too many to encode in the time allowed"):
        film.process(plain, watermark=True)


def test_a_playable_film_too_long_to_encode_in_time_is_kept_as_it_is() -> None:
    data = reels.film("libx265", "mov", pixels="yuv420p10le", sound="pcm_s24le")
    made = film.process(data, watermark=False, seconds_max=0.002)
    assert made.notes == ("The film is kept as it is encoded (hevc), which not every browser plays.",)
    assert seen(made.data).codecs == ("hevc", "aac")
    assert [picture.tobytes() for picture in seen(made.data).pictures] == [
        picture.tobytes() for picture in seen(data).pictures
    ]
    assert b"hvc1" in made.data
    assert seen(film.process(data, watermark=False).data).codecs == ("h264", "aac")


def test_a_film_that_a_slow_machine_does_not_encode_in_time_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    data = reels.film("libx265", "mov", pixels="yuv420p10le", sound="pcm_s24le")
    monkeypatch.setattr(film, "ENCODING_SHARE", 0)
    made = film.process(data, watermark=False)
    assert made.notes == ("The film is kept as it is encoded (hevc), which not every browser plays.",)
    assert seen(made.data).codecs == ("hevc", "aac")
    assert len(seen(made.data).pictures) == 24
    # With a watermark or an unplayable codec the whole video is still re-encoded.
    assert seen(film.process(data, watermark=True).data).codecs == ("h264", "aac")
    assert seen(film.process(reels.film("mjpeg", "mov", pixels="yuvj420p"), watermark=False).data).codecs[0] == "h264"


def test_a_film_that_nobody_plays_and_that_takes_too_long_is_refused_with_the_limit() -> None:
    data = reels.film("mjpeg", "mov", pixels="yuvj420p", sound=None)
    smaller = film.process(data, watermark=False, seconds_max=0.002)
    assert smaller.notes == ("The film was made smaller: 46 × 34 pixels.",)
    with pytest.raises(MediaLimitExceeded, match="at most 50000 pixels in all"):
        film.process(data, watermark=False, seconds_max=0.0005)


# ---- refusals --------------------------------------------------------------------------------------------------------


def sound_only() -> bytes:
    file = io.BytesIO()
    with av.open(io.BytesIO(reels.wav(1))) as plain, av.open(file, "w", format="mp4") as made:
        tone = made.add_stream("aac", rate=24_000, layout="mono")
        for frame in plain.decode(audio=0):
            made.mux(tone.encode(frame))
        made.mux(tone.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x18ftyp",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        b"\0\0\0\x18ftypisom<!doctype html><script>alert(1)</script>",
        b"<!doctype html><html><video src=x></html>",
        b'{"error": "quota exceeded"}',
        b"\x1a\x45\xdf\xa3webm" + bytes(200),
        b"RIFF\x24\x08\0\0AVI LIST",
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
        b"GIF89a" + bytes(100),
        b"\0\0\0\x1cftypavif" + bytes(100),
        bytes(5000),
        sound_only(),
    ],
    ids=lambda data: repr(data[:16]),
)
def test_what_is_no_film_is_refused(data: bytes) -> None:
    for watermark in (False, True):
        with pytest.raises(MediaInvalid):
            film.process(data, watermark=watermark)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("watermark", [False, True])
def test_a_film_that_is_cut_off_is_refused(plain: bytes, share: float, watermark: bool) -> None:
    for data in (plain, film.process(plain, watermark=False).data):
        with pytest.raises(MediaInvalid):
            film.process(data[: int(len(data) * share)], watermark=watermark)


def test_a_webm_that_is_cut_off_is_refused_by_what_it_says_of_its_length() -> None:
    data = reels.film("libvpx-vp9", "webm", sound="libopus", frames=60)
    with pytest.raises(MediaInvalid, match="cut off"):
        film.process(data[: len(data) * 6 // 10], watermark=False)


def test_a_sound_that_ends_before_the_film_is_no_sign_of_a_cut() -> None:
    file = io.BytesIO()
    whole = io.BytesIO(reels.film("libvpx-vp9", "webm", sound="libopus", frames=60))
    with av.open(whole) as source, av.open(file, "w", format="webm") as made:
        to = [made.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size and (packet.stream_index == 0 or (packet.pts or 0) * packet.time_base < 1):
                packet.stream = to[packet.stream_index]
                made.mux(packet)
    assert film.process(file.getvalue(), watermark=False).duration_ms == 5000


ENDLESS = [
    ("moov/mvhd", 16, ">I", (0xFFFFFFFE,)),
    ("moov/trak/mdia/mdhd", 16, ">I", (0xFFFFFFFE,)),
    ("moov/trak/mdia/minf/stbl/stts", 8, ">II", (24, 0x7FFFFFF0)),
    ("moov/trak/mdia/minf/stbl/stts", 8, ">II", (24, 1 << 24)),
]


@pytest.mark.parametrize(("path", "offset", "form", "values"), ENDLESS)
def test_a_film_that_says_it_never_ends_is_refused_or_cut_to_what_is_there(
    plain: bytes, path: str, offset: int, form: str, values: tuple[int, ...]
) -> None:
    try:
        made = film.process(changed(plain, path, offset, form, *values), watermark=False)
    except MediaInvalid:
        return
    assert (made.duration_ms or 0) <= film.SECONDS_MAX * 1000


def test_frames_larger_than_they_may_be_are_refused_by_their_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film, "FRAME_PIXELS_MAX", 64 * 48 - 1)
    with pytest.raises(MediaInvalid, match="64 × 48 pixels"):
        film.process(reels.film(frames=2), watermark=False)


def test_the_longest_film_is_the_longest(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    monkeypatch.setattr(film, "SECONDS_MAX", 1.5)
    with pytest.raises(MediaInvalid):
        film.process(plain, watermark=False)
    monkeypatch.setattr(film, "SECONDS_MAX", 2.5)
    assert film.process(plain, watermark=False).duration_ms == 2000


def test_pictures_of_which_none_can_be_decoded_are_no_film(plain: bytes) -> None:
    start, end = reels.box(plain, "mdat")
    noise = bytes(number * 31 % 251 for number in range(end - start))
    with pytest.raises(MediaInvalid):
        film.process(plain[:start] + noise + plain[end:], watermark=False)


def test_a_film_may_not_name_another_file(plain: bytes, tmp_path: Path) -> None:
    # A data reference to another file, as QuickTime allows.
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(plain)
    start, _ = reels.box(plain, "moov/trak/mdia/minf/dinf/dref")
    elsewhere = bytearray(plain)
    elsewhere[start + 19] = 0
    elsewhere[start + 12 : start + 16] = b"alis"
    made = film.process(bytes(elsewhere), watermark=False)
    assert len(seen(made.data).pictures) == 24


BOXES_SEEDS = [reels.film(frames=4, sound="aac"), reels.film("libvpx", "webm", frames=4, sound=None)]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(BOXES_SEEDS),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), max_size=8),
    st.booleans(),
)
def test_broken_bytes_give_a_film_or_a_refusal_and_nothing_else(
    data: bytes, edits: list[tuple[int, bytes]], watermark: bool
) -> None:
    broken = bytearray(data)
    for place, piece in edits:
        broken[place % len(broken) : place % len(broken) + len(piece)] = piece
    try:
        made = film.process(bytes(broken), watermark=watermark)
    except MediaInvalid:
        return
    with av.open(io.BytesIO(made.data)) as container:
        assert container.streams.video[0].codec_context.width
    assert 0 <= (made.duration_ms or 0) <= film.SECONDS_MAX * 1000
