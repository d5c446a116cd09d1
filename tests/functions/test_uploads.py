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

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
from atelier.adapters.aws.dynamodb.uploads import UploadItem
from atelier.adapters.aws.dynamodb.usage import UsageItem
from atelier.adapters.providers.local.provider import Local
from atelier.catalogue.catalogue import catalogue
from atelier.clock import system_clock
from atelier.errors import NotFound, PayloadTooLarge, ValidationFailed
from atelier.ledger.model import new_wallet
from atelier.library.upload import BYTES_MAX
from atelier.provider_port import Done, Input, Job
from atelier.wiring import library, uploads
from infra.simulators.kit.samples import sample_png, sample_video
from tests.functions.conftest import AwsResources
from tests.functions.example_data import UPLOAD, USER, WORKSPACE, create_upload
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function
from tests.unit.media import av_files

OTHER = "wsp_01M7XCN60QZZZZZZZZZZZZZZZZ"
PICTURE = sample_png(64, 48, 7)


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/uploads")


def begun(app: ModuleType, size: int = len(PICTURE), content_type: str = "image/png", **changes: Any) -> dict[str, Any]:
    body = {"name": "harbour.png", "content_type": content_type, "size": size}
    return invoke_app(app, event("api/uploads/begin_upload", body=body, **changes))


def sent(upload: dict[str, Any], file: bytes, **fields: str) -> int:
    """The status of S3's response to the form."""
    return httpx.post(
        upload["url"], data={**upload["fields"], **fields}, files={"file": ("x", file)}, timeout=20
    ).status_code


def completed(app: ModuleType, asset_id: str = UPLOAD) -> dict[str, Any]:
    path = f"/api/assets/{asset_id}/complete"
    request = event("api/uploads/complete_upload", rawPath=path)
    request["requestContext"]["http"]["path"] = path
    return invoke_app(app, request)


def photograph() -> bytes:
    """A JPEG with the place where it was taken in its metadata."""
    exif = Image.Exif()
    exif[0x010E] = "at home, 1 Secret Street"
    file = io.BytesIO()
    Image.frombytes("RGB", (64, 48), bytes(64 * 48 * 3)).save(file, "JPEG", exif=exif)
    assert b"Secret Street" in file.getvalue()
    return file.getvalue()


def test_an_upload_is_begun_sent_and_completed(app: ModuleType, cloud: AwsResources) -> None:
    response = begun(app)
    assert response["statusCode"] == 201
    made = success_data(response)
    asset = made["asset"]
    assert (asset["type"], asset["size_bytes"]) == ("image", len(PICTURE))
    assert set(made["upload"]["fields"]) >= {"key", "policy", "Content-Type", "x-amz-signature"}
    assert error_of(completed(app, asset["id"])) == (409, "CONFLICT")
    assert library.assets().list(WORKSPACE, None, None, 10).assets == ()
    assert sent(made["upload"], PICTURE) == 204
    done = success_data(completed(app, asset["id"]))["asset"]
    assert (done["id"], done["name"], done["format"]) == (asset["id"], "harbour.png", "png")
    assert (done["width"], done["height"], done["generation_id"], done["made_from"]) == (64, 48, None, [])
    assert done["thumbnail_url"]
    stored = f"media/{WORKSPACE}/{done['sha256']}"
    assert cloud.bucket_keys("media/") == [f"{stored}.png", f"{stored}.thumb.webp"]
    assert success_data(completed(app, asset["id"]))["asset"]["sha256"] == done["sha256"]
    assert [each.id for each in library.assets().list(WORKSPACE, None, None, 10).assets] == [asset["id"]]


