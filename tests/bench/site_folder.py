"""An import path with the packages that a function has on Lambda, and no others.

The environment of the tests has all packages of all layers, and some change what others import: with `webauthn` comes
pyOpenSSL, which botocore loads wherever it finds it (findings/webauthn_brings_pyopenssl.sh). So the measured processes
run isolated (ISOLATED), with links to what their layers pin, or to what a reference imports.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from infra.local.layer_packages import FOLDER, PIN, folder_of
from infra.local.templates import read_template
from tests.bench.measure import ROOT

# Of the interpreter: neither the environment's packages nor the variables that add some.
ISOLATED = ("-I", "-S")


def function_site(folder: Path, source: Path) -> Path:
    """The folder with the packages of a function's layers. source: the function's folder, as the template has it."""
    pins = {pin for layer in layers_of(source) for pin in pinned(layer)}
    return link_packages(folder / "sites" / "-".join(sorted(layers_of(source))), pins)


def reference_site(folder: Path, name: str, imported: Iterable[str]) -> Path:
    """The folder with what a reference imports, and what that needs."""
    return link_packages(folder / "sites" / name, needed(imported))


def layers_of(source: Path) -> tuple[str, ...]:
    """The folders of layers/dependencies that a function has, by its layers in the template."""
    template = read_template(ROOT / "template.yaml")
    resources = (each for each in template["Resources"].values() if each["Type"].endswith("::Function"))
    [function] = [each for each in resources if each["Properties"]["CodeUri"] == source.relative_to(ROOT).as_posix()]
    common = [] if "Layers" in function.get("IgnoreGlobals", []) else template["Globals"]["Function"]["Layers"]
    names = (folder_of(str(layer["Ref"])) for layer in common + function["Properties"].get("Layers", []))
    return tuple(dict.fromkeys(name for name in names if (ROOT / FOLDER / name).is_dir()))


def pinned(layer: str) -> list[str]:
    """The distributions that a layer pins."""
    return PIN.findall((ROOT / FOLDER / layer / "requirements.txt").read_text())


def needed(names: Iterable[str]) -> set[str]:
    """These distributions with all that they require here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for requirement in map(Requirement, distribution(name).requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def link_packages(site: Path, names: Iterable[str]) -> Path:
    """Fill a folder with links to the top folders and files of distributions. Does nothing to one that is filled."""
    if site.exists():
        return site
    site.mkdir(parents=True)
    for name in names:
        try:
            installed = distribution(name)
        except PackageNotFoundError as error:
            raise RuntimeError(f"{name} is pinned for a layer, but not installed here") from error
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            target = site / top
            if not target.exists():
                target.symlink_to(Path(str(installed.locate_file(top))))
    return site
