"""The local provider: exact sizes, one picture for one request, another for another, marked for what it is."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from atelier.providers import _canvas
from atelier.providers._contract import CancelResult, Done, ErrorClass, Failed, Job, WebhookInvalid
from atelier.providers.local import Local

ATTEMPT = "att_01K9ABCDEFGHJKMNPQRSTVWXYZ"


def job(prompt: str = "a lake at dusk", **parameters: int) -> Job:
    completed: dict[str, Any] = {"width": 96, "height": 64, "n": 1, "seed": 7} | parameters
    return Job(ATTEMPT, "image", "local/canvas", prompt, parameters=completed)


def painted(work: Job) -> list[bytes]:
    done = Local().submit(work)
    assert isinstance(done, Done)
    files = [output.data for output in done.outputs]
    return [file for file in files if file]


def pixels(file: bytes) -> bytes:
    return Image.open(io.BytesIO(file)).tobytes()


@settings(max_examples=20, deadline=None)
@given(
    st.text(max_size=40),
    st.integers(64, 300),
    st.integers(64, 300),
    st.integers(0, 2**32 - 1),
)
def test_every_prompt_gives_a_png_of_exactly_the_size_asked(prompt: str, width: int, height: int, seed: int) -> None:
    (file,) = painted(job(prompt, width=width, height=height, seed=seed))
    picture = Image.open(io.BytesIO(file))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (width, height))


@pytest.mark.parametrize("prompt", ["lake forest", "galaxy", "a fox", "marble", "roses", "night sea"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 2048), (2048, 64), (257, 255)])
def test_every_scene_fills_the_thinnest_sizes(prompt: str, width: int, height: int) -> None:
    (file,) = painted(job(prompt, width=width, height=height))
    picture = Image.open(io.BytesIO(file))
    assert picture.size == (width, height)
    assert len(picture.getcolors(width * height) or []) > 100


def test_the_same_request_gives_the_same_bytes_in_another_process() -> None:
    script = """
import hashlib
from atelier.providers._contract import Job
from atelier.providers.local import Local
parameters = {"width": 200, "height": 120, "n": 1, "seed": 12}
done = Local().submit(Job("att", "image", "local/canvas", "an orchard in spring", parameters=parameters))
print(hashlib.sha256(done.outputs[0].data).hexdigest())
"""
    source = Path(sys.modules["atelier"].__path__[0]).parent
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(source), "PYTHONHASHSEED": "3", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    (file,) = painted(job("an orchard in spring", seed=12, width=200, height=120))
    assert answer.stdout.strip() == hashlib.sha256(file).hexdigest()


def test_another_seed_or_another_prompt_is_another_picture() -> None:
    (first,) = painted(job())
    assert pixels(first) != pixels(painted(job(seed=8))[0])
    assert pixels(first) != pixels(painted(job("a lake at dawn"))[0])


def test_several_pictures_differ_and_each_is_the_one_of_its_own_seed() -> None:
    three = painted(job(n=3))
    assert len({pixels(file) for file in three}) == 3
    assert pixels(three[2]) == pixels(painted(job(seed=9))[0])


def test_a_picture_says_in_its_file_that_it_is_procedural() -> None:
    (file,) = painted(job())
    assert "Procedural" in Image.open(io.BytesIO(file)).info["Comment"]


def test_a_picture_says_it_in_its_corner_too() -> None:
    plain = Image.new("RGB", (512, 512), (40, 60, 80))
    left, top, right, bottom = ImageChops.difference(plain, _canvas.marked(plain)).getbbox() or (0, 0, 0, 0)
    assert 0 < left < right < 128
    assert 480 < top < bottom < 512


def test_a_job_can_be_sent_and_asked_for_again_at_will() -> None:
    provider = Local()
    assert provider.resend_safe
    reference = provider.find(job())
    assert reference
    assert provider.poll(reference, job()) == provider.submit(job())
    assert provider.cancel(reference) is CancelResult.TOO_LATE


def test_a_model_it_does_not_have_is_gone() -> None:
    gone = Local().submit(Job(ATTEMPT, "image", "local/oil", "x", parameters={}))
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.MODEL_GONE


def test_a_webhook_can_only_be_forged() -> None:
    with pytest.raises(WebhookInvalid):
        Local().parse_webhook({}, b"{}", 0)
