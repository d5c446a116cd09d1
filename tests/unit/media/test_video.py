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

from atelier.adapters.media import video, video_inspection
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded, Processed
from atelier.adapters.providers.local.provider import Local
from atelier.provider_port import Done, Job
from tests.unit.media import av_files
from tests.unit.media.av_files import SECRET, TAGS, decode_file, image_difference, list_boxes, patch_box, with_tags


@pytest.fixture(scope="module")
def plain() -> bytes:
    return av_files.make_video()


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
def test_a_local_providers_video_keeps_its_size_length_and_audio(watermark: bool) -> None:
    data = local("film", "video", "a lake at dusk", width=192, height=128, duration_seconds=2, fps=12)
    made = video.process(data, watermark=watermark)
    again = decode_file(made.data)
    assert (made.type, made.format, made.content_type) == ("video", "mp4", "video/mp4")
    assert (made.width, made.height, made.duration_ms) == (192, 128, 2000)
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()
    assert again.codecs == ("h264", "aac")
    assert again.seconds == pytest.approx(2, abs=0.05)
    assert len(again.images) == 24
    assert again.images[0].size == (192, 128)
    assert not again.is_silent
    assert image_difference(poster(made), again.images[12].resize(poster(made).size)) < 12


def test_an_avatar_video_keeps_its_audio() -> None:
    data = local("talker", "avatar", "Good morning.", width=128, height=128, fps=12)
    made = video.process(data, watermark=False)
    assert made.data != data
    assert decode_file(made.data).samples == decode_file(data).samples
    assert made.duration_ms == pytest.approx(decode_file(data).seconds * 1000, abs=50)


def test_browser_playable_codecs_are_copied_without_encoding(plain: bytes) -> None:
    for data in (
        plain,
        av_files.make_video("libvpx-vp9", "webm", audio_codec="libopus"),
        av_files.make_video("libsvtav1", audio_codec=None),
    ):
        before, after = decode_file(data), decode_file(video.process(data, watermark=False).data)
        assert after.codecs == before.codecs
        assert [picture.tobytes() for picture in after.images] == [picture.tobytes() for picture in before.images]
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
def test_codecs_that_browsers_do_not_play_are_re_encoded(
    codec: str, form: str, sound: str | None, expected: tuple[str, tuple[str, ...]]
) -> None:
    data = av_files.make_video(
        codec, form, audio_codec=sound, pixels="yuv422p10le" if codec == "prores_ks" else "yuv420p"
    )
    made = video.process(data, watermark=False)
    again = decode_file(made.data)
    assert (made.format, again.codecs) == expected
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert len(again.images) == 24
    assert again.is_silent == (sound is None)


def test_the_index_of_an_mp4_precedes_its_media_data(plain: bytes) -> None:
    names = [name for name, _, _ in list_boxes(plain)]
    assert names.index("moov") > names.index("mdat")
    for watermark in (False, True):
        names = [name for name, _, _ in list_boxes(video.process(plain, watermark=watermark).data)]
        assert names.index("moov") < names.index("mdat")


