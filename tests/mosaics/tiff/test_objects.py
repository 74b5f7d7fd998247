"""Objects of a real S3 server: right bytes of one state, in few requests, and errors instead of waiting."""

from __future__ import annotations

import http.client
import itertools
import pickle
import threading
from pathlib import Path

import boto3
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosaics.errors import NobodyWaitsError
from mosaics.tiff.files import FileChangedError, LocalFile, Range
from mosaics.tiff.objects import (
    CHECK_SECONDS,
    FIRST_BYTES,
    LARGEST_REQUEST,
    MERGE_GAP,
    MOST_FAILURES,
    SILENT_SECONDS,
    ObjectStore,
    ObjectUnreadableError,
    StoreOptions,
    merged,
)
from mosaics.tiff.streams import RangeStream
from tests.object_store import BUCKET, Gate, Request, Store, address, storing

DATA = np.random.default_rng(5).integers(0, 256, 3_000_000, "u1").tobytes()
RANGES = st.lists(
    st.builds(Range, st.integers(0, len(DATA) + 1000), st.integers(1, 400_000)), min_size=1, max_size=12
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def stored(store: Store) -> str:
    return store.put("bytes/random.bin", DATA)


@given(ranges=RANGES)
def test_requests_cover_the_ranges_and_nothing_far_from_them(ranges: list[Range]) -> None:
    requests = merged(ranges)
    for offset, length in ranges:
        assert any(a <= offset and offset + length <= a + n for a, n in requests)
    for (a, n), (b, m) in itertools.pairwise(requests):
        assert a < b
        assert b > a + n + MERGE_GAP or b + m - a > LARGEST_REQUEST
    for a, n in requests:
        inside = sorted(r for r in ranges if a <= r.offset and r.offset + r.length <= a + n)
        assert inside[0].offset == a
        assert max(r.offset + r.length for r in inside) == a + n
        assert n <= LARGEST_REQUEST or len(inside) == 1


def test_what_lies_beside_one_another_is_one_request() -> None:
    blocks = [Range(1_000_000 + place * 50_000, 50_000) for place in range(9)]
    assert merged(list(reversed(blocks))) == [Range(1_000_000, 450_000)]
    assert merged([Range(0, 10), Range(10 + MERGE_GAP, 5)]) == [Range(0, 15 + MERGE_GAP)]
    assert len(merged([Range(0, 10), Range(11 + MERGE_GAP, 5)])) == 2
    assert len(merged([Range(0, LARGEST_REQUEST), Range(LARGEST_REQUEST, 1)])) == 2
    assert merged([Range(0, 2 * LARGEST_REQUEST), Range(5, 10)]) == [Range(0, 2 * LARGEST_REQUEST)]


@given(ranges=RANGES)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_bytes_are_those_of_the_object(gate: Gate, stored: str, ranges: list[Range]) -> None:
    file = gate.objects().open(address("bytes/random.bin"))
    assert (file.size, file.etag) == (len(DATA), stored)
    gate.asked()
    assert file.read(ranges) == [DATA[offset : offset + length] for offset, length in ranges]
    far = [each for each in ranges if sum(each) > FIRST_BYTES and each.offset < len(DATA)]
    assert gate.asked() == ["GET"] * len(merged(far))


@given(reads=st.lists(st.tuples(st.integers(0, len(DATA) + 9), st.integers(0, 300_000)), max_size=12))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_gives_the_bytes_of_the_file(tmp_path: Path, reads: list[tuple[int, int]]) -> None:
    (tmp_path / "a.bin").write_bytes(DATA)
    stream = RangeStream(LocalFile(str(tmp_path / "a.bin")))
    handle = stream.handle()
    for offset, length in reads:
        assert stream.read_at(offset, length) == DATA[offset : offset + length]
        handle.seek(offset)
        assert handle.read(length) == DATA[offset : offset + length]
        assert handle.tell() == min(offset + length, max(offset, len(DATA)))
    assert stream.handle().read() == DATA
    assert stream.failure is None


def test_reading_on_and_on_takes_ever_larger_steps(gate: Gate, stored: str) -> None:
    stream = RangeStream(gate.objects().open(address("bytes/random.bin")))
    read = b"".join(stream.read_at(place, 10_000) for place in range(0, len(DATA), 10_000))
    assert read == DATA
    assert len(gate.asked()) < 6


def test_each_request_is_for_the_state_that_was_opened(gate: Gate, store: Store) -> None:
    etag = store.put("bytes/changing.bin", DATA)
    file = gate.objects().open(address("bytes/changing.bin"))
    file.read([Range(100_000, 10), Range(2_000_000, 10)])
    opening, *others = gate.requests
    assert "if-match" not in opening.headers
    assert [request.headers["if-match"] for request in others] == [etag] * 2
    store.put("bytes/changing.bin", DATA[::-1])
    for _ in range(2):
        with pytest.raises(FileChangedError):
            file.read([Range(200_000, 10)])
        with pytest.raises(FileChangedError):
            file.check()


def test_a_store_that_knows_no_if_match_is_found_out_too(gate: Gate, store: Store) -> None:
    store.put("bytes/changing.bin", DATA)
    file = gate.objects().open(address("bytes/changing.bin"))
    store.put("bytes/changing.bin", DATA[::-1])
    gate.fault = lambda _: "no-if-match"
    with pytest.raises(FileChangedError):
        file.read([Range(200_000, 10)])


def test_now_and_then_it_is_asked_whether_the_object_is_the_same(gate: Gate, store: Store) -> None:
    clock = Clock()
    store.put("bytes/changing.bin", DATA)
    file = gate.objects(clock).open(address("bytes/changing.bin"))
    store.put("bytes/changing.bin", DATA[::-1])
    gate.asked()
    clock.now += CHECK_SECONDS
    file.check()
    assert gate.asked() == []
    clock.now += 0.1
    with pytest.raises(FileChangedError):
        file.check()
    assert gate.asked() == ["HEAD"]
    fresh = gate.objects(clock).open(address("bytes/changing.bin"))
    clock.now += 2 * CHECK_SECONDS
    for _ in range(3):
        fresh.check()
        fresh.read([Range(0, 10)])
    assert gate.asked() == ["GET", "HEAD"]


@pytest.mark.parametrize(
    ("fault", "error", "words", "tries"),
    [
        (403, ObjectUnreadableError, "refuses access", 1),
        (401, ObjectUnreadableError, "refuses access", 1),
        (404, ObjectUnreadableError, "no such object", 1),
        (412, FileChangedError, "random", 1),
        (400, ObjectUnreadableError, "no good answer", 1),
        (500, ObjectUnreadableError, "no good answer", 3),
        (503, ObjectUnreadableError, "no good answer", 3),
        ("cut", ObjectUnreadableError, "no good answer", 3),
        ("short", ObjectUnreadableError, "fewer bytes", 1),
        ("stall", ObjectUnreadableError, "no good answer", 1),
        ("dribble", ObjectUnreadableError, "no good answer", 1),
    ],
)
def test_what_goes_wrong_is_told(  # noqa: PLR0917 - pytest gives them by name
    gate: Gate, stored: str, fault: object, error: type[Exception], words: str, tries: int
) -> None:
    """Also when the store would take an hour over its answer."""
    objects = gate.objects(timeout_seconds=1.0 if fault in {"stall", "dribble"} else 20.0)
    file = objects.open(address("bytes/random.bin"))
    gate.fault = lambda _: fault
    for again in (
        lambda: file.read([Range(100_000, 200_000)]),
        lambda: objects.open(address("bytes/random.bin")),
    ):
        gate.asked()
        with pytest.raises(error, match=words):
            again()
        assert len(gate.asked()) == tries
    gate.fault = lambda _: None
    assert bytes(objects.open(address("bytes/random.bin")).read([Range(9, 9)])[0]) == DATA[9:18]


def test_one_cut_connection_is_made_good(gate: Gate, stored: str) -> None:
    file = gate.objects().open(address("bytes/random.bin"))
    gate.asked()
    gate.fault = lambda _: "cut" if len(gate.requests) == 1 else None
    assert file.read([Range(100_000, 400_000)]) == [DATA[100_000:500_000]]
    assert [request.headers["if-match"] for request in gate.requests] == [stored] * 2


def test_a_missing_object_is_told_by_its_name_alone(gate: Gate, store: Store) -> None:
    with pytest.raises(ObjectUnreadableError) as caught:
        gate.objects().open(address("folder/missing.tif"))
    assert str(caught.value) == "missing.tif: there is no such object"
    store.put("folder/empty.tif", b"")
    with pytest.raises(ObjectUnreadableError, match="no good answer"):  # there is no first byte to ask for
        gate.objects().open(address("folder/empty.tif"))


def test_a_silent_store_is_left_alone_for_a_while(gate: Gate, stored: str) -> None:
    clock = Clock()
    objects = gate.objects(clock)
    gate.fault = lambda _: 503
    for _ in range(MOST_FAILURES):
        with pytest.raises(ObjectUnreadableError, match="no good answer"):
            objects.open(address("bytes/random.bin"))
    gate.asked()
    with pytest.raises(ObjectUnreadableError, match="a moment ago"):
        objects.open(address("bytes/other.bin"))
    assert gate.asked() == []
    clock.now += SILENT_SECONDS
    with pytest.raises(ObjectUnreadableError, match="no good answer"):
        objects.open(address("bytes/random.bin"))
    gate.asked()
    with pytest.raises(ObjectUnreadableError, match="a moment ago"):
        objects.open(address("bytes/random.bin"))
    gate.fault = lambda _: None
    clock.now += SILENT_SECONDS
    for _ in range(2 * MOST_FAILURES):
        with pytest.raises(ObjectUnreadableError, match="no such object"):  # which is an answer
            objects.open(address("bytes/missing.bin"))
    assert objects.open(address("bytes/random.bin")).size == len(DATA)


def test_it_stops_between_requests_when_nobody_waits(gate: Gate, stored: str) -> None:
    file = gate.objects().open(address("bytes/random.bin"))
    gate.asked()
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    far = [Range(100_000 + place * (MERGE_GAP + 1000), 10) for place in range(11)]
    with pytest.raises(NobodyWaitsError):
        file.read(far, stop)
    assert len(gate.asked()) <= 3


def test_several_requests_go_at_the_same_time(gate: Gate, stored: str) -> None:
    file = gate.objects().open(address("bytes/random.bin"))
    together = threading.Barrier(4)

    def wait(_: Request) -> None:
        together.wait(10)

    gate.fault = wait
    far = [Range(100_000 + place * (MERGE_GAP + 1000), 10) for place in range(4)]
    assert file.read(far) == [DATA[offset : offset + 10] for offset, _ in far]


def test_without_a_key_requests_are_not_signed(gate: Gate, store: Store, stored: str) -> None:
    objects = gate.objects(access_key=None, secret_key=None)
    with pytest.raises(ObjectUnreadableError, match="refuses access"):
        objects.open(address("bytes/random.bin"))
    store.put("bytes/public.bin", DATA)
    boto3.client(
        "s3",
        endpoint_url=store.url,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    ).put_object_acl(Bucket=BUCKET, Key="bytes/public.bin", ACL="public-read")
    assert objects.open(address("bytes/public.bin")).read([Range(70_000, 9)]) == [DATA[70_000:70_009]]
    assert all("authorization" not in request.headers for request in gate.requests)


def test_the_environment_says_nothing(gate: Gate, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others set for their own tools must not be believed, nor sent to our store."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "other", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "other",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_REGION": "mars-1", "AWS_DEFAULT_REGION": "mars-1", "AWS_SKIP_SIGNATURE": "true",
        "AWS_BUCKET_NAME": "other",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true", "AWS_REQUEST_PAYER": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert gate.objects().open(address("bytes/random.bin")).size == len(DATA)
    headers = gate.requests[0].headers
    assert "Credential=tests/" in headers["authorization"]
    assert "/us-east-1/s3/" in headers["authorization"]
    assert not {"x-amz-security-token", "x-amz-request-payer"} & set(headers)
    assert gate.requests[0].path == f"/{BUCKET}/bytes/random.bin"


def test_the_secret_shows_nowhere() -> None:
    options = StoreOptions(access_key="name", secret_key="the secret itself")
    assert "the secret itself" not in repr(options)
    assert "the secret itself" not in repr(ObjectStore(options)._bucket("abc"))


def test_another_process_may_have_one_like_it() -> None:
    store = ObjectStore(StoreOptions(access_key="name", secret_key="key"))
    store._bucket("abc")
    assert pickle.loads(pickle.dumps(store))._options == store._options


def test_the_bucket_stands_in_the_path_or_before_the_host() -> None:
    for more, endpoint in (
        ({}, "https://s3.eu-west-3.amazonaws.com"),
        ({"path_style": False}, "https://abc.s3.eu-west-3.amazonaws.com"),
        ({"endpoint": "https://s3.example.org:9000", "path_style": False}, "https://abc.s3.example.org:9000"),
    ):
        bucket = ObjectStore(StoreOptions(region="eu-west-3", **more))._bucket("abc")
        assert bucket.config["endpoint"] == endpoint
        assert bucket.config["virtual_hosted_style_request"] is not more.get("path_style", True)


def test_a_wrong_secret_is_refused_by_the_store_itself(tmp_path: Path) -> None:
    """This server checks signatures: those that are made here are right, and only with the right secret."""
    with storing(tmp_path / "log") as strict:
        strict.put("a.bin", DATA)
        iam = boto3.client(
            "iam", endpoint_url=strict.url, region_name="us-east-1", aws_access_key_id="a",
            aws_secret_access_key="b",
        )  # fmt: skip
        iam.create_user(UserName="flux")
        allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        iam.put_user_policy(UserName="flux", PolicyName="read", PolicyDocument=allow)
        made = iam.create_access_key(UserName="flux")["AccessKey"]
        connection = http.client.HTTPConnection("127.0.0.1", strict.port)
        connection.request("POST", "/moto-api/reset-auth", b"0")
        assert connection.getresponse().status == 200
        connection.close()
        where = {"endpoint": strict.url, "access_key": made["AccessKeyId"]}
        right = ObjectStore(StoreOptions(**where, secret_key=made["SecretAccessKey"]))
        assert right.open(address("a.bin")).read([Range(70_000, 9)]) == [DATA[70_000:70_009]]
        wrong = ObjectStore(StoreOptions(**where, secret_key="wrong"))
        with pytest.raises(ObjectUnreadableError, match="refuses access"):
            wrong.open(address("a.bin"))
