from __future__ import annotations

import base64

import pytest

from server.identity import CredentialConflictError, Way, presented, without_credentials
from server.requests import (
    BadRequestError,
    HttpRequest,
    image_format,
    language,
    number,
    request_from_scope,
    root_url,
    segments,
    single,
)


def request(path: str = "/", query: str = "", peer: str = "127.0.0.1", **headers: str) -> HttpRequest:
    return request_from_scope(
        {
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "scheme": "http",
            "client": (peer, 4711),
        }
    )


@pytest.mark.parametrize("text", ["0", "1", "17", "4294967295"])
def test_canonical_numbers_are_taken(text: str) -> None:
    assert number(text, "x") == int(text)


@pytest.mark.parametrize("text", ["", "01", "+1", "-1", "1.0", "1_0", " 1", "1e3", "\u0661", "12345678901"])
def test_any_other_number_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"^x must"):
        number(text, "x")


def test_segments_are_decoded_one_by_one() -> None:
    assert segments("/tiles/a%3Ab/../x") == ("tiles", "a:b", "..", "x")
    assert segments("/a%2Fb") == ("a/b",)


@pytest.mark.parametrize("path", ["/a%00b", "/%ff", "/a%0d%0ab", "/%7f"])
def test_badly_encoded_paths_are_refused(path: str) -> None:
    with pytest.raises(BadRequestError):
        segments(path)


def test_too_long_an_address_is_refused() -> None:
    with pytest.raises(BadRequestError, match="too long"):
        request("/" + "a" * 9000)


def test_a_parameter_with_two_values_is_refused() -> None:
    assert single((("style", "a"), ("style", "a")), "style") == "a"
    assert single((("style", ""),), "style") is None
    with pytest.raises(BadRequestError):
        single((("style", "a"), ("style", "b")), "style")


def test_format_by_extension_else_by_accept() -> None:
    assert image_format("jpeg", None) == "jpg"
    assert image_format("avif", "image/webp") == "avif"
    assert image_format(None, "image/avif,*/*") == "auto-png"
    assert image_format(None, "image/webp,*/*") == "auto-webp"
    assert image_format(None, "*/*") == "auto-png"
    with pytest.raises(BadRequestError):
        image_format("gif", None)


def test_language() -> None:
    assert language((), None) == "fr"
    assert language((), "en-GB,en;q=0.9") == "en"
    assert language((("lang", "fr"),), "en") == "fr"
    assert language((), "de, en;q=0.5") == "en"


def test_forwarding_headers_count_only_from_trusted_peers() -> None:
    headers = {
        "host": "inner:8000",
        "x_forwarded_host": "flux.example.org",
        "x_forwarded_proto": "https",
        "x_forwarded_prefix": "/imagery/",
    }
    assert root_url(request(**headers), None, (), ("*",)) == "http://inner:8000"
    assert root_url(request(**headers), None, ("127.0.0.0/8",), ("*",)) == "https://flux.example.org/imagery"
    assert root_url(request(peer="10.1.2.3", **headers), None, ("127.0.0.1",), ("*",)) == "http://inner:8000"
    assert root_url(request(**headers), "https://a.example/b/", (), ("*",)) == "https://a.example/b"


@pytest.mark.parametrize("host", ["a b", "a/b", 'a"b', "a<b>", "", "a:99999999", "@evil", "a?b"])
def test_malformed_hosts_are_refused(host: str) -> None:
    with pytest.raises(BadRequestError):
        root_url(request(host=host), None, (), ("*",))


def test_hosts_off_the_list_are_refused() -> None:
    assert root_url(request(host="Flux.example:80"), None, (), ("flux.example",)) == "http://Flux.example:80"
    with pytest.raises(BadRequestError, match="not served"):
        root_url(request(host="evil.example"), None, (), ("flux.example",))


def test_the_machine_may_always_ask_itself() -> None:
    assert root_url(request(host="127.0.0.1:8000"), None, (), ("a.example",)) == "http://127.0.0.1:8000"
    with pytest.raises(BadRequestError, match="not served"):
        root_url(request(host="127.0.0.1:8000", peer="10.0.0.9"), None, (), ("a.example",))


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("query", "headers", "path_key", "way"),
    [
        ("key=K", {}, None, Way.QUERY),
        ("ApiKey=K", {}, None, Way.QUERY),
        ("api_key=K&x=1", {}, None, Way.QUERY),
        ("authkey=K", {}, None, Way.QUERY),
        ("", {"x_api_key": "K"}, None, Way.HEADER),
        ("", {"authorization": "Bearer K"}, None, Way.HEADER),
        ("", {"authorization": "bearer  K"}, None, Way.HEADER),
        ("", {"authorization": basic("K")}, None, Way.HEADER),
        ("", {}, "K", Way.PATH),
        ("key=K", {"x_api_key": "K"}, None, Way.QUERY),
    ],
)
def test_every_way_carries_the_key(
    query: str, headers: dict[str, str], path_key: str | None, way: Way
) -> None:
    found = presented(request(query=query, **headers), path_key)
    assert (found.text, found.way) == ("K", way)


def test_nothing_sent_is_nobody() -> None:
    assert presented(request(query="key=&style=a"), None).text is None


@pytest.mark.parametrize(
    ("query", "headers", "path_key"),
    [
        ("key=A&key=B", {}, None),
        ("key=A&apikey=B", {}, None),
        ("key=A", {"x_api_key": "B"}, None),
        ("key=A", {}, "B"),
        ("", {"x_api_key": "A", "authorization": basic("B")}, None),
    ],
)
def test_two_different_credentials_conflict(
    query: str, headers: dict[str, str], path_key: str | None
) -> None:
    with pytest.raises(CredentialConflictError):
        presented(request(query=query, **headers), path_key)


@pytest.mark.parametrize("value", ["Basic !!!", "Digest abc", "Negotiate x", "garbage"])
def test_an_unknown_scheme_is_a_credential_and_a_bad_one(value: str) -> None:
    assert presented(request(authorization=value), None).text


def test_credentials_never_stay_in_the_query() -> None:
    pairs = (("key", "A"), ("KEY", "B"), ("style", "x"), ("AuthKey", "C"))
    assert without_credentials(pairs) == (("style", "x"),)