def test_the_same_bytes_give_the_same_hash(plain: bytes) -> None:
    webm = av_files.make_video("libvpx-vp9", "webm", audio_codec="libopus")
    for data, watermark in ((plain, False), (plain, True), (webm, False), (webm, True)):
        assert video.process(data, watermark=watermark) == video.process(data, watermark=watermark)


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize(("turn", "matrix"), [(90, (0, 1, -1, 0)), (180, (-1, 0, 0, -1)), (270, (0, -1, 1, 0))])
def test_a_rotated_video_is_shown_upright(
    plain: bytes, turn: int, matrix: tuple[int, int, int, int], watermark: bool
) -> None:
    a, b, c, d = (part * 65536 for part in matrix)
    lying = patch_box(plain, "moov/trak/tkhd", 40, ">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    made = video.process(lying, watermark=watermark)
    upright = poster(video.process(plain, watermark=False)).rotate(-turn, expand=True)
    assert (made.width, made.height) == upright.size
    assert image_difference(poster(made), upright) < 12
    if watermark:
        assert decode_file(made.data).images[0].size == upright.size


def test_frames_keep_their_timestamps(plain: bytes) -> None:
    times = [number * 3 if number < 12 else 36 + number for number in range(24)]
    data = av_files.make_video(audio_codec=None, times=times)
    for watermark in (False, True):
        with av.open(io.BytesIO(video.process(data, watermark=watermark).data)) as container:
            shown = [round((frame.time or 0) * 12) for frame in container.decode(video=0)]
        assert [time - shown[0] for time in shown] == times


def test_a_cover_and_extra_streams_are_dropped(tmp_path: Path) -> None:
    file = io.BytesIO()
    with av.open(io.BytesIO(av_files.make_video())) as source, av.open(file, "w", format="mov") as made:
        to = [made.add_stream_from_template(source.streams[index]) for index in (0, 0, 1, 1)]
        for packet in source.demux():
            if packet.size:
                for stream in (to[:2], to[2:])[packet.stream_index][::-1]:
                    packet.stream = stream
                    made.mux(packet)
                    break
    assert len(decode_file(video.process(file.getvalue(), watermark=False).data).codecs) == 2


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
def test_formats_of_phones_cameras_and_recorders_are_accepted(
    codec: str, form: str, sound: str, pixels: str, options: dict[str, str], expected: tuple[str, tuple[str, ...]]
) -> None:
    made = video.process(
        av_files.make_video(codec, form, audio_codec=sound, pixels=pixels, options=options), watermark=False
    )
    again = decode_file(made.data)
    assert (made.format, again.codecs) == expected
    assert made.duration_ms == pytest.approx(2000, abs=90)
    assert len(again.images) == 24
    assert not again.is_silent


def test_a_3gp_video_with_amr_audio_is_accepted() -> None:
    data = av_files.make_video("h263", "3gp", size=(176, 144), audio_codec=None)
    data = av_files.combine_tracks([data, av_files.make_audio("libopencore_amrnb", "3gp", rate=8000)], "3gp")
    made = video.process(data, watermark=False)
    assert decode_file(made.data).codecs == ("h264", "aac")


@pytest.mark.parametrize("watermark", [False, True])
def test_an_avi_video_with_mp3_audio_keeps_its_length(watermark: bool) -> None:
    # An AVI counts time in steps of one audio packet.
    made = video.process(av_files.make_video("mpeg4", "avi", audio_codec="libmp3lame"), watermark=watermark)
    assert decode_file(made.data).codecs == ("h264", "aac")
    assert decode_file(made.data).audio_seconds == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("watermark", [False, True])
def test_a_fragmented_video_with_repeated_timestamps_is_accepted(watermark: bool) -> None:
    # Fragmented frame by frame, as by programs that stream while they record; FFmpeg reads two equal timestamps.
    data = av_files.make_video(options={"movflags": "frag_every_frame+empty_moov"})
    made = video.process(data, watermark=watermark)
    assert decode_file(made.data).audio_seconds == pytest.approx(2, abs=0.15)
    assert made.duration_ms == pytest.approx(2000, abs=250)


@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
@pytest.mark.parametrize("watermark", [False, True])
def test_an_audio_track_keeps_its_start_and_length(form: str, watermark: bool) -> None:
    picture = av_files.make_video("libvpx" if form == "webm" else "libx264", form, audio_codec=None, frames=48)
    codec = {"mp4": "aac", "mov": "pcm_s24le", "webm": "libopus"}[form]
    for begins, lasts in ((1.5, 1), (0, 1), (1.5, 5)):
        tone = av_files.make_audio(codec, "matroska" if form == "webm" else "mov", seconds=lasts)
        made = video.process(av_files.combine_tracks([picture, tone], form, {1: begins}), watermark=watermark)
        begun, lasting = av_files.track_times(made.data)[1]
        assert begun == pytest.approx(begins, abs=0.06)
        assert lasting == pytest.approx(lasts, abs=0.12)
        assert made.duration_ms == pytest.approx(max(4, begins + lasts) * 1000, abs=120)


def test_a_second_audio_track_is_dropped_with_a_note(plain: bytes) -> None:
    data = av_files.combine_tracks([plain, av_files.make_audio("aac", "mp4", seconds=6)], "mp4")
    made = video.process(data, watermark=False)
    assert made.duration_ms == pytest.approx(2000, abs=60)
    assert made.notes == ("Audio track 2 (aac) was left out.",)


def test_an_unreadable_audio_track_is_dropped_with_a_note(plain: bytes) -> None:
    spatial = av_files.combine_tracks(
        [av_files.make_video(audio_codec=None), av_files.make_audio("aac", "mp4"), av_files.make_audio("aac", "mp4")],
        "mov",
    )
    # Both the codec's name and its description are unknown.
    first = spatial.replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa", 1)
    made = video.process(first, watermark=False)
    assert made.notes == ("Audio track 1 (unknown codec) was left out.",)
    assert decode_file(made.data).codecs == ("h264", "aac")
    assert not decode_file(made.data).is_silent
    only = video.process(plain.replace(b"mp4a", b"apac").replace(b"esds", b"dapa"), watermark=False)
    assert decode_file(only.data).codecs == ("h264",)
    assert only.notes == ("Audio track 1 (unknown codec) was left out.",)


def test_a_video_with_twelve_audio_tracks_is_accepted(plain: bytes) -> None:
    made = video.process(
        av_files.combine_tracks([plain, *[av_files.make_audio("aac", "mp4", seconds=1)] * 11], "mov"), watermark=False
    )
    assert decode_file(made.data).codecs == ("h264", "aac")
    assert len(made.notes) == 11


@pytest.mark.parametrize("first", [b"wide", b"free", b"skip", b"mdat", b"moov"])
def test_an_mp4_may_begin_with_any_known_box(plain: bytes, first: bytes) -> None:
    # With the length of `ftyp`, in its place or behind the index, the box keeps all offsets valid.
    data = video.process(plain, watermark=False).data if first == b"moov" else plain
    (_, start, end), (_, _, after), *_ = list_boxes(data)
    other = struct.pack(">I4s", end - start, b"free" if first == b"moov" else first) + bytes(end - start - 8)
    data = data[end:after] + other + data[after:] if first == b"moov" else other + data[end:]
    assert data[4:8] == first
    assert len(decode_file(video.process(data, watermark=False).data).images) == 24


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("seconds", [0.5, 1.25])
def test_a_trimmed_video_keeps_only_its_edit(watermark: bool, seconds: float) -> None:
    data = av_files.make_video(audio_codec=None)
    start, _ = av_files.find_box(data, "moov/trak/edts/elst")
    duration, begin = struct.unpack_from(">II", data, start + 8)
    with av.open(io.BytesIO(data)) as container:
        ticks = round(seconds / (container.streams.video[0].time_base or 1))
    trimmed = patch_box(data, "moov/trak/edts/elst", 8, ">II", duration - round(seconds * 1000), begin + ticks)
    made = video.process(trimmed, watermark=watermark)
    kept = 24 - round(seconds * 12)
    assert len(decode_file(trimmed).images) == kept
    again = decode_file(made.data).images
    assert len(again) == kept
    if not watermark:
        assert image_difference(again[0], decode_file(trimmed).images[0]) < 2
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
def test_a_mirrored_or_rotated_video_is_shown_as_players_show_it(
    plain: bytes, matrix: tuple[int, int, int, int], watermark: bool
) -> None:
    a, b, c, d = (part * 65536 for part in matrix)
    data = patch_box(plain, "moov/trak/tkhd", 40, ">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    made = video.process(data, watermark=watermark)
    expected = poster(video.process(plain, watermark=False)).transpose(TURNS[matrix])
    assert (made.width, made.height) == expected.size
    assert image_difference(poster(made), expected) < 12
    if watermark:
        assert image_difference(decode_file(made.data).images[12], expected) < 20
    else:
        with av.open(io.BytesIO(made.data)) as container:
            side_data = next(container.decode(video=0)).side_data
            assert struct.unpack("=9i", bytes(side_data["DISPLAYMATRIX"]))[:5] == (a, b, 0, c, d)


@pytest.mark.parametrize(
    ("aspect", "box_says", "size"),
    [((4, 3), None, (480, 270)), ((3, 4), None, (360, 360)), ((4, 3), (16, 9), (640, 270))],
)
@pytest.mark.parametrize("watermark", [False, True])
def test_a_pixel_aspect_ratio_is_applied_to_the_size(
    aspect: tuple[int, int], box_says: tuple[int, int] | None, size: tuple[int, int], watermark: bool
) -> None:
    data = av_files.make_video(size=(360, 270), frames=4, audio_codec=None, aspect=Fraction(*aspect))
    if box_says:
        at = data.index(b"pasp") + 4
        data = data[:at] + struct.pack(">II", *box_says) + data[at + 8 :]
    made = video.process(data, watermark=watermark)
    assert (made.width, made.height) == size
    assert Image.open(io.BytesIO(made.thumbnail or b"")).width == min(size[0], 512)
    with av.open(io.BytesIO(made.data)) as container:
        shown = container.streams.video[0]
        assert Fraction(shown.width, shown.height) * (shown.sample_aspect_ratio or 1) == Fraction(*size)


@pytest.mark.parametrize("watermark", [False, True])
def test_a_video_whose_frame_size_changes_is_accepted(watermark: bool) -> None:
    both = [
        av_files.make_video("libvpx", "webm", audio_codec=None, size=size, frames=12) for size in ((64, 48), (32, 24))
    ]
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
    done = video.process(file.getvalue(), watermark=watermark)
    assert len(decode_file(done.data).images) == 24
    assert done.width == 64


# ---- cleaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("watermark", [False, True])
@pytest.mark.parametrize("form", ["mp4", "mov", "webm"])
def test_a_videos_metadata_is_removed(form: str, watermark: bool) -> None:
    data = av_files.make_video("libvpx-vp9" if form == "webm" else "libx264", form, audio_codec=None, tags=TAGS)
    if form != "webm":
        # A private box, as cameras and tools add them.
        data += struct.pack(">I4s", 8 + len(SECRET), b"uuid") + SECRET.encode()
    assert SECRET.encode() in data
    made = video.process(data, watermark=watermark)
    assert b"canary" not in made.data + (made.thumbnail or b"")
    assert not set(TAGS) & set(decode_file(made.data).tags)


def test_encoder_messages_between_frames_are_removed(plain: bytes) -> None:
    assert b"x264 - core" in plain
    assert b"x264 - core" not in video.process(plain, watermark=False).data


def test_the_local_providers_tags_are_removed_from_a_video() -> None:
    data = local("film", "video", "a lake", width=192, height=128, duration_seconds=1, fps=12)
    assert b"Procedural" in data
    assert b"Procedural" not in video.process(data, watermark=False).data


def test_a_tagged_video_gives_the_same_result_as_an_untagged_one(plain: bytes) -> None:
    assert video.process(with_tags(plain, "mp4"), watermark=False) == video.process(plain, watermark=False)


# ---- the watermark ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (66, 50)])
def test_the_watermark_is_in_every_frame_and_on_the_poster(size: tuple[int, int]) -> None:
    data = av_files.make_video(size=size, frames=6, audio_codec=None, encoding={"crf": "12"})
    plain, marked = (video.process(data, watermark=watermark) for watermark in (False, True))
    corner = (size[0] * 2 // 3, size[1] - max(min(size) // 8, 24), *size)
    for before, after in zip(decode_file(plain.data).images, decode_file(marked.data).images, strict=True):
        assert image_difference(before.crop(corner), after.crop(corner)) > 6
        rest = (0, 0, size[0], size[1] // 2)
        assert image_difference(before.crop(rest), after.crop(rest)) < 6
    assert poster(plain).tobytes() != poster(marked).tobytes()


def test_a_video_too_long_to_watermark_in_time_is_scaled_down(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    monkeypatch.setattr(video, "WRITTEN_PIXELS_MAX", 24 * 32 * 24)
    made = video.process(plain, watermark=True)
    assert (made.width, made.height) == (32, 24)
    assert decode_file(made.data).images[0].size == (32, 24)
    assert video.process(plain, watermark=False).width == 64
    monkeypatch.setattr(video, "READ_PIXELS_MAX", 24 * 32 * 24)
    with pytest.raises(MediaInvalid, match="too many to encode in the time allowed"):
        video.process(plain, watermark=True)


def test_a_playable_video_too_long_to_encode_keeps_its_codec() -> None:
    data = av_files.make_video("libx265", "mov", pixels="yuv420p10le", audio_codec="pcm_s24le")
    made = video.process(data, watermark=False, seconds_max=0.002)
    assert made.notes == ("The video is kept as it is encoded (hevc), which not every browser plays.",)
    assert decode_file(made.data).codecs == ("hevc", "aac")
    assert [picture.tobytes() for picture in decode_file(made.data).images] == [
        picture.tobytes() for picture in decode_file(data).images
    ]
    assert b"hvc1" in made.data
    assert decode_file(video.process(data, watermark=False).data).codecs == ("h264", "aac")


def test_a_video_not_encoded_in_time_keeps_its_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    data = av_files.make_video("libx265", "mov", pixels="yuv420p10le", audio_codec="pcm_s24le")
    monkeypatch.setattr(video, "ENCODING_SHARE", 0)
    made = video.process(data, watermark=False)
    assert made.notes == ("The video is kept as it is encoded (hevc), which not every browser plays.",)
    assert decode_file(made.data).codecs == ("hevc", "aac")
    assert len(decode_file(made.data).images) == 24
    # With a watermark or an unplayable codec the whole video is still re-encoded.
    assert decode_file(video.process(data, watermark=True).data).codecs == ("h264", "aac")
    assert (
        decode_file(video.process(av_files.make_video("mjpeg", "mov", pixels="yuvj420p"), watermark=False).data).codecs[
            0
        ]
        == "h264"
    )


def test_an_unplayable_video_too_long_to_encode_is_refused_with_the_limit() -> None:
    data = av_files.make_video("mjpeg", "mov", pixels="yuvj420p", audio_codec=None)
    smaller = video.process(data, watermark=False, seconds_max=0.002)
    assert smaller.notes == ("The video was made smaller: 46 × 34 pixels.",)
    with pytest.raises(MediaLimitExceeded, match="at most 50000 pixels in all"):
        video.process(data, watermark=False, seconds_max=0.0005)


# ---- refusals --------------------------------------------------------------------------------------------------------


def sound_only() -> bytes:
    file = io.BytesIO()
    with av.open(io.BytesIO(av_files.sample_wav(1))) as plain, av.open(file, "w", format="mp4") as made:
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
def test_a_file_that_is_not_a_video_is_refused(data: bytes) -> None:
    for watermark in (False, True):
        with pytest.raises(MediaInvalid):
            video.process(data, watermark=watermark)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.995])
@pytest.mark.parametrize("watermark", [False, True])
def test_a_truncated_video_is_refused(plain: bytes, share: float, watermark: bool) -> None:
    for data in (plain, video.process(plain, watermark=False).data):
        with pytest.raises(MediaInvalid):
            video.process(data[: int(len(data) * share)], watermark=watermark)


def test_a_truncated_webm_is_refused_by_its_declared_length() -> None:
    data = av_files.make_video("libvpx-vp9", "webm", audio_codec="libopus", frames=60)
    with pytest.raises(MediaInvalid, match="cut off"):
        video.process(data[: len(data) * 6 // 10], watermark=False)


def test_audio_shorter_than_the_video_is_not_a_truncation() -> None:
    file = io.BytesIO()
    whole = io.BytesIO(av_files.make_video("libvpx-vp9", "webm", audio_codec="libopus", frames=60))
    with av.open(whole) as source, av.open(file, "w", format="webm") as made:
        to = [made.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size and (packet.stream_index == 0 or (packet.pts or 0) * packet.time_base < 1):
                packet.stream = to[packet.stream_index]
                made.mux(packet)
    assert video.process(file.getvalue(), watermark=False).duration_ms == 5000


ENDLESS = [
    ("moov/mvhd", 16, ">I", (0xFFFFFFFE,)),
    ("moov/trak/mdia/mdhd", 16, ">I", (0xFFFFFFFE,)),
    ("moov/trak/mdia/minf/stbl/stts", 8, ">II", (24, 0x7FFFFFF0)),
    ("moov/trak/mdia/minf/stbl/stts", 8, ">II", (24, 1 << 24)),
]


@pytest.mark.parametrize(("path", "offset", "form", "values"), ENDLESS)
def test_a_video_with_an_absurd_duration_is_refused_or_bounded(
    plain: bytes, path: str, offset: int, form: str, values: tuple[int, ...]
) -> None:
    try:
        made = video.process(patch_box(plain, path, offset, form, *values), watermark=False)
    except MediaInvalid:
        return
    assert (made.duration_ms or 0) <= video.SECONDS_MAX * 1000


def test_frames_beyond_the_pixel_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_inspection, "FRAME_PIXELS_MAX", 64 * 48 - 1)
    with pytest.raises(MediaInvalid, match="64 × 48 pixels"):
        video.process(av_files.make_video(frames=2), watermark=False)


def test_a_video_beyond_the_length_limit_is_refused(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    monkeypatch.setattr(video_inspection, "SECONDS_MAX", 1.5)
    with pytest.raises(MediaInvalid):
        video.process(plain, watermark=False)
    monkeypatch.setattr(video_inspection, "SECONDS_MAX", 2.5)
    assert video.process(plain, watermark=False).duration_ms == 2000


def test_a_video_without_a_decodable_frame_is_refused(plain: bytes) -> None:
    start, end = av_files.find_box(plain, "mdat")
    noise = bytes(number * 31 % 251 for number in range(end - start))
    with pytest.raises(MediaInvalid):
        video.process(plain[:start] + noise + plain[end:], watermark=False)


def test_a_video_cannot_reference_another_file(plain: bytes, tmp_path: Path) -> None:
    # A data reference to another file, as QuickTime allows.
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(plain)
    start, _ = av_files.find_box(plain, "moov/trak/mdia/minf/dinf/dref")
    elsewhere = bytearray(plain)
    elsewhere[start + 19] = 0
    elsewhere[start + 12 : start + 16] = b"alis"
    made = video.process(bytes(elsewhere), watermark=False)
    assert len(decode_file(made.data).images) == 24


BOXES_SEEDS = [
    av_files.make_video(frames=4, audio_codec="aac"),
    av_files.make_video("libvpx", "webm", frames=4, audio_codec=None),
]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(BOXES_SEEDS),
    st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=4)), max_size=8),
    st.booleans(),
)
def test_corrupt_bytes_give_a_video_or_a_refusal(data: bytes, edits: list[tuple[int, bytes]], watermark: bool) -> None:
    broken = bytearray(data)
    for place, piece in edits:
        broken[place % len(broken) : place % len(broken) + len(piece)] = piece
    try:
        made = video.process(bytes(broken), watermark=watermark)
    except MediaInvalid:
        return
    with av.open(io.BytesIO(made.data)) as container:
        assert container.streams.video[0].codec_context.width
    assert 0 <= (made.duration_ms or 0) <= video.SECONDS_MAX * 1000
