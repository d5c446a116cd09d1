"""The embedded provider: media made on this machine, so that everything works without any key or network.

The media are made by algorithms, not by trained models, and are marked as such: by the model's id and its `procedural`
flag in the catalogue, by a small word in the corner of an image or a video and at the end of a text or a page, and in
the file's metadata. Every result is a pure function of the job, including its seed and files, so a job may be sent
again at any time; polling a job generates the same result once more.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from atelier.provider_port import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Job,
    ListedModel,
    Output,
    PollOutcome,
    SubmitOutcome,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

if TYPE_CHECKING:
    from PIL import Image

    from atelier.page_writing.prompt import WritingFacts


class Local:
    """The adapter of the embedded provider. Its models: `local/canvas` paints and edits images, `local/enlarge`
    enlarges them, `local/film` makes a video by moving a camera over an image, `local/voice` speaks, `local/talker`
    animates a speaking face, `local/writer` writes texts, `local/page` builds HTML pages.

    The libraries of a model are imported when the model is used: a machine without PyAV can still paint."""

    resend_safe = True

    def submit(self, job: Job) -> SubmitOutcome:
        try:
            return _make(job)
        except ImportError as error:
            return Failed(ErrorClass.MODEL_GONE, f"This installation lacks what the model needs: {error.name}.")

    def poll(self, reference: str, job: Job) -> PollOutcome:
        try:
            return _make(job)
        except ImportError as error:
            # The function that polls may have fewer libraries than the one that submitted.
            return Unknown(f"{error.name} is not installed here")

    def cancel(self, reference: str) -> CancelResult:
        return CancelResult.TOO_LATE

    def find(self, job: Job) -> str | None:
        return job.attempt_id

    def parse_webhook(
        self, headers: dict[str, str], body: bytes, now_seconds: int, job: Job | None = None
    ) -> WebhookEvent:
        raise WebhookInvalid("the local provider sends no webhooks")

    def check(self) -> Failed | None:
        return None

    def models(self) -> tuple[ListedModel, ...] | None:
        return None


def _make(job: Job) -> Done | Failed:
    make = MAKERS.get(job.model)
    if make is None:
        return Failed(ErrorClass.MODEL_GONE, "There is no such local model.")
    from subprocess import SubprocessError  # nosec B404

    from atelier.adapters.providers.local.parameters import JobRefused

    try:
        return make(job)
    except JobRefused as refusal:
        return Failed(ErrorClass.INVALID_INPUT, str(refusal))
    except (OSError, SubprocessError):
        return Failed(ErrorClass.TRANSIENT, "This could not be made just now.")


def _canvas(job: Job) -> Done:
    """1 to 4 PNG images of exactly the requested size; image number k is made with seed + k."""
    from atelier.adapters.providers.local.canvas import paint, restyle
    from atelier.adapters.providers.local.parameters import cover, cover_mask, input_image, integer_parameter

    width, height = integer_parameter(job, "width", 1024, 64, 2048), integer_parameter(job, "height", 1024, 64, 2048)
    seed, count = integer_parameter(job, "seed", 0, 0, 2**32 - 1), integer_parameter(job, "n", 1, 1, 4)
    source_image, mask = input_image(job) or input_image(job, "reference"), input_image(job, "mask")
    if source_image:
        ground = cover(source_image, (width, height))
        keep_mask = cover_mask(mask, source_image.size, (width, height)) if mask else None
        images = (restyle(ground, keep_mask, job.prompt, seed + number) for number in range(count))
    else:
        images = (paint(job.prompt, seed + number, width, height) for number in range(count))
    return Done(tuple(_png(each, "canvas") for each in images))


def _enlarge(job: Job) -> Done:
    from atelier.adapters.providers.local.canvas import enlarge
    from atelier.adapters.providers.local.parameters import SIDE_MAX, JobRefused, input_image, integer_parameter

    source_image, factor = input_image(job), integer_parameter(job, "factor", 2, 2, 4)
    if source_image is None:
        raise JobRefused("There is no image to enlarge.")
    if source_image.width * source_image.height * factor**2 > 4096**2:
        raise JobRefused("Enlarged, the image would have more than 4096 × 4096 pixels.")
    if max(source_image.size) * factor > SIDE_MAX:
        raise JobRefused(f"Enlarged, the image would have a side of more than {SIDE_MAX:,} pixels.")
    return Done((_png(enlarge(source_image, factor), "enlarge"),))


def _voice(job: Job) -> Done:
    from atelier.adapters.providers.local.voice import make_speech

    output, milliseconds = make_speech(job)
    return Done((output,), {"characters": len(job.prompt), "output_milliseconds": milliseconds})


def _video(job: Job) -> Done:
    from atelier.adapters.providers.local.video import make_video

    data, milliseconds = make_video(job)
    return Done((Output(data, content_type="video/mp4"),), {"output_milliseconds": milliseconds})


def _avatar(job: Job) -> Done:
    from atelier.adapters.providers.local.avatar import make_avatar_video

    data, milliseconds = make_avatar_video(job)
    return Done((Output(data, content_type="video/mp4"),), {"output_milliseconds": milliseconds})


def _text(job: Job) -> Done:
    from atelier.adapters.providers.local.text import write_text

    text, usage = write_text(job)
    return Done((Output(text.encode(errors="replace"), content_type="text/plain"),), usage)


def _page(job: Job) -> Done:
    from atelier.adapters.providers.local.page import build_page
    from atelier.page_writing.prompt import read_prompt

    facts = read_prompt(job.prompt)
    if facts is None:
        return Done((Output(build_page(job).encode(), content_type="text/html"),))
    return _site_page(job, facts)


def _site_page(job: Job, facts: WritingFacts) -> Done:
    """Blocks for a page of a site."""
    from atelier.adapters.providers.local.canvas import rng_for
    from atelier.adapters.providers.local.parameters import integer_parameter
    from atelier.adapters.providers.local.site_page import answer_for_site
    from atelier.adapters.providers.local.text import count_tokens

    seed = integer_parameter(job, "seed", 0, 0, 2**32 - 1)
    answer = answer_for_site(facts, rng_for(job.prompt, seed))
    usage = {"tokens_input": count_tokens(job.prompt), "tokens_output": count_tokens(answer)}
    return Done((Output(answer.encode(errors="replace"), content_type="text/html"),), usage)


MAKERS: dict[str, Callable[[Job], Done]] = {
    "local/canvas": _canvas,
    "local/enlarge": _enlarge,
    "local/film": _video,
    "local/page": _page,
    "local/talker": _avatar,
    "local/voice": _voice,
    "local/writer": _text,
}


def _png(image: Image.Image, maker: str) -> Output:
    from PIL.PngImagePlugin import PngInfo

    metadata = PngInfo()
    metadata.add_text("Software", f"Atelier local/{maker}")
    metadata.add_text("Comment", "Procedural: made by an algorithm, not by a trained model.")
    file = io.BytesIO()
    # Fast rather than small: delivery encodes the image once more.
    image.save(file, "PNG", pnginfo=metadata, compress_level=1)
    return Output(file.getvalue(), content_type="image/png")
