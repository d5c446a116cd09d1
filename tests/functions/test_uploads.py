"""functions/api/uploads, fed with events, and the upload forms that it returns, sent to the emulator's S3."""

from __future__ import annotations

import base64
import io
import json
import threading
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import httpx
import pytest
from PIL import Image

from atelier.aws.clients import client
from atelier.aws.dynamodb.uploads import UploadItem
from atelier.clock import system_clock
from atelier.errors import NotFound, PayloadTooLarge, ValidationFailed
from atelier.library.upload import BYTES_MAX
from atelier.providers._contract import Done, Input, Job
from atelier.providers.local import Local
from atelier.wiring import library, uploads
from infra.local.standins._kit import film
from infra.local.standins.replicate import png
from tests.functions.answers import answered, data, refusal
from tests.functions.cast import UPLOAD, USER, WORKSPACE, begin_upload
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function
from tests.unit.media import reels

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
PICTURE = png(64, 48, 7)


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("api/uploads")


def begun(app: ModuleType, size: int = len(PICTURE), content_type: str = "image/png", **changes: Any) -> dict[str, Any]:
    body = {"name": "harbour.png", "content_type": content_type, "size": size}
    return answered(app, event("api/uploads/begin_upload", body=body, **changes))


def sent(upload: dict[str, Any], file: bytes, **fields: str) -> int:
    """The status of S3's response to the form."""
    return httpx.post(
        upload["url"], data={**upload["fields"], **fields}, files={"file": ("x", file)}, timeout=20
    ).status_code


def completed(app: ModuleType, asset_id: str = UPLOAD) -> dict[str, Any]:
    path = f"/api/assets/{asset_id}/complete"
    request = event("api/uploads/complete_upload", rawPath=path)
    request["requestContext"]["http"]["path"] = path
    return answered(app, request)


def photograph() -> bytes:
    """A JPEG with the place where it was taken in its metadata."""
    exif = Image.Exif()
    exif[0x010E] = "at home, 1 Secret Street"
    file = io.BytesIO()
    Image.frombytes("RGB", (64, 48), bytes(64 * 48 * 3)).save(file, "JPEG", exif=exif)
    assert b"Secret Street" in file.getvalue()
    return file.getvalue()


def test_a_file_is_said_sent_and_found_good(app: ModuleType, cloud: Cloud) -> None:
    response = begun(app)
    assert response["statusCode"] == 201
    made = data(response)
    asset = made["asset"]
    assert (asset["type"], asset["size_bytes"]) == ("image", len(PICTURE))
    assert set(made["upload"]["fields"]) >= {"key", "policy", "Content-Type", "x-amz-signature"}
    assert refusal(completed(app, asset["id"])) == (409, "CONFLICT")
    assert library.assets().list(WORKSPACE, None, None, 10).assets == ()
    assert sent(made["upload"], PICTURE) == 204
    done = data(completed(app, asset["id"]))["asset"]
    assert (done["id"], done["name"], done["format"]) == (asset["id"], "harbour.png", "png")
    assert (done["width"], done["height"], done["generation_id"], done["made_from"]) == (64, 48, None, [])
    assert done["thumbnail_url"]
    stored = f"media/{WORKSPACE}/{done['sha256']}"
    assert cloud.keys("media/") == [f"{stored}.png", f"{stored}.thumb.webp"]
    assert data(completed(app, asset["id"]))["asset"]["sha256"] == done["sha256"]
    assert [each.id for each in library.assets().list(WORKSPACE, None, None, 10).assets] == [asset["id"]]


def test_the_form_takes_this_file_in_this_place_and_nothing_else(app: ModuleType, cloud: Cloud) -> None:
    upload = data(begun(app))["upload"]
    wrong = [
        sent(upload, PICTURE + b"x"),
        sent(upload, PICTURE[:-1]),
        sent(upload, PICTURE, key=f"uploads/{OTHER}/{UPLOAD}"),
        sent(upload, PICTURE, key=f"media/{WORKSPACE}/x.png"),
        sent(upload, PICTURE, **{"Content-Type": "text/html"}),
    ]
    assert all(400 <= status < 500 for status in wrong), wrong
    assert cloud.keys() == []
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    assert ["content-length-range", len(PICTURE), len(PICTURE)] in policy["conditions"]


