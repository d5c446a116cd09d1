"""HTTP schemas of uploads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from atelier.ids import new_id
from atelier.lazy_model import LazyModel
from atelier.library.file_types import UnsupportedFileType, kind_of
from atelier.library.ports import UploadForm
from atelier.library.upload import BYTES_MAX, NAME_CHARACTERS_MAX, Upload


class UploadRequest(LazyModel):
    """Announces a file."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    content_type: Annotated[str, Field(min_length=3, max_length=100, pattern=r"^[!-~][ -~]*$")] = Field(
        description="As the device or the browser says it: image/jpeg, video/quicktime, audio/webm;codecs=opus."
    )
    size: int = Field(ge=1, le=BYTES_MAX, description="Bytes, exactly.")

    @field_validator("content_type")
    @classmethod
    def _is_accepted(cls, content_type: str, info: ValidationInfo) -> str:
        try:
            kind_of(content_type, str(info.data.get("name", "")))
        except UnsupportedFileType as error:
            raise PydanticCustomError("content_type", "{reason}", {"reason": str(error)}) from error
        return content_type

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Upload:
        """The new upload."""
        return Upload(new_id("ast", now), workspace_id, user_id, self.name, self.content_type, self.size, now)


class PendingView(LazyModel):
    """An announced file. It becomes an asset when POST /api/assets/{id}/complete has checked it."""

    id: str
    type: Literal["image", "video", "audio"]
    name: str
    content_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


class FormView(LazyModel):
    """How to send the file, within five minutes: POST to the URL as multipart/form-data, these fields first, the file
    as the last field, `file`."""

    url: str
    fields: dict[str, str]


class UploadEnvelope(LazyModel):
    asset: PendingView
    upload: FormView


def upload_view(upload: Upload, form: UploadForm) -> UploadEnvelope:
    """The response for an announced upload and its form."""
    return UploadEnvelope(
        asset=PendingView(
            id=upload.id,
            type=cast('Literal["image", "video", "audio"]', upload.type),
            name=upload.name,
            content_type=upload.content_type,
            size_bytes=upload.size_bytes,
            created_at=upload.created_at,
            expires_at=upload.expires_at,
        ),
        upload=FormView(url=form.url, fields=form.fields),
    )
