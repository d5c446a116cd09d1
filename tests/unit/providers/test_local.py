"""The local provider's images: exact sizes, deterministic by request, visibly marked."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from atelier.adapters.providers.local import canvas
from atelier.adapters.providers.local.provider import Local
from atelier.catalogue.catalogue import catalogue
from atelier.catalogue.sizes import InputFacts
from atelier.provider_port import CancelResult, Done, ErrorClass, Failed, Input, Job, WebhookInvalid
from infra.simulators.kit.samples import sample_png as simulator_png

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
def test_every_prompt_gives_a_png_of_the_requested_size(prompt: str, width: int, height: int, seed: int) -> None:
    (file,) = painted(job(prompt, width=width, height=height, seed=seed))
    picture = Image.open(io.BytesIO(file))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (width, height))


@pytest.mark.parametrize("prompt", ["lake forest", "galaxy", "a fox", "marble", "roses", "night sea"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 2048), (2048, 64), (257, 255)])
def test_every_scene_fills_the_extreme_sizes(prompt: str, width: int, height: int) -> None:
    (file,) = painted(job(prompt, width=width, height=height))
    picture = Image.open(io.BytesIO(file))
    assert picture.size == (width, height)
    assert len(picture.getcolors(width * height) or []) > 100


def test_the_same_request_gives_the_same_bytes_in_another_process() -> None:
    script = """
import hashlib
from atelier.provider_port import Job
from atelier.adapters.providers.local.provider import Local
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


def test_another_seed_or_prompt_gives_another_image() -> None:
    (first,) = painted(job())
    assert pixels(first) != pixels(painted(job(seed=8))[0])
    assert pixels(first) != pixels(painted(job("a lake at dawn"))[0])


def test_several_images_differ_and_each_matches_its_own_seed() -> None:
    three = painted(job(n=3))
    assert len({pixels(file) for file in three}) == 3
    assert pixels(three[2]) == pixels(painted(job(seed=9))[0])


def test_an_images_metadata_says_that_it_is_procedural() -> None:
    (file,) = painted(job())
    assert "Procedural" in Image.open(io.BytesIO(file)).info["Comment"]


def test_an_image_has_a_visible_mark_in_its_corner() -> None:
    plain = Image.new("RGB", (512, 512), (40, 60, 80))
    left, top, right, bottom = ImageChops.difference(plain, canvas.add_mark(plain)).getbbox() or (0, 0, 0, 0)
    assert 0 < left < right < 128
    assert 480 < top < bottom < 512


def png(picture: Image.Image) -> Input:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Input(file.getvalue(), "image/png")


def refused(work: Job) -> str:
    failed = Local().submit(work)
    assert isinstance(failed, Failed), failed
    assert failed.error_class is ErrorClass.INVALID_INPUT
    return failed.message


def test_an_edit_keeps_the_outlines_and_changes_the_look() -> None:
    (before,) = painted(job("a castle on a mountain", width=320, height=320))
    edit = replace(job("autumn fire", width=320, height=320), inputs={"image": (Input(before, "image/png"),)})
    (after,) = painted(edit)
    pictures = [Image.open(io.BytesIO(file)).convert("RGB") for file in (before, after)]
    assert pictures[1].size == (320, 320)
    assert ImageChops.difference(*pictures).getbbox()
    # Bright areas are still bright: the outlines are the same.
    shapes = [picture.convert("L").resize((8, 8), Image.Resampling.BOX).tobytes() for picture in pictures]
    ranks = [sorted(range(64), key=lambda place, shape=shape: shape[place]) for shape in shapes]
    assert len(set(ranks[0][:16]) & set(ranks[1][:16])) >= 8
    assert painted(edit) == [after]


def test_an_edit_is_cropped_to_the_requested_size_and_several_differ() -> None:
    wide = Image.linear_gradient("L").resize((300, 100)).convert("RGB")
    two = painted(replace(job(n=2), inputs={"image": (png(wide),)}))
    assert {Image.open(io.BytesIO(file)).size for file in two} == {(96, 64)}
    assert two[0] != two[1]


