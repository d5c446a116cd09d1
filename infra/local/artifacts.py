"""The code archives of a deployment: one zip per function folder and one for each layer of our own, named by content.

Dependencies are not packed: the emulator runs functions in its own interpreter, whose environment holds them. The
emulator unpacks each archive anew for every worker, in the same process that serves all tables. So a layer of our own
is unpacked only once, into the data folder, and its zip contains just a path file that points there.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

# Layers of our own code, with the name of their path file.
OWN_LAYERS = {"layers/atelier": "atelier", "layers/studio": "studio"}
# Python adds the directories named in a path file (.pth) to its import path when the file lies in a site directory. The
# layer's site-packages is one, here and on Lambda.
SITE_FOLDER = "python/lib/python3.13/site-packages"


class BrokenSource(Exception):
    """A Python file does not compile; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """`folder`: the code folder as the template names it. `key`: the S3 key, which changes only with the content.
    `place`: where the files are unpacked once for all workers; None when each worker unpacks the archive."""

    folder: str
    key: str
    files: tuple[tuple[str, bytes], ...]
    unpacked_folder: Path | None = None

    def archive(self) -> bytes:
        """The archive; raises BrokenSource."""
        if self.unpacked_folder:
            path_file = f"{SITE_FOLDER}/{OWN_LAYERS[self.folder]}.pth"
            return _zip([(path_file, f"{self.unpacked_folder / 'python'}\n".encode())])
        return _zip(self._compiled())

    def unpack(self) -> None:
        """Write the files to `place` unless they are there; raises BrokenSource."""
        if self.unpacked_folder is None or self.unpacked_folder.exists():
            return
        making = self.unpacked_folder.with_suffix(".part")
        for name, data in self._compiled():
            file = making / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        making.rename(self.unpacked_folder)

    def _compiled(self) -> list[tuple[str, bytes]]:
        """The files with their bytecode: each worker starts without a bytecode cache, and compiling is most of an
        import. The bytecode is the unchecked kind, because an archive does not keep modification times exactly."""
        modules = [(name, data) for name, data in self.files if name.endswith(".py")]
        return [*self.files, *(_compile(name, data) for name, data in modules)]


def collect(root: Path, folders: list[str], store: Path) -> list[Artifact]:
    """The artifacts of these code folders of the repository; raises FileNotFoundError for a folder without code.
    store: the folder into which our own layers are unpacked."""
    return [_collect(root, folder, store) for folder in folders]


def _collect(root: Path, folder: str, store: Path) -> Artifact:
    base = root / folder
    files: list[tuple[str, bytes]] = []
    is_own_layer = folder in OWN_LAYERS
    # The path file contains the store's path: when the store moves, the artifact is another one.
    digest = hashlib.sha256(sys.version.encode() + (str(store).encode() if is_own_layer else b""))
    for path in sorted(base.rglob("*")):
        name = path.relative_to(base).as_posix()
        if path.is_file() and "__pycache__" not in name and path.name != "Makefile":
            data = path.read_bytes()
            files.append((name, data))
            digest.update(name.encode() + b"\0" + data + b"\0")
    if not files:
        raise FileNotFoundError(f"{folder} holds no code, but template.yaml names it")
    version = digest.hexdigest()[:32]
    return Artifact(folder, f"{folder}/{version}.zip", tuple(files), store / version if is_own_layer else None)


def _zip(files: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


def _compile(name: str, source: bytes) -> tuple[str, bytes]:
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise BrokenSource(f"{name}, line {getattr(error, 'lineno', '?')}: {error}") from error
    unchecked = (0b01).to_bytes(4, "little")
    data = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + marshal.dumps(code)
    return importlib.util.cache_from_source(name), data
