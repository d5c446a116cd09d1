"""Each file is processed in its own subprocess: a file that harms it harms nothing else."""

from __future__ import annotations

import io
import resource
import struct
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from atelier.adapters.media import audio, image, sandbox, text, video
from atelier.adapters.media.process import process
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded, MediaToolMissing
from infra.simulators.kit.samples import sample_audio as tone
from infra.simulators.kit.samples import sample_png
from tests.unit.media import av_files
from tests.unit.media.av_files import patch_box


@pytest.fixture(scope="module")
def plain() -> bytes:
    return av_files.make_video()


def test_process_dispatches_by_media_type(plain: bytes) -> None:
    page = b"<!doctype html><p>page</p>"
    assert process("image", sample_png(64, 48, 1), watermark=True) == image.process(
        sample_png(64, 48, 1), watermark=True
    )
    assert process("video", plain, watermark=False) == video.process(plain, watermark=False)
    assert process("video", plain, watermark=True) == video.process(plain, watermark=True)
    assert process("audio", tone(1, "mp3"), watermark=True) == audio.process(tone(1, "mp3"))
    assert process("text", b"words", watermark=True) == text.process(b"words")
    assert process("page", page, watermark=True) == text.process_page(page)


def test_a_file_of_another_type_than_expected_is_refused(plain: bytes) -> None:
    came = {
        "image": sample_png(64, 48, 1),
        "video": plain,
        "audio": tone(1, "wav"),
        "page": b"<!doctype html><video src=film.mp4></video>",
    }
    for expected in came:
        for data in (data for type_, data in came.items() if type_ != expected):
            with pytest.raises(MediaInvalid):
                process(expected, data, watermark=False)
    for data in (came["image"], came["video"], came["audio"]):
        with pytest.raises(MediaInvalid):
            process("text", data, watermark=False)


def test_a_refusal_names_its_reason(plain: bytes) -> None:
    with pytest.raises(MediaInvalid, match="neither MP4"):
        process("video", b"<!doctype html>", watermark=False)
    with pytest.raises(MediaInvalid, match="cut off"):
        process("video", video.process(plain, watermark=False).data[:-3000], watermark=False)


