"""Makes the first operator of a deployed suite and prints the credential, this once.

    .venv/bin/python -m deploy.first_operator --project P [--environment production] [--another NAME]

Runs as whoever is signed in (`gcloud auth application-default login`), who needs roles/datastore.user.
`--another` makes a further operator, for instance where the first one's secret was lost.
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Sequence

from functions.auth.machines.operators import Operators
from shared.errors import Error, Misconfigured, Unavailable
from shared.ids import utc_now
from shared.store import Store

OpenStore = Callable[[str, str], Store]
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)


def firestore(project: str, database: str) -> Store:
    """The documents of the deployed suite."""
    from shared.store.firestore import FirestoreStore  # noqa: PLC0415 - takes a second, and a typo should not

    return FirestoreStore(project, database, ())


async def _made(
    open_store: OpenStore, project: str, environment: str, another: str | None
) -> tuple[str, str]:
    """The functions answer 503 after two seconds, so that clients try again; here that is done at once."""
    store = open_store(project, f"energent-metadata-{environment}")
    operators = Operators(store, utc_now)

    async def make() -> tuple[str, str]:
        return await (operators.bootstrap() if another is None else operators.add(another))

    try:
        for pause in PAUSES_SECONDS:
            try:
                return await make()
            except Misconfigured:
                raise
            except Unavailable:
                await asyncio.sleep(pause)
        return await make()
    finally:
        await store.close()


def main(arguments: Sequence[str], open_store: OpenStore = firestore) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.first_operator", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--project", required=True, help="of Google Cloud, whose database it is written to")
    parser.add_argument("--environment", default="production", help="default: %(default)s")
    parser.add_argument("--another", metavar="NAME", help="one more, once there is a first")
    options = parser.parse_args(arguments)
    # What the store logs is the error that is printed below; without a handler it would be there twice.
    logging.getLogger("shared").addHandler(logging.NullHandler())
    made = _made(open_store, options.project, options.environment, options.another)
    try:
        client_id, client_secret = asyncio.run(made)
    except Error as refused:
        print(f"deploy.first_operator: {_said(refused)}", file=sys.stderr)
        return 1
    print(f"client_id={client_id}\nclient_secret={client_secret}")
    print("Keep the secret now: it is stored nowhere and will not be shown again.", file=sys.stderr)
    return 0


def _said(refused: Error) -> str:
    if refused.code == "already_bootstrapped":
        return "There is a first operator. With --another NAME one more is made."
    if refused.code == "not_bootstrapped":
        return "There is no first operator yet: leave --another out."
    return str(refused)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
