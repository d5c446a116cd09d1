"""QR codes: SVG that a strict Content-Security-Policy lets through."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
import segno

from studio.qr_code import CHARACTERS_MAX, qr_code

URL = "otpauth://totp/Atelier:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Atelier"


def test_a_code_has_no_style_and_no_script() -> None:
    drawn = ET.fromstring(str(qr_code(URL)))
    elements = [(each.tag, set(each.attrib)) for each in drawn.iter()]
    assert elements == [
        ("svg", {"viewBox", "class"}),
        ("path", {"fill", "d"}),
        ("path", {"stroke", "d"}),
    ]
    # The whole square is light, with a border of four modules.
    size = len(segno.make_qr(URL, error="m").matrix) + 2 * 4
    assert drawn.attrib["viewBox"] == f"0 0 {size} {size}"
    assert drawn[0].attrib == {"fill": "#fff", "d": f"M0 0h{size}v{size}h-{size}z"}


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "é" * 100])
def test_any_text_becomes_a_code_and_nothing_else(text: str) -> None:
    tags = {each.tag for each in ET.fromstring(str(qr_code(text))).iter()}
    assert tags == {"svg", "path"}


def test_a_text_that_no_camera_could_read_has_no_code() -> None:
    assert qr_code("a" * CHARACTERS_MAX) is not None
    assert qr_code("a" * (CHARACTERS_MAX + 1)) is None
    assert qr_code("é" * CHARACTERS_MAX) is None
