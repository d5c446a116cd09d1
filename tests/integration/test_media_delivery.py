"""From an output to stored objects: over the real bucket of the embedded AWS, and from the simulator's result URLs."""

from __future__ import annotations

import hashlib
import io
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import av
import botocore.session
import httpx
import pytest
from PIL import Image

from atelier.adapters.aws.s3 import MediaStore
from atelier.adapters.media.delivery import Delivery
from atelier.adapters.media.fetch import Fetcher
from atelier.adapters.media.keys import media_key, staging_key, thumbnail_key
from atelier.adapters.media.process import BYTES_MAX
from atelier.adapters.media.processed import MediaToolMissing
from atelier.adapters.providers.local.provider import Local
from atelier.errors import NotFound
from atelier.generations.model import Generation, InputAsset, Kind, Recipe, Status
from atelier.generations.ports import OutputLocation, UndeliverableMedia
from atelier.ids import new_id
from atelier.provider_port import Done, Input, Job
from infra.simulators.kit.samples import sample_png
from infra.simulators.replicate import API_TOKEN, ReplicateSimulator

NOW = datetime(2026, 11, 20, tzinfo=UTC)
WORKSPACE = new_id("wsp", NOW)
BUCKET = "media-of-one-test"


@dataclass
class Objects:
    """Objects in memory."""

    kept: dict[str, tuple[bytes, str]] = field(default_factory=dict[str, tuple[bytes, str]])

    def put(self, key: str, data: bytes, content_type: str) -> None:
        self.kept[key] = (data, content_type)

    def get(self, key: str, bytes_max: int) -> bytes:
        if key not in self.kept:
            raise NotFound
        return self.kept[key][0]

    def get_deleted(self, key: str, bytes_max: int) -> bytes:
        raise NotFound


def generation(kind: Kind = Kind.IMAGE, *, watermark: bool = False) -> Generation:
    return Generation(
        id=new_id("gen", NOW),
        workspace_id=WORKSPACE,
        user_id=new_id("usr", NOW),
        recipe=Recipe(kind, "a fox"),
        candidates=("replicate/sdxl",),
        price_version="1",
        watermark=watermark,
        credits_held=4,
        status=Status.RUNNING,
        created_at=NOW,
        deadline_at=NOW + timedelta(minutes=5),
    )


@pytest.fixture
def simulator() -> Iterator[ReplicateSimulator]:
    with ReplicateSimulator(run_seconds=0) as running:
        yield running


def output_url(simulator: ReplicateSimulator, marker: str = "") -> str:
    """The URL of a finished prediction's image."""
    answer = httpx.post(
        f"{simulator.url}/v1/predictions",
        json={"version": "f" * 64, "input": {"prompt": f"a fox [[{marker}]]", "width": 96, "height": 64, "seed": 3}},
        headers={"authorization": f"Bearer {API_TOKEN}", "prefer": "wait=5"},
    )
    return answer.json()["output"][0]


def delivering(objects: Objects, simulator: ReplicateSimulator | None = None) -> Delivery:
    hosts = frozenset({simulator.host}) if simulator else frozenset[str]()
    return Delivery(objects, Fetcher(local_hosts=hosts), pause=lambda seconds: None)


def test_staged_bytes_become_an_image_and_a_thumbnail_named_by_content_hash() -> None:
    objects = Objects()
    delivery, work = delivering(objects), generation()
    key = delivery.stage(work.id, "att_1", 0, sample_png(640, 480, 1))
    assert key == staging_key(work.id, "att_1", 0)
    picture = delivery.deliver(work, 0, OutputLocation(key=key), ())
    data, content_type = objects.kept[media_key(WORKSPACE, picture.sha256, "png")]
    small, small_type = objects.kept[thumbnail_key(WORKSPACE, picture.sha256)]
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (picture.sha256, picture.size_bytes)
    assert (content_type, small_type) == ("image/png", "image/webp")
    assert (picture.format, picture.width, picture.height) == ("png", 640, 480)
    assert Image.open(io.BytesIO(small)).size == (512, 384)


WORK = {
    Kind.TEXT: ("local/writer", {}),
    Kind.IMAGE: ("local/canvas", {"width": 96, "height": 64}),
    Kind.VIDEO: ("local/film", {"width": 192, "height": 128, "duration_seconds": 1, "fps": 12}),
    Kind.AUDIO: ("local/voice", {}),
    Kind.AVATAR: ("local/talker", {"width": 128, "height": 128, "fps": 12}),
    Kind.PAGE: ("local/page", {}),
    Kind.UPSCALE: ("local/enlarge", {"factor": 2}),
}


