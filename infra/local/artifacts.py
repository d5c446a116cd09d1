"""What is deployed as code: one zip per function folder, one for the product's layer, named by their content.

Dependencies are not packed: the emulator runs functions in its own interpreter, whose environment holds them.
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

PRODUCT_LAYER = "layers/atelier"


class BrokenSource(Exception):
    """A Python file does not compile; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """`folder`: as the template names it. `key`: changes with the content, and only with it."""

    folder: str
    key: str
    files: tuple[tuple[str, bytes], ...]

    def zipped(self) -> bytes:
        """The archive; raises BrokenSource.

        Bytecode goes beside the source: a worker starts with an empty cache each time, and compiling is most of an
        import. It is of the unchecked kind, since an archive does not keep modification times well."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, data in self.files:
                archive.writestr(name, data)
                if name.endswith(".py"):
                    archive.writestr(*_bytecode(name, data))
        return buffer.getvalue()


def collect(root: Path, folders: list[str]) -> list[Artifact]:
    """The artifacts of the given code folders of the repository; raises FileNotFoundError for a folder without code."""
    return [_collect(root, folder) for folder in folders]


def _collect(root: Path, folder: str) -> Artifact:
    base = root / folder
    files: list[tuple[str, bytes]] = []
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(base.rglob("*")):
        name = path.relative_to(base).as_posix()
        if path.is_file() and "__pycache__" not in name and path.name != "Makefile":
            data = path.read_bytes()
            files.append((name, data))
            digest.update(name.encode() + b"\0" + data + b"\0")
    if not files:
        raise FileNotFoundError(f"{folder} holds no code, but template.yaml names it")
    return Artifact(folder, f"{folder}/{digest.hexdigest()[:32]}.zip", tuple(files))


def _bytecode(name: str, source: bytes) -> tuple[str, bytes]:
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        raise BrokenSource(f"{name}, line {getattr(error, 'lineno', '?')}: {error}") from error
    unchecked = (0b01).to_bytes(4, "little")
    data = importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + marshal.dumps(code)
    return importlib.util.cache_from_source(name), data
