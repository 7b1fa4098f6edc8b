"""Parts of lists."""

import pytest

from shared.errors import BadRequest
from shared.http.pagination import checked


def test_a_cursor_that_the_store_refuses_is_a_400() -> None:
    """T3."""
    with pytest.raises(BadRequest) as refused, checked("a cursor of somebody else"):
        raise ValueError("a cursor of another query")
    assert refused.value.code == "invalid_cursor"


def test_without_a_cursor_the_same_is_a_bug() -> None:
    with pytest.raises(ValueError, match="undeclared"), checked(None):
        raise ValueError("undeclared query")
