"""One data folder belongs to one runner at a time, and only a data folder is ever emptied."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator

from local.layout import Layout


class DataFolderError(Exception):
    """The folder cannot be used; the message says why and what to do."""


@contextlib.contextmanager
def held(layout: Layout, *, fresh: bool) -> Iterator[None]:
    """The folder, made if need be, emptied if `fresh`, for as long as the block lasts."""
    was_ours = layout.lock.exists()
    if fresh and not was_ours and layout.root.exists() and any(layout.root.iterdir()):
        raise DataFolderError(f"{layout.root} holds files and is no data folder of ours: it is not emptied")
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = layout.lock.open("a+")
    except OSError as failure:
        raise DataFolderError(f"{layout.root} cannot be used: {failure.strerror}") from failure
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            used = f"{layout.root} is used by another runner, process {holder}"
            raise DataFolderError(f"{used}: stop that one or give DATA_DIR=another-folder") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if fresh:
            _empty(layout)
        yield


def is_held(layout: Layout) -> bool:
    """Whether a runner is on the folder now."""
    try:
        with layout.lock.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _empty(layout: Layout) -> None:
    for item in layout.root.iterdir():
        if item == layout.lock:
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
