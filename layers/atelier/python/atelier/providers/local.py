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

from atelier.providers._contract import (
    CancelResult,
    Done,
    ErrorClass,
    Failed,
    Job,
    ListedModel,
    Output,
    Progress,
    Submitted,
    Unknown,
    WebhookEvent,
    WebhookInvalid,
)

if TYPE_CHECKING:
    from PIL import Image


class Local:
    """The adapter of the embedded provider. Its models: `local/canvas` paints and edits images, `local/enlarge`
    enlarges them, `local/film` makes a video by moving a camera over an image, `local/voice` speaks, `local/talker`
    animates a speaking face, `local/writer` writes texts, `local/page` builds HTML pages.

    The libraries of a model are imported when the model is used: a machine without PyAV can still paint."""

    resend_safe = True

    def submit(self, job: Job) -> Submitted:
        try:
            return _make(job)
        except ImportError as error:
            return Failed(ErrorClass.MODEL_GONE, f"This installation lacks what the model needs: {error.name}.")

    def poll(self, reference: str, job: Job) -> Progress:
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

    from atelier.providers._given import Refused

    try:
        return make(job)
    except Refused as refusal:
        return Failed(ErrorClass.INVALID_INPUT, str(refusal))
    except (OSError, SubprocessError):
        return Failed(ErrorClass.TRANSIENT, "This could not be made just now.")


def _canvas(job: Job) -> Done:
    """1 to 4 PNG images of exactly the requested size; image number k is made with seed + k."""
    from atelier.providers._canvas import paint, restyled
    from atelier.providers._given import covering, covering_mask, picture, whole

    width, height = whole(job, "width", 1024, 64, 2048), whole(job, "height", 1024, 64, 2048)
    seed, count = whole(job, "seed", 0, 0, 2**32 - 1), whole(job, "n", 1, 1, 4)
    source_image, mask = picture(job) or picture(job, "reference"), picture(job, "mask")
    if source_image:
        ground = covering(source_image, (width, height))
        keep_mask = covering_mask(mask, source_image.size, (width, height)) if mask else None
        images = (restyled(ground, keep_mask, job.prompt, seed + number) for number in range(count))
    else:
        images = (paint(job.prompt, seed + number, width, height) for number in range(count))
    return Done(tuple(_png(each, "canvas") for each in images))


def _enlarge(job: Job) -> Done:
    from atelier.providers._canvas import enlarged
    from atelier.providers._given import SIDE_MAX, Refused, picture, whole

    source_image, factor = picture(job), whole(job, "factor", 2, 2, 4)
    if source_image is None:
        raise Refused("There is no picture to enlarge.")
    if source_image.width * source_image.height * factor**2 > 4096**2:
        raise Refused("Enlarged, the picture would have more than 4096 × 4096 pixels.")
    if max(source_image.size) * factor > SIDE_MAX:
        raise Refused(f"Enlarged, the picture would have a side of more than {SIDE_MAX:,} pixels.")
    return Done((_png(enlarged(source_image, factor), "enlarge"),))


def _voice(job: Job) -> Done:
    from atelier.providers._voice import spoken

    output, milliseconds = spoken(job)
    return Done((output,), {"characters": len(job.prompt), "output_milliseconds": milliseconds})


def _video(job: Job) -> Done:
    from atelier.providers._film import film

    data, milliseconds = film(job)
    return Done((Output(data, content_type="video/mp4"),), {"output_milliseconds": milliseconds})


def _talker(job: Job) -> Done:
    from atelier.providers._talker import talk

    data, milliseconds = talk(job)
    return Done((Output(data, content_type="video/mp4"),), {"output_milliseconds": milliseconds})


def _writer(job: Job) -> Done:
    from atelier.providers._writer import written

    text, usage = written(job)
    return Done((Output(text.encode(errors="replace"), content_type="text/plain"),), usage)


def _page(job: Job) -> Done:
    from atelier.providers._page import page

    return Done((Output(page(job).encode(), content_type="text/html"),))


MAKERS: dict[str, Callable[[Job], Done]] = {
    "local/canvas": _canvas,
    "local/enlarge": _enlarge,
    "local/film": _video,
    "local/page": _page,
    "local/talker": _talker,
    "local/voice": _voice,
    "local/writer": _writer,
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
