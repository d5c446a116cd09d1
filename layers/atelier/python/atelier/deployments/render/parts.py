"""The blocks of a page as HTML, with the parts that they use put in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from atelier.dataclass import dataclass
from atelier.deployments.render.values import css_value, fill_css, fill_html, has_placeholder
from atelier.sites.model import Block, BlockKind, Part

_SLOT, _SLOT_END = '<slot name="', "</slot>"


@dataclass(frozen=True, slots=True)
class Expanded:
    """A block as HTML. css: of this block alone, beside what its part has for all pages."""

    html: str
    css: str = ""


def expand(block: Block, parts: Mapping[str, Part]) -> Expanded:
    """A block's HTML. The use of a part that is not among the published ones shows nothing."""
    if block.kind is BlockKind.HTML:
        return Expanded(block.html, block.css)
    part = parts.get(block.component_id or "")
    if part is None:
        return Expanded("")
    defaults = {parameter.name: parameter.default for parameter in part.parameters}
    values = defaults | {name: value for name, value in block.parameters.items() if name in defaults}
    html = "".join(_with_slots(part.html, values, block.slots))
    if not has_placeholder(part.css):
        return Expanded(html)
    # The values of a use are CSS variables of an element around it, which has no box of its own.
    declared = ";".join(f"{_variable(part, name)}:{css_value(value)}" for name, value in sorted(values.items()))
    name = "use-" + hashlib.sha256(f"{part.id}{declared}".encode()).hexdigest()[:12]
    return Expanded(f'<div class="{name}">{html}</div>', f".{name}{{display:contents;{declared}}}")


def part_css(part: Part) -> str:
    """What a part has for all pages that use it."""
    return fill_css(part.css, {parameter.name: _variable(part, parameter.name) for parameter in part.parameters})


def _variable(part: Part, name: str) -> str:
    return f"--{part.id.partition('_')[2].lower()}-{name}"


def _with_slots(html: str, values: Mapping[str, str], slots: Mapping[str, str]) -> Iterator[str]:
    """The part's own HTML with its values, and what a use puts into its slots, which gets none."""
    while True:
        before, slot, rest = html.partition(_SLOT)
        yield fill_html(before, values)
        if not slot:
            return
        name, _, rest = rest.partition('"')
        _, _, rest = rest.partition(">")
        default, _, html = rest.partition(_SLOT_END)
        yield slots[name] if slots.get(name) else fill_html(default, values)
