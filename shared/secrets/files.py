"""Secrets as files, for one machine: a folder for each secret, a file for each version."""

import asyncio
import base64
import binascii
import os
from datetime import datetime
from pathlib import Path

import msgspec

from shared.errors import Unavailable
from shared.files import locked, write_durably
from shared.ids import Clock
from shared.secrets import SecretUnusable, SecretVersion, State, check_name, check_value


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a version's file. `value` is base64; empty once destroyed."""

    state: State
    created_at: datetime
    value: str


class FileSecrets:
    """Safe for several processes at once: a version is written under a lock and appears as a whole.

    Files are for their owner only (0600 in 0700). Each call works in a thread.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def access(self, name: str, version: int) -> bytes:
        return await asyncio.to_thread(self._access, name, version)

    async def add(self, name: str, value: bytes) -> int:
        return await asyncio.to_thread(self._add, name, value)

    async def versions(self, name: str) -> list[SecretVersion]:
        return await asyncio.to_thread(self._versions, name)

    async def set_state(self, name: str, version: int, state: State) -> None:
        await asyncio.to_thread(self._set_state, name, version, state)

    async def close(self) -> None:
        """Nothing is held open."""

    def _access(self, name: str, version: int) -> bytes:
        stored = self._read(name, version)
        if stored.state != "enabled":
            raise SecretUnusable(name, version, stored.state)
        try:
            return base64.b64decode(stored.value, validate=True)
        except binascii.Error:
            raise SecretUnusable(name, version, "unreadable") from None

    def _add(self, name: str, value: bytes) -> int:
        check_value(name, value)
        with locked(self._room(name)):
            number = max(self._numbers(name), default=0) + 1
            stored = _Stored("enabled", self._clock(), base64.b64encode(value).decode())
            self._write(name, number, stored)
        return number

    def _versions(self, name: str) -> list[SecretVersion]:
        found = []
        for number in sorted(self._numbers(name), reverse=True):
            stored = self._read(name, number)
            found.append(SecretVersion(number, stored.state, stored.created_at))
        return found

    def _set_state(self, name: str, version: int, state: State) -> None:
        self._read(name, version)
        with locked(self._room(name)):
            stored = self._read(name, version)
            if stored.state == state:
                return
            if stored.state == "destroyed":
                raise SecretUnusable(name, version, "destroyed")
            value = "" if state == "destroyed" else stored.value
            self._write(name, version, msgspec.structs.replace(stored, state=state, value=value))

    def _read(self, name: str, version: int) -> _Stored:
        try:
            raw = self._path(name, version).read_bytes()
        except FileNotFoundError:
            raise SecretUnusable(name, version, "missing") from None
        except PermissionError:
            raise SecretUnusable(name, version, "unreadable") from None
        except OSError:
            raise Unavailable("secrets_unavailable", "A secret could not be read. Try again.") from None
        try:
            return msgspec.json.decode(raw, type=_Stored)
        except msgspec.DecodeError:
            raise SecretUnusable(name, version, "unreadable") from None

    def _write(self, name: str, version: int, stored: _Stored) -> None:
        write_durably(self._path(name, version), msgspec.json.encode(stored))

    def _numbers(self, name: str) -> list[int]:
        try:
            entries = os.listdir(self._room(name))
        except FileNotFoundError:
            return []
        return [int(entry) for entry in entries if entry.isascii() and entry.isdigit()]

    def _path(self, name: str, version: int) -> Path:
        return self._room(name) / str(version)

    def _room(self, name: str) -> Path:
        check_name(name)
        return self._folder / name