def test_what_a_file_tells_of_its_maker_is_left_behind(app: ModuleType, cloud: Cloud) -> None:
    begin_upload(photograph(), content_type="image/jpeg")
    done = data(completed(app))["asset"]
    key = f"media/{WORKSPACE}/{done['sha256']}.jpg"
    kept = client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read()
    assert b"Secret Street" not in kept
    assert Image.open(io.BytesIO(kept)).size == (64, 48)


def test_films_are_taken_too(app: ModuleType, cloud: Cloud) -> None:
    pytest.importorskip("av")
    begin_upload(film(64, 48, 1.0, 7), content_type="video/mp4")
    done = data(completed(app))["asset"]
    assert (done["type"], done["format"], done["width"]) == ("video", "mp4", 64)
    assert done["duration_ms"] == pytest.approx(1000, abs=200)


@pytest.mark.parametrize(
    ("content_type", "name", "codec", "form", "format"),
    [
        ("audio/x-m4a", "New Recording 7.m4a", "aac", "ipod", "m4a"),
        ("Audio/WebM;codecs=opus", "blob", "libopus", "webm", "ogg"),
        ("application/octet-stream", "memo.M4A", "aac", "ipod", "m4a"),
    ],
)
def test_a_recording_goes_the_whole_way_under_its_own_type(
    app: ModuleType, cloud: Cloud, content_type: str, name: str, codec: str, form: str, format: str
) -> None:
    recording = reels.sound(codec, form)
    body = {"name": name, "content_type": content_type, "size": len(recording)}
    made = data(answered(app, event("api/uploads/begin_upload", body=body)))
    assert made["upload"]["fields"]["Content-Type"] == content_type
    assert sent(made["upload"], recording) == 204
    done = data(completed(app, made["asset"]["id"]))["asset"]
    assert (done["type"], done["format"], done["notes"]) == ("audio", format, [])
    face = Job("att_x", "avatar", "local/talker", "", parameters={"width": 128, "height": 128, "fps": 8})
    kept = (
        client("s3").get_object(Bucket=cloud.bucket, Key=f"media/{WORKSPACE}/{done['sha256']}.{format}")["Body"].read()
    )
    spoken = Local().submit(replace(face, inputs={"audio": (Input(kept, "audio/x"),)}))
    assert isinstance(spoken, Done)
    assert spoken.usage["output_milliseconds"] == pytest.approx(2700, abs=200)


def test_a_track_that_was_left_out_is_said_with_the_asset(app: ModuleType, cloud: Cloud) -> None:
    data_ = reels.joined([reels.film(), reels.sound("aac", "mp4", seconds=3)], "mov")
    begin_upload(data_, content_type="video/quicktime")
    assert data(completed(app))["asset"]["notes"] == ["Sound track 2 (aac) was left out."]
    assert library.assets().get(WORKSPACE, UPLOAD).notes == ("Sound track 2 (aac) was left out.",)


