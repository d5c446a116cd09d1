"""The local provider's videos, speech and avatars, decoded with PyAV: they match the request, and move."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import unicodedata
from array import array
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image, ImageChops, ImageStat

from atelier.adapters.providers.local.audio import Audio, encode_wav
from atelier.adapters.providers.local.avatar import PhotoFace
from atelier.adapters.providers.local.provider import Local
from atelier.provider_port import Done, ErrorClass, Failed, Input, Job, Output, Unknown

ATTEMPT = "att_01K9ABCDEFGHJKMNPQRSTVWXYZ"
SMALL = {"width": 192, "height": 128, "duration_seconds": 1, "seed": 5}


def job(model: str, prompt: str, **parameters: Any) -> Job:
    kind = {"voice": "audio", "film": "video", "talker": "avatar"}[model]
    quick = {} if model == "voice" else {"fps": 12}
    return Job(ATTEMPT, kind, f"local/{model}", prompt, parameters=quick | parameters)


def made(work: Job) -> tuple[Output, dict[str, int]]:
    done = Local().submit(work)
    assert isinstance(done, Done), done
    (output,) = done.outputs
    assert output.data
    return output, done.usage


def refused(work: Job) -> str:
    failed = Local().submit(work)
    assert isinstance(failed, Failed), failed
    assert failed.error_class is ErrorClass.INVALID_INPUT
    return failed.message


@dataclass(frozen=True)
class Seen:
    """A file as PyAV decodes it: its frames, its samples, and the codecs of its streams."""

    seconds: float
    codecs: tuple[str, ...]
    pixel_format: str
    pictures: list[Image.Image]
    samples: array[int]
    text: str

    @property
    def loudness(self) -> float:
        """The root mean square, from 0 to 1."""
        if not self.samples:
            return 0.0
        return math.sqrt(sum(value * value for value in self.samples) / len(self.samples)) / 32768


def seen(data: bytes | None) -> Seen:
    pictures: list[Image.Image] = []
    samples = array("h")
    with av.open(io.BytesIO(data or b""), "r") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=22050)
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_image())
            elif isinstance(frame, av.AudioFrame):
                for part in resampler.resample(frame):
                    samples.frombytes(bytes(part.planes[0])[: part.samples * 2])
        return Seen(
            (container.duration or 0) / 1_000_000,
            tuple(stream.codec_context.name for stream in container.streams),
            container.streams.video[0].codec_context.pix_fmt or "" if container.streams.video else "",
            pictures,
            samples,
            " ".join(container.metadata.values()),
        )


def difference(first: Image.Image, second: Image.Image) -> float:
    return sum(ImageStat.Stat(ImageChops.difference(first, second)).mean)


def still() -> Input:
    file = io.BytesIO()
    picture = Image.radial_gradient("L").resize((300, 200)).convert("RGB")
    picture.paste((200, 30, 30), (40, 40, 120, 90))
    picture.save(file, "PNG")
    return Input(file.getvalue(), "image/png")


# ---- videos ----------------------------------------------------------------------------------------------------------


def test_a_local_video_has_the_requested_size_and_browser_playable_streams() -> None:
    output, usage = made(job("film", "a lake at dusk", **SMALL))
    film = seen(output.data)
    assert output.content_type == "video/mp4"
    assert usage == {"output_milliseconds": 1000}
    assert film.codecs == ("h264", "aac")
    assert film.pixel_format == "yuv420p"
    assert film.seconds == pytest.approx(1, abs=0.05)
    assert len(film.pictures) == 12
    assert {picture.size for picture in film.pictures} == {(192, 128)}


def test_a_local_videos_index_precedes_its_media_data() -> None:
    data = made(job("film", "a lake", **SMALL))[0].data or b""
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_a_local_video_moves_in_every_frame_and_has_quiet_audio() -> None:
    film = seen(made(job("film", "a lake at dusk", **SMALL))[0].data)
    assert all(difference(*pair) > 0.1 for pair in pairwise(film.pictures))
    assert 0.01 < film.loudness < 0.2


def test_a_local_video_can_have_no_audio() -> None:
    film = seen(made(job("film", "a lake", **SMALL, sound="none"))[0].data)
    assert film.codecs == ("h264",)


@pytest.mark.parametrize("prompt", ["snow in winter", "rain on the sea", "a campfire", "roses"])
def test_every_weather_prompt_makes_a_video(prompt: str) -> None:
    assert len(seen(made(job("film", prompt, **SMALL))[0].data).pictures) == 12


def test_a_video_from_an_image_shows_that_image() -> None:
    given = still()
    work = replace(job("film", "", **SMALL, motion="zoom_in"), inputs={"image": (given,)})
    first = seen(made(work)[0].data).pictures[0]
    whole = Image.open(io.BytesIO(given.data)).resize(first.size)
    assert difference(first, whole) < 20


def test_the_camera_moves_as_requested() -> None:
    ends: dict[str, list[Image.Image]] = {}
    for motion in ("pan_left", "pan_right"):
        work = replace(job("film", "x", **SMALL, motion=motion), inputs={"image": (still(),)})
        pictures = seen(made(work)[0].data).pictures
        ends[motion] = [pictures[0], pictures[-1]]
    assert difference(ends["pan_left"][0], ends["pan_right"][1]) < difference(*ends["pan_left"]) / 2
    panned = replace(job("film", "x, pan left", **SMALL), inputs={"image": (still(),)})
    assert difference(seen(made(panned)[0].data).pictures[0], ends["pan_left"][0]) < difference(*ends["pan_left"]) / 2


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"width": 193}, "even"),
        ({"width": 1280, "height": 1280}, "pixels"),
        ({"width": 1282}, "width"),
        ({"duration_seconds": 31}, "duration_seconds"),
        ({"duration_seconds": "5"}, "duration_seconds"),
        ({"motion": "spin"}, "motion"),
        ({"fps": 60}, "fps"),
    ],
)
def test_an_invalid_video_parameter_is_refused(wrong: dict[str, Any], word: str) -> None:
    assert word in refused(job("film", "x", **SMALL | wrong))


# ---- speech ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "codec", "kind"), [("mp3", "mp3float", "audio/mpeg"), ("wav", "pcm_s16le", "audio/wav")]
)
def test_local_speech_has_the_reported_length(form: str, codec: str, kind: str) -> None:
    output, usage = made(job("voice", "The sea is calm tonight.", format=form))
    speech = seen(output.data)
    assert (output.content_type, speech.codecs) == (kind, (codec,))
    assert speech.loudness > 0.03
    assert usage["characters"] == 24
    assert 800 < usage["output_milliseconds"] < 4000
    assert speech.seconds * 1000 == pytest.approx(usage["output_milliseconds"], abs=120)


def test_another_voice_or_speed_gives_other_audio() -> None:
    text = "One two three four five six seven."
    spoken = {
        name: made(job("voice", text, format="wav", **parameters))
        for name, parameters in {
            "plain": {},
            "american": {"voice": "en-us"},
            "slow": {"speed": 0.5},
            "nova": {"voice": "nova"},
            "quick": {"speed": 2},
        }.items()
    }
    assert len({output.data for output, _ in spoken.values()}) == 5
    assert spoken["quick"][1]["output_milliseconds"] < spoken["plain"][1]["output_milliseconds"] * 0.7


@pytest.mark.parametrize("text", ["", "\0", "…", "...", "   \n", "🦊🎉", "<br/>", "?!"])
def test_a_text_without_words_is_refused(text: str) -> None:
    assert "nothing to say" in refused(job("voice", text))


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("你好，世界。今天天气很好，我们去公园散步。", 350),
        ("こんにちは、せかい。きょうはいいてんきです。", 200),
        ("안녕하세요 세계. 오늘은 날씨가 좋습니다.", 200),
        ("مرحبا بالعالم. الطقس جميل اليوم.", 130),
        ("Привет, мир. Сегодня хорошая погода.", 110),
        ("Γεια σου κόσμε. Ο καιρός είναι καλός σήμερα.", 110),
        ("नमस्ते दुनिया। आज मौसम अच्छा है।", 120),
        ("The sign says 你好 and привет.", 140),
    ],
)
def test_a_text_in_any_supported_script_is_spoken_as_words(text: str, milliseconds: int) -> None:
    # Spelling the letters' names would take several times as long.
    _, usage = made(job("voice", text))
    assert 40 * len(text) < usage["output_milliseconds"] < milliseconds * len(text)


@pytest.mark.parametrize(
    ("drawn", "usual"),
    [
        ("Ｈｅｌｌｏ　１２", "Hello 12"),
        ("𝐇𝐞𝐥𝐥𝐨 𝓌ℴ𝓇𝓁𝒹", "Hello world"),
        ("ⒽⒺⓁⓁⓄ", "HELLO"),
        ("ᴴᵉˡˡᵒ", "Hello"),
        ("ﻣﺮﺣﺒﺎ", "مرحبا"),
        ("ｶﾀｶﾅ", "カタカナ"),
        (unicodedata.normalize("NFD", "Привет ёлка, 한국어"), "Привет ёлка, 한국어"),
    ],
)
def test_unicode_variants_of_letters_are_spoken_alike(drawn: str, usual: str) -> None:
    assert made(job("voice", drawn))[1]["output_milliseconds"] == made(job("voice", usual))[1]["output_milliseconds"]


def test_a_text_that_takes_too_long_to_speak_is_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "changes its script 3,999 times; it may 999 times" in refused(job("voice", "a你" * 2000))
    monkeypatch.setattr("atelier.adapters.providers.local.voice.SECONDS_MAX", 0.001)
    assert "longer than 0.001 seconds" in refused(job("voice", "Hello"))


@pytest.mark.parametrize("text", ["שלום עולם", "สวัสดีชาวโลก", "今日は天気がいい", "Hello ᚠᚢᚦ"])
def test_an_unsupported_script_is_refused_with_the_supported_languages(text: str) -> None:
    message = refused(job("voice", text))
    assert "cannot read" in message
    assert "Chinese, Japanese in kana, Korean" in message


@pytest.mark.parametrize("voice", ["klingon", "../../etc/passwd", "en+../x", "zz", ""])
def test_an_unknown_voice_is_refused(voice: str) -> None:
    if voice:
        assert "no such voice" in refused(job("voice", "Hello", voice=voice))
    else:
        assert made(job("voice", "Hello", voice=voice))


def test_a_text_that_looks_like_a_command_is_only_spoken() -> None:
    for text in (
        "; rm -rf /",
        "<speak>Hello<audio src='file:///etc/passwd'/></speak>",
        "[[h@'loU]]",
        "🦊 \udcff fox",
        "x" * 4096,
    ):
        assert made(job("voice", text))


# ---- avatars ---------------------------------------------------------------------------------------------------------


def test_an_avatar_speaks_the_prompt_and_moves_its_mouth() -> None:
    output, usage = made(job("talker", "Hello there, my friend.", width=256, height=256, seed=3))
    talk = seen(output.data)
    assert talk.codecs == ("h264", "aac")
    assert talk.loudness > 0.02
    assert talk.seconds * 1000 == pytest.approx(usage["output_milliseconds"], abs=60)
    # In the silence before the first word the mouth is closed; later it is open.
    mouths = [picture.crop((100, 140, 156, 175)) for picture in talk.pictures]
    assert max(difference(mouths[0], mouth) for mouth in mouths) > 20


def test_a_seed_gives_the_same_avatar_face_for_any_text() -> None:
    faces = [
        seen(made(job("talker", text, width=256, height=256, seed=seed))[0].data).pictures[0]
        for text, seed in (("Yes.", 3), ("Never again.", 3), ("Yes.", 4))
    ]
    assert difference(faces[0], faces[1]) < 10 < difference(faces[0], faces[2])


def test_an_avatar_uses_the_input_audio_and_image() -> None:
    loop = array("h", [round(9000 * math.sin(index / 9)) if index < 11025 else 0 for index in range(22050)])
    inputs = {"audio": (Input(encode_wav(Audio(loop), "a tone"), "audio/wav"),), "image": (still(),)}
    talk = seen(made(replace(job("talker", "", width=256, height=256), inputs=inputs))[0].data)
    assert talk.seconds == pytest.approx(1.75, abs=0.1)
    assert talk.loudness > 0.02
    # The tone lasts half a second after a quarter second of silence: then the mouth is open, at the end it is closed.
    begin, during, end = (talk.pictures[number] for number in (0, 6, -1))
    assert difference(begin, during) > 2 * difference(begin, end)


def test_the_mouth_position_is_found_by_skin_colour() -> None:
    picture = Image.new("RGB", (400, 400), (40, 60, 120))
    face = Image.new("L", (130, 180))
    face.paste(Image.radial_gradient("L").resize((130, 180)).point([255 if v < 127 else 0 for v in range(256)]))
    picture.paste((224, 172, 140), (200, 60), face)
    x, y = PhotoFace.detect(picture).mouth
    assert 245 < x < 285
    assert 150 < y < 230


@pytest.mark.parametrize(
    "audio",
    [b"", b"no audio", b"#EXTM3U\n#EXTINF:9,\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile /etc/hostname\n"],
)
def test_unreadable_audio_is_refused_and_opens_no_other_file(audio: bytes) -> None:
    work = replace(job("talker", "x"), inputs={"audio": (Input(audio, "audio/wav"),)})
    assert "audio" in refused(work)


def test_audio_beyond_the_length_limit_is_refused() -> None:
    long = Input(encode_wav(Audio(array("h", bytes(2 * 22050 * 80))), "silence"), "audio/wav")
    assert "75 seconds" in refused(replace(job("talker", "x"), inputs={"audio": (long,)}))


# ---- all of them -----------------------------------------------------------------------------------------------------

EACH = [
    job("film", "snow over a village", **SMALL),
    job("voice", "Good evening.", voice="nova"),
    job("talker", "Good evening.", width=128, height=128, seed=5, voice="nova"),
]


@pytest.mark.parametrize("work", EACH, ids=lambda work: work.model)
def test_the_same_request_gives_the_same_bytes_in_another_process(work: Job) -> None:
    script = f"""
