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

from atelier.media import apart, film, picture, sound, text
from atelier.media.process import process
from atelier.media.processed import MediaInvalid, MediaLimitExceeded, MediaToolMissing
from infra.local.standins._kit import png
from infra.local.standins._kit import sound as tone
from tests.unit.media import reels
from tests.unit.media.reels import changed


@pytest.fixture(scope="module")
def plain() -> bytes:
    return reels.film()


def test_there_is_one_front_for_everything(plain: bytes) -> None:
    page = b"<!doctype html><p>page</p>"
    assert process("image", png(64, 48, 1), watermark=True) == picture.process(png(64, 48, 1), watermark=True)
    assert process("video", plain, watermark=False) == film.process(plain, watermark=False)
    assert process("video", plain, watermark=True) == film.process(plain, watermark=True)
    assert process("audio", tone(1, "mp3"), watermark=True) == sound.process(tone(1, "mp3"))
    assert process("text", b"words", watermark=True) == text.process(b"words")
    assert process("page", page, watermark=True) == text.process_page(page)


def test_what_is_expected_decides_and_not_what_came(plain: bytes) -> None:
    came = {
        "image": png(64, 48, 1),
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


def test_a_refusal_says_why(plain: bytes) -> None:
    with pytest.raises(MediaInvalid, match="neither MP4"):
        process("video", b"<!doctype html>", watermark=False)
    with pytest.raises(MediaInvalid, match="cut off"):
        process("video", film.process(plain, watermark=False).data[:-3000], watermark=False)


def test_a_film_of_a_billion_frames_in_few_bytes_ends_its_own_process(plain: bytes) -> None:
    # Every sample has one byte, so there is no table of sizes; an index of the samples would take gigabytes.
    bomb = changed(plain, "moov/trak/mdia/minf/stbl/stsz", 4, ">II", 1, 0x50000000)
    bomb = changed(bomb, "moov/trak/mdia/minf/stbl/stsc", 8, ">II", 1, 0x50000000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaInvalid):
        process("video", bomb, watermark=False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.skipif(sys.platform == "darwin", reason="not run: this system does not bound a process's memory")
def test_memory_has_a_bound() -> None:
    large = reels.film(size=(3840, 2160), frames=2, sound=None, encoding={"preset": "ultrafast"})
    assert process("video", large, watermark=True).width == 3840
    with pytest.raises(MediaInvalid):
        apart.process_apart("video", large, watermark=True, seconds_max=60, memory_bytes_max=450 * 1024 * 1024)


def test_time_has_a_bound() -> None:
    long = reels.film(size=(640, 480), frames=400, fps=24, sound=None)
    began = time.monotonic()
    with pytest.raises(MediaInvalid, match=r"took longer|in the time allowed"):
        process("video", long, watermark=True, seconds_max=0.2)
    assert time.monotonic() - began < 30


def replaced(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Run this code in the subprocess instead of processing the file."""
    program = folder / "opening.py"
    source = apart.PROGRAM.read_text()
    assert "def _answer(asked" in source
    program.write_text(source.replace('if __name__ == "__main__":', f"{code}\n\nif __name__ == '__main__':"))
    monkeypatch.setattr(apart, "PROGRAM", program)


def test_a_crash_is_a_refusal_and_the_next_file_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes
) -> None:
    with monkeypatch.context() as patch:
        replaced(patch, tmp_path, "def _answer(asked, data):\n    os.kill(os.getpid(), signal.SIGSEGV)")
        for kind in ("image", "video"):
            with pytest.raises(MediaInvalid, match="status -11"):
                process(kind, plain, watermark=False)
    assert process("image", png(64, 48, 1), watermark=False).width == 64


@pytest.mark.parametrize("whom", ["os.getpid()", "os.getppid()"])
def test_a_process_that_is_killed_from_outside_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, whom: str
) -> None:
    once = tmp_path / "killed"
    lines = (
        "looked_into = _answer",
        "def _answer(asked, data):",
        f"    if not os.path.exists({str(once)!r}):",
        f"        open({str(once)!r}, 'w').close()",
        f"        os.kill({whom}, signal.SIGKILL)",
        "    return looked_into(asked, data)",
    )
    replaced(monkeypatch, tmp_path, "\n".join(lines))
    assert process("image", png(64, 48, 1), watermark=False).width == 64
    assert once.exists()


def test_nothing_is_told_to_it_and_nothing_left_by_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes
) -> None:
    says = "{'refused': os.getcwd() + ' ' + ' '.join(sorted(os.environ))}"
    replaced(monkeypatch, tmp_path, f"def _answer(asked, data):\n    open('left', 'w').close()\n    return {says}, b''")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(MediaInvalid) as refused:
        process("image", plain, watermark=False)
    folder, *names = str(refused.value).split()
    assert not Path(folder).exists()
    assert set(names) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR"}


def test_one_file_knows_nothing_of_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: bytes) -> None:
    replaced(
        monkeypatch,
        tmp_path,
        "seen = []\n\n\ndef _answer(asked, data):\n    seen.append(len(data))\n    return {'refused': f'{seen}'}, b''",
    )
    for data in (plain, plain[:10]):
        with pytest.raises(MediaInvalid, match=rf"^\[{len(data)}\]$"):
            process("image", data, watermark=False)


def test_who_is_interrupted_leaves_no_answer_for_the_next_file(plain: bytes) -> None:
    class Interrupted(BaseException):
        pass

    class Data(bytes):
        def __len__(self) -> int:
            raise Interrupted

    with pytest.raises(Interrupted):
        process("image", Data(plain), watermark=False)
    assert process("image", png(64, 48, 1), watermark=False).width == 64


@pytest.mark.parametrize("code", ["while True: pass", "signal.pause()"])
def test_a_picture_that_takes_too_long_is_refused_with_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str
) -> None:
    replaced(monkeypatch, tmp_path, f"def _answer(asked, data):\n    {code}")
    with pytest.raises(MediaLimitExceeded, match=r"took longer than 0\.2 seconds, the most"):
        process("image", b"data", watermark=False, seconds_max=0.2)


def test_a_process_that_will_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = "def _answer(asked, data):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    signal.pause()"
    replaced(monkeypatch, tmp_path, code)
    with pytest.raises(MediaLimitExceeded, match="took longer"):
        process("image", b"data", watermark=False, seconds_max=0.2)


@pytest.mark.skipif(sys.platform == "darwin", reason="not run: this system does not bound a process's memory")
def test_a_picture_that_takes_too_much_memory_is_refused_with_the_limit() -> None:
    file = io.BytesIO()
    Image.new("RGB", (6000, 6000)).save(file, "PNG", compress_level=1)
    with pytest.raises(MediaLimitExceeded, match="more memory than the 150 MiB"):
        apart.process_apart(
            "image", file.getvalue(), watermark=True, seconds_max=60, memory_bytes_max=150 * 1024 * 1024
        )


def test_without_pyav_nobody_says_that_a_film_is_bad(monkeypatch: pytest.MonkeyPatch, plain: bytes) -> None:
    without = [str(Path(film.__file__).parents[2])]
    monkeypatch.setattr(sys, "path", [*without, *(path for path in sys.path if "site-packages" not in path)])
    with pytest.raises(MediaToolMissing, match="not installed here"):
        process("video", plain, watermark=False)


def test_a_header_that_claims_a_gigabyte_takes_none(plain: bytes) -> None:
    for name in (b"mdat", b"moov", b"trak", b"stbl"):
        at = plain.index(name) - 4
        claiming = plain[:at] + struct.pack(">I", 1 << 30) + plain[at + 4 :]
        try:
            made = process("video", claiming, watermark=False)
        except MediaInvalid:
            continue
        assert len(made.data) < 2 * len(plain)