def test_the_upload_form_accepts_only_its_size_key_and_type(app: ModuleType, cloud: AwsResources) -> None:
    upload = success_data(begun(app))["upload"]
    wrong = [
        sent(upload, PICTURE + b"x"),
        sent(upload, PICTURE[:-1]),
        sent(upload, PICTURE, key=f"uploads/{OTHER}/{UPLOAD}"),
        sent(upload, PICTURE, key=f"media/{WORKSPACE}/x.png"),
        sent(upload, PICTURE, **{"Content-Type": "text/html"}),
    ]
    assert all(400 <= status < 500 for status in wrong), wrong
    assert cloud.bucket_keys() == []
    policy = json.loads(base64.b64decode(upload["fields"]["policy"]))
    assert ["content-length-range", len(PICTURE), len(PICTURE)] in policy["conditions"]


def test_an_uploaded_images_metadata_is_removed(app: ModuleType, cloud: AwsResources) -> None:
    create_upload(photograph(), content_type="image/jpeg")
    done = success_data(completed(app))["asset"]
    key = f"media/{WORKSPACE}/{done['sha256']}.jpg"
    kept = client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read()
    assert b"Secret Street" not in kept
    assert Image.open(io.BytesIO(kept)).size == (64, 48)


def test_a_video_is_uploaded(app: ModuleType, cloud: AwsResources) -> None:
    pytest.importorskip("av")
    create_upload(sample_video(64, 48, 1.0, 7), content_type="video/mp4")
    done = success_data(completed(app))["asset"]
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
def test_an_audio_recording_is_uploaded_under_its_own_content_type(
    app: ModuleType, cloud: AwsResources, content_type: str, name: str, codec: str, form: str, format: str
) -> None:
    recording = av_files.make_audio(codec, form)
    body = {"name": name, "content_type": content_type, "size": len(recording)}
    made = success_data(invoke_app(app, event("api/uploads/begin_upload", body=body)))
    assert made["upload"]["fields"]["Content-Type"] == content_type
    assert sent(made["upload"], recording) == 204
    done = success_data(completed(app, made["asset"]["id"]))["asset"]
    assert (done["type"], done["format"], done["notes"]) == ("audio", format, [])
    face = Job("att_x", "avatar", "local/talker", "", parameters={"width": 128, "height": 128, "fps": 8})
    kept = (
        client("s3").get_object(Bucket=cloud.bucket, Key=f"media/{WORKSPACE}/{done['sha256']}.{format}")["Body"].read()
    )
    spoken = Local().submit(replace(face, inputs={"audio": (Input(kept, "audio/x"),)}))
    assert isinstance(spoken, Done)
    assert spoken.usage["output_milliseconds"] == pytest.approx(2700, abs=200)


def test_an_assets_notes_name_a_dropped_track(app: ModuleType, cloud: AwsResources) -> None:
    data_ = av_files.combine_tracks([av_files.make_video(), av_files.make_audio("aac", "mp4", seconds=3)], "mov")
    create_upload(data_, content_type="video/quicktime")
    assert success_data(completed(app))["asset"]["notes"] == ["Audio track 2 (aac) was left out."]
    assert library.assets().get(WORKSPACE, UPLOAD).notes == ("Audio track 2 (aac) was left out.",)


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
def test_a_file_of_another_type_never_becomes_an_asset(
    app: ModuleType, cloud: AwsResources, file: bytes, content_type: str
) -> None:
    create_upload(file, content_type=content_type)
    response = completed(app)
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == "file"
    assert library.assets().list(WORKSPACE, None, None, 10).assets == ()
    assert cloud.bucket_keys("media/") == []


def test_a_rejected_upload_can_be_sent_again(app: ModuleType, cloud: AwsResources) -> None:
    made = success_data(begun(app))
    assert sent(made["upload"], b"x" * len(PICTURE)) == 204
    assert error_of(completed(app, made["asset"]["id"])) == (422, "VALIDATION_FAILED")
    assert sent(made["upload"], PICTURE) == 204
    assert success_data(completed(app, made["asset"]["id"]))["asset"]["width"] == 64


