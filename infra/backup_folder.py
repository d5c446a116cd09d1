"""`python -m infra.backup_folder FOLDER`: check a backup of a deployment that was downloaded, and say what is wrong.

Exit status: 0 = it is sound, 1 = it is not. `--known` names a public key (PEM) that was noted earlier; without it the
signature is checked with the key beside the manifest, which shows accidents alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LAYER = Path(__file__).resolve().parents[1] / "layers/atelier/python"
CHUNK_BYTES = 1024 * 1024


class DiskFolder:
    """The port BackupFolder on a disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of a file. Raises BackupFileMissing; a key that leads out of the folder is missing too."""
        from atelier.backups.ports import BackupFileMissing

        file = (self._folder / key).resolve()
        if not file.is_relative_to(self._folder.resolve()) or not file.is_file():
            raise BackupFileMissing(key)
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                yield chunk


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.backup_folder", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--known", type=Path, action="append", help="a public key (PEM) that counts")
    chosen = parser.parse_args(arguments)
    if str(LAYER) not in sys.path:
        sys.path.insert(0, str(LAYER))
    from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms
    from atelier.backups.verify import verify_backup

    known = [file.read_bytes() for file in chosen.known] if chosen.known else None
    report = verify_backup(DiskFolder(chosen.folder), StoredChainForms(), known)
    for problem in report.problems:
        print(problem)
    if report.is_sound and report.manifest:
        cut_at = report.manifest.cut_at.strftime("%Y-%m-%d %H:%M UTC")
        print(
            f"sound: {report.manifest.id} as of {cut_at}: {report.items} items in {report.files} files, "
            f"{report.wallets} wallets, {report.logs} audit logs"
        )
    for note in report.manifest.notes if report.manifest else ():
        print(f"note: {note}")
    return 0 if report.is_sound else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
