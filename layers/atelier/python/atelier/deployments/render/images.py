"""References to files of the library in HTML and CSS: `asset:ast_…` becomes the path of the file, which is named by its
content; an image gets its size, its smaller variants, and when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping

from atelier.deployments.render.files import ImageVariant, SiteAsset

_REFERENCE = re.compile(r"asset:(ast_[0-9A-Z]{26})")
_IMAGE = re.compile(r"<img\b([^<>]*)>")
_ATTRIBUTE = re.compile(r' ([a-z][a-z0-9:-]{0,39})="([^"]*)"')
# What a browser loads until it knows the page's layout: the whole width, up to that of a usual column.
SIZES = "(max-width: 1200px) 100vw, 1200px"
# What stands in place of a file that the library does not have any more: an address that loads nothing.
MISSING = "data:,"


def references(text: str) -> set[str]:
    """The ids of the assets that a text names."""
    return {found[1] for found in _REFERENCE.finditer(text)}


class Images:
    """The assets of a site, and which of them have been used. keeps_references: what names an asset stays as it is, for
    whoever puts addresses in."""

    def __init__(self, assets: Mapping[str, SiteAsset], *, keeps_references: bool = False) -> None:
        self._assets, self._keeps_references = assets, keeps_references
        self.used: dict[str, ImageVariant] = {}

    def fill(self, html: str, *, loads_first: bool) -> str:
        """HTML with its assets. loads_first: whether its first image is the first of its page: it is loaded at once,
        the others when they come near."""
        waiting = loads_first

        def image(found: re.Match[str]) -> str:
            nonlocal waiting
            tag = self._image(found[1], is_first=waiting)
            waiting = False
            return tag

        return self.fill_urls(_IMAGE.sub(image, html))

    def fill_urls(self, text: str) -> str:
        """CSS, or what is left of HTML, with the paths of its assets."""
        return _REFERENCE.sub(lambda found: self.path(found[1]) or MISSING, text)

    def path(self, asset_id: str) -> str | None:
        """The path of a whole file; None when the library has it no more."""
        if self._keeps_references:
            return f"asset:{asset_id}"
        asset = self._assets.get(asset_id)
        return self._use(asset.whole) if asset else None

    def facts(self, asset_id: str | None) -> SiteAsset | None:
        """An asset."""
        return self._assets.get(asset_id or "")

    def _use(self, variant: ImageVariant) -> str:
        self.used[variant.path] = variant
        return variant.path

    def _image(self, written: str, *, is_first: bool) -> str:
        attributes = {found[1]: found[2] for found in _ATTRIBUTE.finditer(written)}
        reference = _REFERENCE.fullmatch(attributes.get("src", ""))
        asset = self._assets.get(reference[1]) if reference else None
        if asset is not None and asset.whole.width:
            attributes["src"] = self._use(asset.whole)
            if len(asset.variants) > 1 and "srcset" not in attributes:
                attributes["srcset"] = ", ".join(f"{self._use(each)} {each.width}w" for each in asset.variants)
                attributes.setdefault("sizes", SIZES)
            if not {"width", "height"} & attributes.keys():
                attributes |= {"width": str(asset.whole.width), "height": str(asset.whole.height)}
        attributes.setdefault("alt", "")
        if is_first:
            attributes.setdefault("fetchpriority", "high")
        else:
            attributes.setdefault("loading", "lazy")
        attributes.setdefault("decoding", "async")
        return "<img" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + ">"