@pytest.mark.parametrize("size", [len(PICTURE) - 1, len(PICTURE) + 1])
def test_a_completed_upload_of_another_size_is_refused(app: ModuleType, cloud: AwsResources, size: int) -> None:
    create_upload(PICTURE)
    item = UploadItem.get(WORKSPACE, f"upload#{UPLOAD}")
    item.update([UploadItem.size_bytes.set(size)])
    assert error_of(completed(app)) == (422, "VALIDATION_FAILED")


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
def test_an_invalid_upload_is_refused_before_it_is_sent(app: ModuleType, body: dict[str, Any]) -> None:
    whole = {"name": "a.png", "content_type": "image/png", "size": 10, **body}
    assert error_of(invoke_app(app, event("api/uploads/begin_upload", body=whole))) == (422, "VALIDATION_FAILED")


def test_a_repeated_idempotency_key_begins_one_upload(app: ModuleType) -> None:
    asking = {"headers": {"Idempotency-Key": "u1"}}
    first, again = begun(app, **asking), begun(app, **asking)
    assert success_data(first)["asset"] == success_data(again)["asset"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert error_of(begun(app, size=5, **asking)) == (422, "IDEMPOTENCY_MISMATCH")


def test_concurrent_completions_create_one_asset(app: ModuleType, cloud: AwsResources) -> None:
    create_upload(PICTURE)
    together, answers = threading.Barrier(4), list[Any]()

    def call() -> None:
        together.wait()
        answers.append(success_data(completed(app))["asset"])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert {answer["sha256"] for answer in answers} == {answers[0]["sha256"]}
    assert len(library.assets().list(WORKSPACE, None, None, 10).assets) == 1


def test_an_expired_upload_is_not_found(app: ModuleType, cloud: AwsResources) -> None:
    create_upload(PICTURE)
    late = system_clock() + timedelta(days=1)
    with pytest.raises(NotFound):
        uploads.complete(WORKSPACE, UPLOAD, late)
    item = UploadItem.get(WORKSPACE, f"upload#{UPLOAD}")
    assert item.expires_at_seconds <= late.timestamp()
    uploads.complete(WORKSPACE, UPLOAD, system_clock())
    assert uploads.complete(WORKSPACE, UPLOAD, late).id == UPLOAD


def test_a_foreign_upload_gets_the_response_of_a_missing_one(app: ModuleType, cloud: AwsResources) -> None:
    missing = invoke_app(app, example_event("api/uploads/complete_upload"))
    create_upload(PICTURE, OTHER)
    foreign = invoke_app(app, example_event("api/uploads/complete_upload"))
    assert error_of(foreign) == (404, "NOT_FOUND")
    assert foreign["body"] == missing["body"]


def test_inline_bytes_are_stored_once_for_each_workspace(cloud: AwsResources) -> None:
    with transaction() as write:
        put_new_wallet(write, new_wallet(OTHER, "free", system_clock()))
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


def test_a_full_workspace_is_refused_the_form_until_its_tier_stores_more(app: ModuleType) -> None:
    limit = catalogue(frozenset()).tier("free").storage_bytes_max
    library.assets()  # Binds the counter to its table.
    UsageItem(WORKSPACE, "usage#storage", used=limit - len(PICTURE) + 1, complete=1).save()
    refused = begun(app)
    assert error_of(refused) == (403, "QUOTA_EXCEEDED")
    details = json.loads(refused["body"])["details"]
    assert details == {
        "quota": "storage_bytes",
        "limit": limit,
        "used": limit - len(PICTURE) + 1,
        "tiers": ["starter@1", "pro@1", "studio@1"],
    }
    assert list(UploadItem.query(WORKSPACE, UploadItem.sk.startswith("upload"))) == []
    WalletItem(WORKSPACE, "wallet").update([WalletItem.tier.set("starter@1")])
    assert begun(app)["statusCode"] == 201


def test_a_completed_upload_counts_once_and_a_deleted_one_no_longer(app: ModuleType, cloud: AwsResources) -> None:
    create_upload(PICTURE)
    for _ in range(2):
        size = success_data(completed(app))["asset"]["size_bytes"]
    assert library.assets().count_bytes(WORKSPACE) == size
    for _ in range(2):
        library.assets().delete(WORKSPACE, UPLOAD, system_clock())
    assert library.assets().count_bytes(WORKSPACE) == 0
