"""What was set aside can be seen on the machine it happened on."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from local import set_aside
from local.layout import Layout
from shared import quarantine
from shared.envelope import Delivery
from shared.ids import utc_now
from shared.quarantine import Quarantine
from shared.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def test_the_quarantine_is_shown_with_its_reasons(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    store = SqliteStore(layout.store, quarantine.QUERIES)
    shelf = Quarantine(store, utc_now, "billing")
    await shelf.put(shelf.write(Delivery("m-1", b"{}", {}), "usage_bad_shape", "no id"))
    await store.close()

    shown = io.StringIO()
    await set_aside.show(layout, Console(file=shown, width=160))
    assert "usage_bad_shape" in shown.getvalue()
    assert "no id" in shown.getvalue()


def test_a_folder_where_nothing_ran_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_aside.main(["--data-dir", str(tmp_path)]) == 1
    assert "make run" in capsys.readouterr().err
