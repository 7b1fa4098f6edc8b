"""What was set aside, through the operators' API of a running suite: shown, sent again, thrown away."""

import argparse
import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from local.first_operator import Credential
from local.layout import Layout

SHOWN = 50
PIPED_WIDTH = 200
SECONDS = 60.0
_TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address


class Failed(Exception):
    """What went wrong, and what to do, for a person."""


class Shelf:
    """`client` has the gateway's address."""

    def __init__(self, client: httpx.Client, operator: Credential, console: Console) -> None:
        self._client = client
        self._operator = operator
        self._console = console
        self._token = ""

    def listed(self) -> None:
        items = self._ask("GET", "/v1/quarantine", params={"limit": SHOWN})["items"]
        table = Table(title="Cannot succeed, or failed in all attempts", title_justify="left", box=None)
        for heading in ("id", "received", "function", "reason", "tenant", "detail"):
            table.add_column(heading, no_wrap=heading == "id")
        for each in items:
            received = each["received_at"][:19].replace("T", " ")
            told = (each["function"], each["reason"], each["tenant_id"], each["detail"])
            table.add_row(each["id"], received, *told)
        self._console.print(table if items else "Nothing is set aside.")

    def show(self, quarantine_id: str) -> None:
        """Everything about one, its data as text where it is text."""
        found = self._ask("GET", f"/v1/quarantine/{quarantine_id}")
        found["data"] = base64.b64decode(found["data"]).decode(errors="backslashreplace")
        self._console.print_json(data=found)

    def replay(self, quarantine_id: str) -> None:
        self._ask("POST", f"/v1/quarantine/{quarantine_id}/replay")
        self._console.print("It is on its way again.")

    def replay_all(self) -> None:
        asked: dict[str, Any] = {"all": True}
        while True:
            part = self._ask("POST", "/v1/quarantine/replay", json=asked)
            self._console.print(f"{part['replayed']} are on their way again.")
            for each in part["skipped"]:
                self._console.print(f"{each['id']} stays: {each['detail']}", soft_wrap=True)
            if part["next_cursor"] is None:
                return
            asked["cursor"] = part["next_cursor"]

    def dismiss(self, quarantine_id: str) -> None:
        self._ask("DELETE", f"/v1/quarantine/{quarantine_id}")
        self._console.print("It is gone.")

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        try:
            self._token = self._token or self._signed_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._client.request(method, path, headers=headers, **more)
            told: Any = answer.json() if answer.content else {}
        except (httpx.HTTPError, ValueError) as failure:
            why = f"{type(failure).__name__} at {self._client.base_url}"
            raise Failed(f"no answer ({why}); is the suite running? (make run)") from None
        if answer.is_error:
            raise Failed(told.get("detail") or told.get("message") or str(answer.status_code))
        return told

    def _signed_in(self) -> str:
        form = {"grant_type": "client_credentials"}
        answer = self._client.post(
            _TOKEN_PATH, data=form, auth=(self._operator.client_id, self._operator.client_secret)
        )
        if answer.is_error:
            raise Failed(
                "the operator in operator.json cannot sign in here; is this the suite's data folder?"
            )
        return str(answer.json()["access_token"])


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        operator = _operator(options.data_dir)
        gateway = operator.token_endpoint.removesuffix(_TOKEN_PATH)
        with httpx.Client(base_url=gateway, timeout=SECONDS, trust_env=False) as client:
            _run(
                Shelf(client, operator, Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)), options
            )
    except Failed as failure:
        print(f"set_aside: {failure}", file=sys.stderr)
        return 1
    return 0


def _run(shelf: Shelf, options: argparse.Namespace) -> None:
    match options.action:
        case "show":
            shelf.show(options.id)
        case "dismiss":
            shelf.dismiss(options.id)
        case "replay" if options.id == "all":
            shelf.replay_all()
        case "replay":
            shelf.replay(options.id)
        case _:
            shelf.listed()


def _operator(data_dir: Path) -> Credential:
    try:
        return msgspec.json.decode(Layout(data_dir.resolve()).operator.read_bytes(), type=Credential)
    except (OSError, msgspec.DecodeError):
        raise Failed(f"nothing has run in {data_dir} yet (make run)") from None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.set_aside", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(".local"), help="default: %(default)s")
    actions = parser.add_subparsers(dest="action", metavar="list | show ID | replay ID | dismiss ID")
    actions.add_parser("list", help=f"the newest {SHOWN} (what is done without an action)")
    actions.add_parser("show", help="one, with its data").add_argument("id")
    actions.add_parser("replay", help="sends one again, or with `all` each").add_argument("id")
    actions.add_parser("dismiss", help="throws one away").add_argument("id")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