from atelier.provider_port import Job
from atelier.adapters.providers.local.provider import Local
job = Job("att", {work.kind!r}, {work.model!r}, {work.prompt!r}, parameters={work.parameters!r})
print(Local().submit(job).outputs[0].data.hex())
"""
    source = Path(sys.modules["atelier"].__path__[0]).parent
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(source), "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert bytes.fromhex(answer.stdout.strip()) == made(work)[0].data
    assert Local().poll(ATTEMPT, work) == Local().submit(work)


@pytest.mark.parametrize("work", EACH, ids=lambda work: work.model)
def test_every_local_files_metadata_says_that_it_is_procedural(work: Job) -> None:
    data = made(work)[0].data
    assert "Procedural" in seen(data).text


def test_a_local_video_has_a_visible_mark_in_its_corner() -> None:
    film = job("film", "x", width=384, height=256, duration_seconds=1, sound="none")
    white = io.BytesIO()
    Image.new("RGB", (400, 300), (40, 60, 80)).save(white, "PNG")
    (first, *_) = seen(made(replace(film, inputs={"image": (Input(white.getvalue(), "image/png"),)}))[0].data).pictures
    plain = Image.new("RGB", first.size, first.getpixel((200, 100)))  # pyright: ignore[reportArgumentType]
    marked = ImageChops.difference(first, plain).convert("L").point([255 if v > 30 else 0 for v in range(256)])
    left, top, right, bottom = marked.getbbox() or (0, 0, 0, 0)
    assert 0 < left < right < 128
    assert 220 < top < bottom <= 256


def test_a_missing_library_disables_videos_but_not_images() -> None:
    script = """
import sys
sys.modules["av"] = None
from atelier.provider_port import Job
from atelier.adapters.providers.local.provider import Local
local = Local()
film = Job("att", "video", "local/film", "x", parameters={"width": 128, "height": 128})
print(local.submit(film).error_class, type(local.poll("att", film)).__name__)
print(len(local.submit(Job("att", "image", "local/canvas", "x", parameters={"width": 64, "height": 64})).outputs))
"""
    source = Path(sys.modules["atelier"].__path__[0]).parent
    command = [sys.executable, "-c", script]
    answer = subprocess.run(command, env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["model_gone", Unknown.__name__, "1"]
