"""The embedded provider: pictures made on this machine, so that everything works with no key and no network.

They are drawn by an algorithm, not by a trained model, and say so wherever they go: by the model's id and its
`procedural` flag in the catalogue, by a small word in the picture's corner, and in the file's own text until finishing
strips it. Painting is a pure function of prompt, seed and size, so a job may be sent again at will: polling one paints
the same picture once more.
"""

from __future__ import annotations

import io
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
    WebhookEvent,
    WebhookInvalid,
)

if TYPE_CHECKING:
    from PIL import Image


class Local:
    """`local/canvas`: 1 to 4 PNG pictures of exactly the size asked; picture number k is painted with seed + k."""

    resend_safe = True

    def submit(self, job: Job) -> Submitted:
        return self._paint(job)

    def poll(self, reference: str, job: Job) -> Progress:
        return self._paint(job)

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

    def _paint(self, job: Job) -> Done | Failed:
        from atelier.providers._canvas import paint

        if job.model != "local/canvas":
            return Failed(ErrorClass.MODEL_GONE, "There is no such local model.")
        parameters = job.parameters
        pictures = (
            paint(job.prompt, parameters["seed"] + number, parameters["width"], parameters["height"])
            for number in range(parameters["n"])
        )
        return Done(tuple(Output(_png(picture), content_type="image/png") for picture in pictures))


def _png(picture: Image.Image) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    marks = PngInfo()
    marks.add_text("Software", "Atelier local/canvas")
    marks.add_text("Comment", "Procedural: drawn by an algorithm, not by a trained model.")
    file = io.BytesIO()
    # Quick rather than small: finishing encodes it once more.
    picture.save(file, "PNG", pnginfo=marks, compress_level=1)
    return file.getvalue()