def made_here(kind: Kind) -> bytes:
    """An output of this kind from the local provider."""
    model, parameters = WORK[kind]
    inputs = {"image": (Input(sample_png(48, 32, 1), "image/png"),)} if kind is Kind.UPSCALE else {}
    done = Local().submit(Job("att_1", kind, model, "A fox says good morning.", parameters=parameters, inputs=inputs))
    assert isinstance(done, Done)
    return done.outputs[0].data or b""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.TEXT, ("text", "txt", "text/plain; charset=utf-8", None)),
        (Kind.IMAGE, ("image", "png", "image/png", (96, 64))),
        (Kind.VIDEO, ("video", "mp4", "video/mp4", (192, 128))),
        (Kind.AUDIO, ("audio", "mp3", "audio/mpeg", None)),
        (Kind.AVATAR, ("video", "mp4", "video/mp4", (128, 128))),
        (Kind.PAGE, ("page", "html", "text/html; charset=utf-8", None)),
        (Kind.UPSCALE, ("image", "png", "image/png", (96, 64))),
    ],
)
def test_every_kind_is_delivered_with_its_type_format_and_size(
    kind: Kind, expected: tuple[str, str, str, tuple[int, int] | None]
) -> None:
    objects, work = Objects(), generation(kind, watermark=True)
    delivery = delivering(objects)
    output = OutputLocation(key=delivery.stage(work.id, "att_1", 0, made_here(kind)))
    delivered = delivery.deliver(work, 0, output, ())
    type_, form, content_type, size = expected
    data, kept_as = objects.kept[media_key(WORKSPACE, delivered.sha256, form)]
    assert (delivered.type, delivered.format, kept_as) == (type_, form, content_type)
    assert (hashlib.sha256(data).hexdigest(), len(data)) == (delivered.sha256, delivered.size_bytes)
    assert (delivered.width, delivered.height) == (size or (None, None))
    assert delivered.has_thumbnail == (type_ not in ("text", "page"))
    assert (thumbnail_key(WORKSPACE, delivered.sha256) in objects.kept) == delivered.has_thumbnail
    if type_ in ("video", "audio"):
        with av.open(io.BytesIO(data)) as opened:
            assert delivered.duration_ms == pytest.approx((opened.duration or 0) / 1000, abs=60)
            assert len(opened.streams.video) == (type_ == "video")
            assert max(abs(sample) for frame in opened.decode(audio=0) for sample in shorts(frame)) > 500
    else:
        assert delivered.duration_ms is None
    assert delivery.deliver(work, 0, output, ()) == delivered


def shorts(frame: av.AudioFrame) -> array[int]:
    (part,) = av.AudioResampler(format="s16", layout="mono", rate=frame.sample_rate).resample(frame)
    return array("h", bytes(part.planes[0])[: part.samples * 2])


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO, Kind.AUDIO, Kind.AVATAR, Kind.UPSCALE])
@pytest.mark.parametrize("lie", [b"<!doctype html><script>alert(1)</script>", b'{"error": "quota"}', b""])
def test_an_output_that_is_not_media_is_undeliverable(kind: Kind, lie: bytes) -> None:
    objects, work = Objects(), generation(kind)
    delivery = delivering(objects)
    output = OutputLocation(key=delivery.stage(work.id, "att_1", 0, lie))
    staged = dict(objects.kept)
    with pytest.raises(UndeliverableMedia, match=r"no (image|video|audio) that can be used"):
        delivery.deliver(work, 0, output, ())
    assert objects.kept == staged


def test_an_output_of_another_kind_is_undeliverable() -> None:
    for kind, other in (
        (Kind.IMAGE, Kind.VIDEO),
        (Kind.VIDEO, Kind.IMAGE),
        (Kind.TEXT, Kind.IMAGE),
        (Kind.PAGE, Kind.TEXT),
    ):
        delivery, work = delivering(Objects()), generation(kind)
        output = OutputLocation(key=delivery.stage(work.id, "att_1", 0, made_here(other)))
        with pytest.raises(UndeliverableMedia):
            delivery.deliver(work, 0, output, ())


def test_a_video_stays_staged_while_pyav_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects, work = Objects(), generation(Kind.VIDEO)
    delivery = delivering(objects)
    output = OutputLocation(key=delivery.stage(work.id, "att_1", 0, made_here(Kind.VIDEO)))
    installed = list(sys.path)
    monkeypatch.setattr(sys, "path", [path for path in installed if "site-packages" not in path])
    with pytest.raises(MediaToolMissing, match="video layer"):
        delivery.deliver(work, 0, output, ())
    monkeypatch.setattr(sys, "path", installed)
    assert delivery.deliver(work, 0, output, ()).type == "video"


def test_an_output_over_its_kinds_maximum_size_is_undeliverable() -> None:
    class Bounded(Objects):
        """Checks the size before it reads, as the bucket's adapter does."""

        def get(self, key: str, bytes_max: int) -> bytes:
            data = super().get(key, bytes_max)
            if len(data) > bytes_max:
                raise ValueError
            return data

    objects, work = Bounded(), generation(Kind.TEXT)
    delivery = delivering(objects)
    output = OutputLocation(key=delivery.stage(work.id, "att_1", 0, b"a" * (BYTES_MAX["text"] + 1)))
    with pytest.raises(UndeliverableMedia, match="too large"):
        delivery.deliver(work, 0, output, ())


