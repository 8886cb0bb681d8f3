"""The model that a form names, wherever it stands, and what is no form."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.gateway.head import Refusal
from reconciler.gateway.multipart import MOST_PARTS, form_model

WAV = b"RIFF\r\n--x\r\n\r\nmodel" * 100
TYPE = b"multipart/form-data; boundary=x"
MODEL = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n'


def sent(fields: dict[str, str], recording: bytes = WAV) -> tuple[bytes, bytes]:
    """A form as a client writes it: its fields, then its file."""
    files = {"file": ("model.wav", recording, "audio/wav")}
    request = httpx.Request("POST", "http://localhost/", data=fields, files=files)
    return request.headers["content-type"].encode(), request.read()


@given(st.text("abc-._", min_size=1, max_size=256), st.binary(max_size=200))
def test_the_model_is_found_beside_a_file(name: str, recording: bytes) -> None:
    assert form_model(*sent({"language": "en", "model": name}, recording)) == name


def test_a_form_need_not_name_a_model() -> None:
    assert form_model(*sent({"language": "en"})) == ""


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (b'multipart/form-data; charset=a; Boundary="x"', MODEL + b"a\r\n--x--\r\n"),
        (
            b"Multipart/Form-Data;boundary=x;charset=a",
            b"--x\r\ncontent-type: text/plain\r\ncontent-disposition:form-data;name=model\r\n\r\na"
            b"\r\n--x--",
        ),
    ],
)
def test_forms_are_written_in_several_ways(content_type: bytes, body: bytes) -> None:
    assert form_model(content_type, body) == "a"


@pytest.mark.parametrize(
    ("content_type", "body", "status", "said"),
    [
        (b"", b"", 415, "found nothing as Content-Type"),
        (b"application/json", b"{}", 415, "with a boundary"),
        (b"multipart/form-data", b"{}", 415, "with a boundary"),
        (TYPE, b"", 400, "does not begin with its boundary"),
        (TYPE, MODEL + b"a", 400, "does not end"),
        (TYPE, b"--x\r\nContent-Disposition: form-data", 400, "does not end"),
        (TYPE, b"--x\r\nA: " + b"b" * 9000 + b"\r\n\r\na\r\n--x--", 400, "does not end"),
        (TYPE, MODEL + b"a\r\n" + MODEL + b"b\r\n--x--", 400, "found 2 parts that name a model"),
        (TYPE, MODEL + b"a" * 257 + b"\r\n--x--", 400, "found 257 bytes"),
        (TYPE, b"--x\r\nA: b\r\n\r\na\r\n" * (MOST_PARTS + 1), 400, "more than 100 parts"),
    ],
)
def test_what_is_no_such_form_is_refused(
    content_type: bytes, body: bytes, status: int, said: str
) -> None:
    found = form_model(content_type, body)
    assert isinstance(found, Refusal)
    assert found.status == status
    assert said in found.reason