@pytest.mark.parametrize(
    ("file", "content_type"),
    [
        (b"<html><script>alert(1)</script>", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"),
        (PICTURE[:80], "image/png"),
        (PICTURE, "video/mp4"),
        (b"\x00" * 500, "audio/mpeg"),
    ],
)
def test_bytes_that_are_something_else_never_become_an_asset(
    app: ModuleType, cloud: Cloud, file: bytes, content_type: str
) -> None:
    begin_upload(file, content_type=content_type)
    response = completed(app)
    assert refusal(response) == (422, "VALIDATION_FAILED")
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == "file"
    assert library.assets().list(WORKSPACE, None, None, 10).assets == ()
    assert cloud.keys("media/") == []


def test_another_file_may_take_a_bad_ones_place(app: ModuleType, cloud: Cloud) -> None:
    made = data(begun(app))
    assert sent(made["upload"], b"x" * len(PICTURE)) == 204
    assert refusal(completed(app, made["asset"]["id"])) == (422, "VALIDATION_FAILED")
    assert sent(made["upload"], PICTURE) == 204
    assert data(completed(app, made["asset"]["id"]))["asset"]["width"] == 64


@pytest.mark.parametrize("size", [len(PICTURE) - 1, len(PICTURE) + 1])
def test_the_size_is_looked_at_again(app: ModuleType, cloud: Cloud, size: int) -> None:
    begin_upload(PICTURE)
    item = UploadItem.get(WORKSPACE, f"upload#{UPLOAD}")
    item.update([UploadItem.size_bytes.set(size)])
    assert refusal(completed(app)) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    "body",
    [
        {"size": BYTES_MAX + 1},
        {"size": 0},
        {"size": "many"},
        {"content_type": "image/svg+xml"},
        {"content_type": "text/html"},
        {"name": " "},
        {"key": "media/x"},
    ],
)
def test_what_cannot_be_taken_is_refused_before_it_is_sent(app: ModuleType, body: dict[str, Any]) -> None:
    whole = {"name": "a.png", "content_type": "image/png", "size": 10, **body}
    assert refusal(answered(app, event("api/uploads/begin_upload", body=whole))) == (422, "VALIDATION_FAILED")


def test_the_same_key_is_one_upload(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "u1"}}
    first, again = begun(app, **asking), begun(app, **asking)
    assert data(first)["asset"] == data(again)["asset"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert refusal(begun(app, size=5, **asking)) == (422, "IDEMPOTENCY_MISMATCH")


def test_two_clients_at_once_make_one_asset(app: ModuleType, cloud: Cloud) -> None:
    begin_upload(PICTURE)
    together, answers = threading.Barrier(4), list[Any]()

    def call() -> None:
        together.wait()
        answers.append(data(completed(app))["asset"])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert {answer["sha256"] for answer in answers} == {answers[0]["sha256"]}
    assert len(library.assets().list(WORKSPACE, None, None, 10).assets) == 1


def test_an_upload_that_has_expired_is_gone(app: ModuleType, cloud: Cloud) -> None:
    begin_upload(PICTURE)
    late = system_clock() + timedelta(days=1)
    with pytest.raises(NotFound):
        uploads.complete(WORKSPACE, UPLOAD, late)
    item = UploadItem.get(WORKSPACE, f"upload#{UPLOAD}")
    assert item.expires_at_seconds <= late.timestamp()
    uploads.complete(WORKSPACE, UPLOAD, system_clock())
    assert uploads.complete(WORKSPACE, UPLOAD, late).id == UPLOAD


def test_a_foreign_upload_looks_like_a_missing_one(app: ModuleType, cloud: Cloud) -> None:
    missing = answered(app, example("api/uploads/complete_upload"))
    begin_upload(PICTURE, OTHER)
    foreign = answered(app, example("api/uploads/complete_upload"))
    assert refusal(foreign) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]


def test_bytes_that_come_inline_are_kept_once(cloud: Cloud) -> None:
    first = uploads.keep(WORKSPACE, USER, PICTURE, "edited.png", system_clock())
    again = uploads.keep(WORKSPACE, USER, PICTURE, "other.png", system_clock())
    assert first == again
    assert (first.name, first.type, first.generation_id) == ("edited.png", "image", None)
    other = uploads.keep(OTHER, USER, PICTURE, "edited.png", system_clock())
    assert (other.id != first.id, other.sha256 == first.sha256) == (True, True)
    with pytest.raises(ValidationFailed):
        uploads.keep(WORKSPACE, USER, b"nothing", "x", system_clock())
    with pytest.raises(PayloadTooLarge):
        uploads.keep(WORKSPACE, USER, bytes(BYTES_MAX + 1), "x", system_clock())