def test_bytes_in_memory_are_delivered_as_staged_ones_within_the_same_limit() -> None:
    delivery, picture, work = delivering(Objects()), sample_png(96, 64, 1), generation()
    staged = delivery.deliver(work, 0, OutputLocation(key=delivery.stage(work.id, "att_1", 0, picture)), ())
    assert delivery.deliver(work, 0, OutputLocation(data=picture), ()) == staged
    text = generation(Kind.TEXT)
    with pytest.raises(UndeliverableMedia, match="too large"):
        delivery.deliver(text, 0, OutputLocation(data=b"a" * (BYTES_MAX["text"] + 1)), ())


def test_a_delivered_image_can_be_read_as_an_input_in_its_workspace_only() -> None:
    objects, work = Objects(), generation()
    delivery = delivering(objects)
    picture = delivery.deliver(
        work, 0, OutputLocation(key=delivery.stage(work.id, "att_1", 0, sample_png(96, 64, 1))), ()
    )
    source = InputAsset("ast_1", picture.sha256, picture.format)
    given = delivery.read_input(WORKSPACE, source)
    assert (hashlib.sha256(given.data).hexdigest(), given.content_type) == (picture.sha256, "image/png")
    with pytest.raises(NotFound):
        delivery.read_input(new_id("wsp", NOW), source)


def test_a_repeated_delivery_stores_the_same_objects() -> None:
    objects = Objects()
    delivery, work = delivering(objects), generation(watermark=True)
    key = delivery.stage(work.id, "att_1", 0, sample_png(640, 480, 1))
    first = delivery.deliver(work, 0, OutputLocation(key=key), ())
    kept = dict(objects.kept)
    assert delivery.deliver(work, 0, OutputLocation(key=key), ()) == first
    assert objects.kept == kept


def test_the_watermark_flag_changes_the_delivered_image() -> None:
    objects = Objects()
    delivery, work = delivering(objects), generation()
    key = delivery.stage(work.id, "att_1", 0, sample_png(640, 480, 1))
    plain = delivery.deliver(work, 0, OutputLocation(key=key), ())
    marked = delivery.deliver(generation(watermark=True), 0, OutputLocation(key=key), ())
    assert plain.sha256 != marked.sha256


def test_a_result_is_fetched_from_its_url_and_stored_without_its_metadata(simulator: ReplicateSimulator) -> None:
    objects = Objects()
    picture = delivering(objects, simulator).deliver(generation(), 0, OutputLocation(url=output_url(simulator)), ())
    data, _ = objects.kept[media_key(WORKSPACE, picture.sha256, "png")]
    assert (picture.width, picture.height) == (96, 64)
    assert b"simulator" not in data


@pytest.mark.parametrize(
    "marker", ["gone", "denied", "text", "svg", "broken", "bomb", "huge", "redirect", "private", "file"]
)
def test_a_result_that_cannot_be_used_is_undeliverable_and_stores_nothing(
    simulator: ReplicateSimulator, marker: str
) -> None:
    objects, output = Objects(), OutputLocation(url=output_url(simulator, f"output:{marker}"))
    with pytest.raises(UndeliverableMedia) as failed:
        delivering(objects, simulator).deliver(generation(), 0, output, ("replicate.delivery",))
    assert objects.kept == {}
    assert "127.0.0.1" not in str(failed.value)
    assert "169.254" not in str(failed.value)


def test_a_failed_fetch_is_retried_once_and_a_refused_one_is_not(simulator: ReplicateSimulator) -> None:
    pauses: list[float] = []
    simulator.stop()
    delivery = Delivery(Objects(), Fetcher(local_hosts=frozenset({simulator.host})), pause=pauses.append)
    for url, expected in ((f"{simulator.url}/x.png", 1), ("https://elsewhere.example/x.png", 1)):
        with pytest.raises(UndeliverableMedia):
            delivery.deliver(generation(), 0, OutputLocation(url=url), ("replicate.delivery",))
        assert len(pauses) == expected


@pytest.mark.parametrize("output", [OutputLocation(), OutputLocation(key="staging/never/was/0")])
def test_an_output_without_a_url_or_staged_file_is_undeliverable(output: OutputLocation) -> None:
    with pytest.raises(UndeliverableMedia):
        delivering(Objects()).deliver(generation(), 0, output, ())


def test_the_bucket_stores_bytes_with_their_type_and_immutable_caching(aws: botocore.session.Session) -> None:
    s3 = aws.create_client("s3")
    s3.create_bucket(Bucket=BUCKET)
    store = MediaStore(BUCKET)
    store.put("media/w/a.png", b"bytes", "image/png")
    store.put("media/w/a.png", b"bytes", "image/png")
    assert store.get("media/w/a.png", 5) == b"bytes"
    head = s3.head_object(Bucket=BUCKET, Key="media/w/a.png")
    assert head["ContentType"] == "image/png"
    assert "immutable" in head["CacheControl"]
    assert "private" in head["CacheControl"]
    with pytest.raises(ValueError, match="more than 4"):
        store.get("media/w/a.png", 4)
    with pytest.raises(NotFound):
        store.get("media/w/other.png", 5)
