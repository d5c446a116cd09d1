"""Sample files of every format that providers return, made at the moment when they are fetched."""

from __future__ import annotations

import hashlib
import io
import struct
import wave
import zlib


def sample_png(width: int, height: int, seed: object, *, declared: tuple[int, int] | None = None) -> bytes:
    """A PNG with a diagonal gradient whose colours depend on the seed, and a text chunk that the product must remove.
    `declared`: a false size for the header."""
    red, green, blue = hashlib.sha256(str(seed).encode()).digest()[:3]
    ramp = bytes(part for x in range(width + height) for part in ((x + red) & 255, (x // 2 + green) & 255, blue))
    rows = b"".join(b"\0" + ramp[y * 3 : (y + width) * 3] for y in range(height))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", *(declared or (width, height)), 8, 2, 0, 0, 0)),
        (b"tEXt", b"Comment\0made by the simulator"),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def sample_image(width: int, height: int, seed: object, format: str = "png") -> bytes:
    """The image of `png`, encoded as PNG, JPEG or WebP."""
    data = sample_png(width, height, seed)
    if format == "png":
        return data
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(data)).save(file, format)
    return file.getvalue()


def sample_wav(seconds: float, hertz: float = 440.0, rate: int = 24_000) -> bytes:
    """A quiet tone as WAV, mono, 16 bits."""
    period = max(round(rate / hertz), 2)
    beat = b"".join(struct.pack("<h", round(8000 * (1 - abs(2 * step / period - 1) * 2))) for step in range(period))
    count = int(seconds * rate)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes((beat * (count // period + 1))[: count * 2])
    return file.getvalue()


def sample_audio(seconds: float, format: str) -> bytes:
    """The tone of `wav`, encoded as wav, pcm, mp3, aac, opus or flac."""
    data = sample_wav(seconds)
    if format in ("wav", "pcm"):
        return data if format == "wav" else data[44:]
    import av

    codec, container = {
        "mp3": ("libmp3lame", "mp3"),
        "aac": ("aac", "adts"),
        "opus": ("libopus", "ogg"),
        "flac": ("flac", "flac"),
    }[format]
    file = io.BytesIO()
    with av.open(io.BytesIO(data)) as plain, av.open(file, "w", format=container) as output:
        # LAME's fastest setting: a minute of audio must be ready well before a client's time-out.
        options = {"compression_level": "9"} if format == "mp3" else {}
        stream = output.add_stream(codec, rate=24_000, layout="mono", options=options)
        for frame in plain.decode(audio=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def sample_video(width: int, height: int, seconds: float, seed: object, fps: int = 12) -> bytes:
    """An MP4 that pans over the image of `png`, with the tone of `wav`."""
    import av
    from PIL import Image

    still = Image.open(io.BytesIO(sample_png(width * 2, height, seed)))
    file = io.BytesIO()
    with av.open(io.BytesIO(sample_wav(seconds))) as plain, av.open(file, "w", format="mp4") as output:
        frames = output.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "30"})
        frames.width, frames.height, frames.pix_fmt = width, height, "yuv420p"
        tone = output.add_stream("aac", rate=24_000, layout="mono")
        count = max(round(seconds * fps), 1)
        for step in range(count):
            left = step * width // count
            view = still.crop((left, 0, left + width, height))
            output.mux(frames.encode(av.VideoFrame.from_image(view)))
        output.mux(frames.encode(None))
        for frame in plain.decode(audio=0):
            output.mux(tone.encode(frame))
        output.mux(tone.encode(None))
    return file.getvalue()


def image_size_of(data: bytes) -> tuple[int, int]:
    """Width and height of an image file; raises OSError when it cannot be read as one."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        return opened.size