def test_a_mask_protects_its_opaque_area() -> None:
    ground = Image.new("RGB", (200, 200), (90, 120, 60))
    mask = Image.new("RGBA", (200, 200), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 100, 200))
    inputs = {"image": (png(ground),), "mask": (png(mask),)}
    (file,) = painted(replace(job("neon city", width=200, height=200), inputs=inputs))
    changed = ImageChops.difference(ground, Image.open(io.BytesIO(file)).convert("RGB")).getbbox()
    assert changed is not None
    assert changed[0] == 0
    assert 60 <= changed[2] <= 101


def test_a_masked_edit_without_a_size_changes_the_masked_rows_alone() -> None:
    ground = Image.radial_gradient("L").resize((300, 600)).convert("RGB")
    mask = Image.new("RGBA", ground.size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 300, 300, 400))
    shelf = catalogue(frozenset({"local"}))
    parameters = shelf.parameters_for("local/canvas", {}, facts=InputFacts(*ground.size))
    inputs = {"image": (png(ground),), "mask": (png(mask),)}
    (file,) = painted(Job(ATTEMPT, "image", "local/canvas", "neon city", parameters=parameters, inputs=inputs))
    edited = Image.open(io.BytesIO(file)).convert("RGB")
    assert edited.size == ground.size
    # The visible mark is below this area.
    changed = ImageChops.difference(ground, edited).crop((0, 0, 300, 500)).getbbox()
    assert changed == (0, 300, 300, 400)


def test_a_mask_is_cropped_like_its_image() -> None:
    ground = Image.new("RGB", (300, 600), (90, 120, 60))
    mask = Image.new("RGBA", ground.size, (0, 0, 0, 255))
    # The upper third of the square that is cropped from the middle.
    mask.paste((0, 0, 0, 0), (0, 150, 300, 250))
    inputs = {"image": (png(ground),), "mask": (png(mask),)}
    (file,) = painted(replace(job("neon city", width=300, height=300), inputs=inputs))
    edited = Image.open(io.BytesIO(file)).convert("RGB").crop((0, 0, 300, 250))
    _, top, _, bottom = (
        ImageChops.difference(Image.new("RGB", edited.size, (90, 120, 60)), edited).getbbox() or (0,) * 4
    )
    assert (top, bottom) == (0, 100)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_upscaled_image_matches_its_original(factor: int, mode: str) -> None:
    small = Image.radial_gradient("L").resize((60, 40)).convert(mode)
    work = Job(ATTEMPT, "upscale", "local/enlarge", "", parameters={"factor": factor}, inputs={"image": (png(small),)})
    (file,) = painted(work)
    large = Image.open(io.BytesIO(file))
    assert (large.mode, large.size) == (mode, (60 * factor, 40 * factor))
    back = large.resize((60, 40), Image.Resampling.BOX).convert("L")
    assert ImageStat.Stat(ImageChops.difference(back, small.convert("L"))).mean[0] < 3


def test_an_upscale_without_an_image_or_beyond_the_size_limit_is_refused() -> None:
    work = Job(ATTEMPT, "upscale", "local/enlarge", "", parameters={"factor": 4})
    assert "no image" in refused(work)
    large = png(Image.new("L", (3000, 400)))
    assert "4096" in refused(replace(work, inputs={"image": (large,)}))


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"GIF89a\x01\x00\x01\x00\x00\x00\x00", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_an_input_that_is_not_an_image_is_refused(data: bytes) -> None:
    assert "no image" in refused(replace(job(), inputs={"image": (Input(data, "image/png"),)}))


def test_an_image_bomb_is_refused_by_its_declared_size() -> None:
    assert "pixels" in refused(
        replace(job(), inputs={"image": (Input(simulator_png(30, 30, 1, declared=(30_000, 30_000)), "image/png"),)})
    )


def test_a_job_can_be_resubmitted_found_and_polled() -> None:
    provider = Local()
    assert provider.resend_safe
    reference = provider.find(job())
    assert reference
    assert provider.poll(reference, job()) == provider.submit(job())
    assert provider.cancel(reference) is CancelResult.TOO_LATE


def test_an_unknown_local_model_fails_as_model_gone() -> None:
    gone = Local().submit(Job(ATTEMPT, "image", "local/oil", "x", parameters={}))
    assert isinstance(gone, Failed)
    assert gone.error_class is ErrorClass.MODEL_GONE


def test_any_webhook_for_the_local_provider_is_invalid() -> None:
    with pytest.raises(WebhookInvalid):
        Local().parse_webhook({}, b"{}", 0)
