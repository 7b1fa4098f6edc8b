"""Files that other programs read while they are written."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Readable by the owner only; a reader sees the old text or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
