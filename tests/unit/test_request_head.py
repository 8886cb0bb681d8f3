"""What a request's head may say, and what is refused before anything is routed."""

from __future__ import annotations

import pytest

from reconciler.gateway.head import Refusal, Request, RequestHead, body_length, host_name, judged

HOSTS = {"127.0.0.1", "localhost"}
HOST = (b"Host", b"127.0.0.1:8400")


def head(*fields: tuple[bytes, bytes], target: bytes = b"/v1/models", **other: str) -> RequestHead:
    method, version = other.get("method", "POST").encode(), other.get("version", "1.1")
    return RequestHead(method, target, version, (HOST, *fields))


REFUSED = {
    "two lengths": (head((b"Content-Length", b"3"), (b"Content-Length", b"3")), 400),
    "a list of lengths": (head((b"Content-Length", b"3, 3")), 400),
    "a signed length": (head((b"Content-Length", b"+3")), 400),
    "a blank in a length": (head((b"Content-Length", b"3 3")), 400),
    "a length of 20 digits": (head((b"Content-Length", b"1" * 20)), 400),
    "both framings": (head((b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked")), 400),
    "two codings": (head((b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"x")), 400),
    "another coding": (head((b"Transfer-Encoding", b"gzip, chunked")), 501),
    "chunks in HTTP/1.0": (head((b"Transfer-Encoding", b"chunked"), version="1.0"), 400),
    "a line end in a value": (head((b"X", b"a\nb")), 400),
    "a NUL in a value": (head((b"X", b"a\0b")), 400),
    "no name": (head((b"", b"a")), 400),
    "a blank before the colon": (head((b"X ", b"a")), 400),
    "101 fields": (head(*[(b"X", b"a")] * 101), 431),
    "a second host": (head(HOST), 400),
    "another host": (RequestHead(b"GET", b"/", "1.1", ((b"Host", b"evil.example"),)), 421),
    "no host": (RequestHead(b"GET", b"/", "1.1", ()), 400),
    "two hosts in one": (head(target=b"http://evil.example/v1/models"), 400),
    "a body of GET": (head((b"Content-Length", b"3"), method="GET"), 400),
    "CONNECT": (head(method="CONNECT"), 405),
    "TRACE": (head(method="TRACE"), 405),
    "no method": (head(method="GE T"), 400),
    "HTTP/2": (head(version="2.0"), 505),
    "a hidden slash": (head(target=b"/v1%2fmodels"), 400),
    "a hidden backslash": (head(target=b"/v1%5Cmodels"), 400),
    "a NUL in the path": (head(target=b"/v1/%00"), 400),
    "the way up": (head(target=b"/v1/%2e%2e/slots"), 400),
    "another authority": (head(target=b"//evil.example/"), 400),
    "no ASCII": (head(target="/v1/é".encode()), 400),
    "a fragment": (head(target=b"/v1/models#x"), 400),
    "no path": (head(target=b"v1/models"), 400),
    "a long target": (head(target=b"/" + b"a" * 9000), 414),
}


@pytest.mark.parametrize(("given", "status"), REFUSED.values(), ids=REFUSED)
def test_what_programs_may_read_differently_is_refused(given: RequestHead, status: int) -> None:
    found = judged(given, HOSTS)
    assert isinstance(found, Refusal)
    assert (found.status, bool(found.reason)) == (status, True)


def test_a_request_is_routed_by_its_path_and_keeps_its_fields() -> None:
    sent = head(
        (b"content-length", b"12"), (b"X-A", b"1"), (b"x-a", b"2"), target=b"/v1/rerank?a=b"
    )
    found = judged(sent, HOSTS)
    assert isinstance(found, Request)
    assert (found.method, found.path, body_length(sent)) == ("POST", "/v1/rerank", 12)
    assert found.target == b"/v1/rerank?a=b"
    assert found.fields == ((b"X-A", b"1"), (b"x-a", b"2"))


def test_the_target_of_a_proxy_is_taken_when_it_names_this_host() -> None:
    found = judged(head(target=b"http://127.0.0.1:8400/v1/models?x"), HOSTS)
    assert isinstance(found, Request)
    assert (found.path, found.target) == ("/v1/models", b"/v1/models?x")


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "TE", "Upgrade", "Authorization", "X-Api-Key", "Expect",
     "X-Forwarded-For", "Forwarded", "Tailscale-User-Login", "Remote-User", "X-Hop"],
)  # fmt: skip
def test_what_is_of_one_hop_or_tells_who_asks_stays_here(name: str) -> None:
    found = judged(head((b"Connection", b"close, x-hop"), (name.encode(), b"1")), HOSTS)
    assert isinstance(found, Request)
    assert found.fields == ()


def test_a_body_in_chunks_has_no_length_yet_and_one_may_be_announced() -> None:
    sent = head((b"Transfer-Encoding", b"Chunked"), (b"Expect", b"100-continue"))
    found = judged(sent, HOSTS)
    assert isinstance(found, Request)
    assert (body_length(sent), found.expects) == (None, True)


@pytest.mark.parametrize(
    ("authority", "name"),
    [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), (":80", ":80")],
)
def test_a_host_is_named_without_its_port(authority: str, name: str) -> None:
    assert host_name(authority) == name
