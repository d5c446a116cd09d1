"""HTML of the simulators' pages, and the answers that a browser gets."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import parse_qs

from infra.simulators.kit.messages import Request, Response

STYLE = (
    "body{font:16px system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "label{display:block;margin:.6rem 0}input,select{font:inherit;padding:.3rem;max-width:100%;box-sizing:border-box}"
    "button{font:inherit;padding:.4rem 1rem;margin:.2rem 0}.error{color:#b00020}"
    "table{width:100%;border-spacing:0 .3rem}"
    "td{vertical-align:top;padding-right:.6rem}form{margin:.3rem 0}"
)
# The pages run no script and are shown in no frame; they share an origin with the product.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def page(title: str, *blocks: str, about: str, status: int = 200) -> Response:
    """A page of these blocks of HTML. about: the sentence at its foot, which says what it is."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"{''.join(blocks)}<p><small>{escape(about)}</small></p></body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": POLICY,
    }
    return Response(status, text.encode(), headers)


def redirect(url: str) -> Response:
    return Response(303, b"", {"location": url, "content-type": "text/plain"})


def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a name given twice the last one."""
    return {name: values[-1] for name, values in parse_qs(request.body.decode(errors="replace")).items()}


def form(action: str, *parts: str) -> str:
    return f'<form method="post" action="{escape(action)}">{"".join(parts)}</form>'


def field(label: str, name: str, value: str = "", type: str = "text", **attributes: str) -> str:
    more = "".join(f' {key}="{escape(text)}"' for key, text in attributes.items())
    return f'<label>{escape(label)} <input type="{type}" name="{escape(name)}" value="{escape(value)}"{more}></label>'


def button(text: str, action: str) -> str:
    return f'<button name="action" value="{escape(action)}">{escape(text)}</button> '


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def link(text: str, url: str) -> str:
    return f'<p><a href="{escape(url)}">{escape(text)}</a></p>'


def rows(lines: Iterable[Iterable[str]]) -> str:
    """A table of texts."""
    return table([[escape(cell) for cell in line] for line in lines])


def table(lines: list[list[str]]) -> str:
    """A table of cells that are HTML."""
    cells = ("".join(f"<td>{cell}</td>" for cell in line) for line in lines)
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>"


def section(id: str, heading: str, *blocks: str) -> str:
    """A part of a page that a link can name."""
    return f'<section id="{escape(id)}"><h2>{escape(heading)}</h2>{"".join(blocks)}</section>'
