"""What was set aside can be seen on the machine it happened on."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from local import set_aside
from local.layout import Layout
from shared import quarantine
from shared.bus import BILLING_EVENTS, Message
from shared.bus.local import LocalBus
from shared.envelope import Delivery
from shared.ids import utc_now
from shared.quarantine import Quarantine
from shared.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def test_the_quarantine_and_the_dead_letters_are_shown_with_their_reasons(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    store, bus = SqliteStore(layout.store, quarantine.QUERIES), LocalBus(layout.bus, base_seconds=0.0)
    shelf = Quarantine(store, utc_now, "billing")
    await shelf.put(shelf.write(Delivery("m-1", b"{}", {}), "usage_bad_shape", "no id"))
    await bus.subscribe(BILLING_EVENTS, "billing")
    await bus.publish(BILLING_EVENTS, [Message(b"x")])
    while leased := await bus.lease("billing", 1, 10):
        await bus.nack(leased[0], "503")
    await store.close()
    await bus.close()

    shown = io.StringIO()
    await set_aside.show(layout, Console(file=shown, width=160))
    assert "usage_bad_shape" in shown.getvalue()
    assert "no id" in shown.getvalue()
    assert "503" in shown.getvalue()


def test_a_folder_where_nothing_ran_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_aside.main(["--data-dir", str(tmp_path)]) == 1
    assert "make run" in capsys.readouterr().err
