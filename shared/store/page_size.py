"""How many documents to ask for at once: each may have a megabyte, and an answer must come in a second."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from shared.errors import Unavailable
from shared.store import Page

SMALLEST: Final = 2
"""A page of this many documents comes in time, however large they are, unless the store is down."""
GROWTH: Final = 4
PAGE_BYTES: Final = 4_000_000
"""The size that the next page should have, judged by the one before."""


class PageSize:
    """Begins with `SMALLEST`, grows to at most `most` while documents are small, and falls back to `SMALLEST`
    when a larger page does not come.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = min(SMALLEST, most)

    async def page(self, ask: Callable[[int], Awaitable[Page]], left: int | None = None) -> Page:
        """The page that `ask` returns for a limit of at most `left`. Raises `Unavailable` if even the
        smallest page does not come.
        """
        while True:
            limit = self._size if left is None else min(self._size, left)
            try:
                page = await ask(limit)
            except Unavailable:
                if limit <= SMALLEST:
                    raise
                self._size = SMALLEST
                continue
            self._learn(page)
            return page

    def _learn(self, page: Page) -> None:
        if page.docs:
            average = sum(len(msgspec.json.encode(doc.body)) for doc in page.docs) / len(page.docs)
            fitting = max(SMALLEST, int(PAGE_BYTES / average))
            self._size = min(self._most, GROWTH * self._size, fitting)
