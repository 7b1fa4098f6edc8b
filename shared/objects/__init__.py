"""The objects port: named data in one bucket, with a new generation for each write."""

import re
from typing import Protocol

import msgspec

MAX_NAME_CHARS = 200

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class Object(msgspec.Struct, frozen=True):
    """Each write of an object gives it a greater `generation`."""

    data: bytes
    content_type: str
    generation: int


class ObjectExists(Exception):
    """There is an object of that name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"object {name} exists")


class ObjectChanged(Exception):
    """The object has another generation than the one to be replaced, or is gone. Read it and decide again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"object {name} is another generation")


class Objects(Protocol):
    """Each call raises `shared.errors.Unavailable`, which is `Misconfigured` for a bucket that is missing or
    forbidden, and ValueError for what cannot be a name.
    """

    async def create(self, name: str, data: bytes, content_type: str, *, cache_control: str = "") -> int:
        """Returns the generation. Raises `ObjectExists`. `cache_control` is for readers over HTTP."""

    async def replace(
        self, name: str, data: bytes, content_type: str, if_generation: int, *, cache_control: str = ""
    ) -> int:
        """Returns the new generation. Raises `ObjectChanged`. Metadata that is not given again is lost."""

    async def get(self, name: str) -> Object | None: ...

    async def close(self) -> None: ...


def check_name(name: str) -> None:
    """Raises ValueError unless the name is parts between slashes, none of which starts with a dot."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise ValueError(f"{name!r} is no name of an object")
