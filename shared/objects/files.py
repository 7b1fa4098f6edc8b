"""Objects as files, for one machine: a file for each, whose first line is its metadata."""

import asyncio
from pathlib import Path

import msgspec

from shared.errors import Unavailable
from shared.files import locked, write_durably
from shared.objects import Object, ObjectChanged, ObjectExists, check_name

_END = b"\n"


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file's first line."""

    content_type: str
    generation: int


class FileObjects:
    """`shared.objects.Objects` for several processes at once; generations count from 1. Each call works in a
    thread. Nobody reads these over HTTP, so `cache_control` means nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def create(self, name: str, data: bytes, content_type: str, *, cache_control: str = "") -> int:
        generation = await asyncio.to_thread(self._write, name, data, content_type, 0)
        if generation is None:
            raise ObjectExists(name)
        return generation

    async def replace(
        self, name: str, data: bytes, content_type: str, if_generation: int, *, cache_control: str = ""
    ) -> int:
        generation = await asyncio.to_thread(self._write, name, data, content_type, if_generation)
        if generation is None:
            raise ObjectChanged(name)
        return generation

    async def get(self, name: str) -> Object | None:
        return await asyncio.to_thread(self._get, name)

    async def close(self) -> None:
        """Nothing is held open."""

    def _write(self, name: str, data: bytes, content_type: str, if_generation: int) -> int | None:
        """The new generation; None if the current one (0: no object) is not `if_generation`."""
        path = self._path(name)
        try:
            with locked(self._folder):
                found = self._get(name)
                if if_generation != (found.generation if found else 0):
                    return None
                head = _Head(content_type, if_generation + 1)
                write_durably(path, msgspec.json.encode(head) + _END + data)
        except OSError as failure:
            raise _unavailable() from failure
        return head.generation

    def _get(self, name: str) -> Object | None:
        try:
            raw = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise _unavailable() from failure
        line, _, data = raw.partition(_END)
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.DecodeError as broken:
            raise _unavailable() from broken
        return Object(data, head.content_type, head.generation)

    def _path(self, name: str) -> Path:
        """No name has a `%` in it."""
        check_name(name)
        return self._folder / name.replace("/", "%")


def _unavailable() -> Unavailable:
    return Unavailable("objects_unavailable", "An object could not be read or written. Try again.")
