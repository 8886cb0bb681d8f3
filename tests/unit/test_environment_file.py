"""What stands in an EnvironmentFile= is read as systemd 252 reads it, however odd."""

from __future__ import annotations

import pytest

from reconciler.onhost.environment_file import assigned


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("A=plain\nB=two words\t\n", {"A": "plain", "B": "two words"}),
        (" A = spaced \r\n", {"A": "spaced"}),
        ("A=\nB=\"\"\nC=''", {"A": "", "B": "", "C": ""}),
        (
            "A=esc\\ aped\nB=un\\nq\nC=back\\\\slash\nD=end\\ \n",
            {"A": "esc aped", "B": "unnq", "C": "back\\slash", "D": "end "},
        ),
        ('A="in\\"side \\$x \\`b"\nB="esc\\nn \\\\"', {"A": 'in"side $x `b', "B": "esc\\nn \\"}),
        (
            "A='sq\\n'\nB='it''s'\nC='a' 'b'\nD=\"a\"b",
            {"A": "sq\\n", "B": "its", "C": "ab", "D": "ab"},
        ),
        ('A=a"b c"d\nB=a\'b', {"A": 'a"b c"d', "B": "a'b"}),
        ('A=goes \\\non\nB="goes \\\non"', {"A": "goes on", "B": "goes on"}),
        ('A="multi\nline"\nB=1', {"A": "multi\nline", "B": "1"}),
        ("A=x # y\n# B=1\n; C=1\n#D=1 \\\nE=1\nF=1", {"A": "x # y", "F": "1"}),
        ("1A=x\nexport B=x\nno line\n=x\nC=1", {"C": "1"}),
        ('A="open\nB=1', {"A": "open\nB=1"}),
        ("A='open\\", {"A": "open\\"}),
        ("A=open\\", {"A": "open"}),
        ("A=1\nA=2", {"A": "2"}),
        ("", {}),
    ],
)
def test_a_file_is_read_as_systemd_reads_it(text: str, meant: dict[str, str]) -> None:
    assert dict(assigned(text)) == meant


def test_a_long_file_of_anything_takes_no_time() -> None:
    for text in (
        '"' * 65536,
        "A=" + "'\\" * 32768,
        "A=" + '"\\' * 32768,
        " \n" * 32768,
        "\\" * 65536,
    ):
        assert len(dict(assigned(text))) <= 1
