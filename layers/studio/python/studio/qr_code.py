"""QR codes for pages: inline SVG without styles or scripts, which the Content-Security-Policy lets through."""

from __future__ import annotations

from markupsafe import Markup

# A code of more characters has modules so small that cameras cannot read it from a screen.
CHARACTERS_MAX = 500
# Modules of white around the code, as ISO/IEC 18004 requires.
QUIET_ZONE = 4


def qr_code(text: str) -> Markup | None:
    """The QR code of a text as an SVG element, black on white in every theme; None when the text is too long."""
    if len(text.encode()) > CHARACTERS_MAX:
        return None
    # Imported here, because one page of Studio shows a code.
    import segno

    drawn = segno.make_qr(text, error="m").svg_inline(
        border=QUIET_ZONE, dark="#000", light="#fff", omitsize=True, svgclass="qr-code", lineclass=None
    )
    # The text is in it as lengths of lines alone.
    return Markup(drawn)  # nosec B704 - numbers and colours