def test_a_video_with_a_billion_declared_frames_is_refused(plain: bytes) -> None:
    # Every sample has one byte, so there is no table of sizes; an index of the samples would take gigabytes.
    bomb = patch_box(plain, "moov/trak/mdia/minf/stbl/stsz", 4, ">II", 1, 0x50000000)
    bomb = patch_box(bomb, "moov/trak/mdia/minf/stbl/stsc", 8, ">II", 1, 0x50000000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaInvalid):
        process("video", bomb, watermark=False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.skipif(sys.platform == "darwin", reason="not run: this system does not bound a process's memory")
def test_processing_beyond_the_memory_limit_is_refused() -> None:
    large = av_files.make_video(size=(3840, 2160), frames=2, audio_codec=None, encoding={"preset": "ultrafast"})
    assert process("video", large, watermark=True).width == 3840
    with pytest.raises(MediaInvalid):
        sandbox.process_in_sandbox("video", large, watermark=True, seconds_max=60, memory_bytes_max=450 * 1024 * 1024)


def test_processing_beyond_the_time_limit_is_refused() -> None:
    long = av_files.make_video(size=(640, 480), frames=400, fps=24, audio_codec=None)
    began = time.monotonic()
    with pytest.raises(MediaInvalid, match=r"took longer|in the time allowed"):
        process("video", long, watermark=True, seconds_max=0.2)
    assert time.monotonic() - began < 30


def replaced(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Run this code in the subprocess instead of processing the file."""
    program = folder / "opening.py"
    source = sandbox.PROGRAM.read_text()
    assert "def _handle_request(request" in source
    program.write_text(source.replace('if __name__ == "__main__":', f"{code}\n\nif __name__ == '__main__':"))
    monkeypatch.setattr(sandbox, "PROGRAM", program)


def test_a_crashed_process_refuses_its_file_and_the_next_file_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes
) -> None:
    with monkeypatch.context() as patch:
        replaced(patch, tmp_path, "def _handle_request(request, data):\n    os.kill(os.getpid(), signal.SIGSEGV)")
        for kind in ("image", "video"):
            with pytest.raises(MediaInvalid, match="status -11"):
                process(kind, plain, watermark=False)
    assert process("image", sample_png(64, 48, 1), watermark=False).width == 64


@pytest.mark.parametrize("whom", ["os.getpid()", "os.getppid()"])
def test_a_process_killed_from_outside_is_retried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whom: str) -> None:
    once = tmp_path / "killed"
    lines = (
        "looked_into = _handle_request",
        "def _handle_request(request, data):",
        f"    if not os.path.exists({str(once)!r}):",
        f"        open({str(once)!r}, 'w').close()",
        f"        os.kill({whom}, signal.SIGKILL)",
        "    return looked_into(request, data)",
    )
    replaced(monkeypatch, tmp_path, "\n".join(lines))
    assert process("image", sample_png(64, 48, 1), watermark=False).width == 64
    assert once.exists()


def test_the_process_gets_no_secrets_and_leaves_no_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes
) -> None:
    says = "{'refused': os.getcwd() + ' ' + ' '.join(sorted(os.environ))}"
    replaced(
        monkeypatch,
        tmp_path,
        f"def _handle_request(request, data):\n    open('left', 'w').close()\n    return {says}, b''",
    )
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(MediaInvalid) as refused:
        process("image", plain, watermark=False)
    folder, *names = str(refused.value).split()
    assert not Path(folder).exists()
    assert set(names) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR"}


def test_no_state_is_shared_between_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes) -> None:
    replaced(
        monkeypatch,
        tmp_path,
        "n = []\n\n\ndef _handle_request(request, data):\n    n.append(len(data))\n    return {'refused': f'{n}'}, b''",
    )
    for data in (plain, plain[:10]):
        with pytest.raises(MediaInvalid, match=rf"^\[{len(data)}\]$"):
            process("image", data, watermark=False)


def test_an_interrupted_call_leaves_no_result_for_the_next_file(plain: bytes) -> None:
    class Interrupted(BaseException):
        pass

    class Data(bytes):
        def __len__(self) -> int:
            raise Interrupted

    with pytest.raises(Interrupted):
        process("image", Data(plain), watermark=False)
    assert process("image", sample_png(64, 48, 1), watermark=False).width == 64


@pytest.mark.parametrize("code", ["while True: pass", "signal.pause()"])
def test_an_image_beyond_the_time_limit_is_refused_with_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    replaced(monkeypatch, tmp_path, f"def _handle_request(request, data):\n    {code}")
    with pytest.raises(MediaLimitExceeded, match=r"took longer than 0\.2 seconds, the most"):
        process("image", b"data", watermark=False, seconds_max=0.2)


def test_a_process_that_ignores_its_alarm_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "def _handle_request(request, data):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    signal.pause()"
    replaced(monkeypatch, tmp_path, code)
    with pytest.raises(MediaLimitExceeded, match="took longer"):
        process("image", b"data", watermark=False, seconds_max=0.2)


@pytest.mark.skipif(sys.platform == "darwin", reason="not run: this system does not bound a process's memory")
def test_an_image_beyond_the_memory_limit_is_refused_with_the_limit() -> None:
    file = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(file, "PNG", compress_level=1)
    with pytest.raises(MediaLimitExceeded, match="more memory than the 150 MiB"):
        sandbox.process_in_sandbox(
            "image", file.getvalue(), watermark=True, seconds_max=60, memory_bytes_max=150 * 1024 * 1024
        )


def test_a_video_without_pyav_raises_media_tool_missing(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    without = [str(Path(video.__file__).parents[2])]
    monkeypatch.setattr(sys, "path", [*without, *(path for path in sys.path if "site-packages" not in path)])
    with pytest.raises(MediaToolMissing, match="not installed here"):
        process("video", plain, watermark=False)


def test_a_box_header_that_claims_a_gigabyte_is_bounded(plain: bytes) -> None:
    for name in (b"mdat", b"moov", b"trak", b"stbl"):
        at = plain.index(name) - 4
        claiming = plain[:at] + struct.pack(">I", 1 << 30) + plain[at + 4 :]
        try:
            made = process("video", claiming, watermark=False)
        except MediaInvalid:
            continue
        assert len(made.data) < 2 * len(plain)
