"""What a rehearsal of the deployment called, by command, and the names that are expected in it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from deploy import pipeline
from deploy.pipeline import Step
from deploy.rehearsal import STAND_INS, Call, Rehearsal

PROJECT = "demo-project"
BUILT_IN = {"PROJECT_ID": PROJECT, "PROJECT_NUMBER": "123456789012", "SHORT_SHA": "0a1b2c3"}
GIVEN = {
    "_ENVIRONMENT": "production",
    "_REGION": "us-central1",
    "_RUNTIME": "python311",
    "_VPC_CONNECTOR": "energent-vpc-connector",
    "_PUBLIC_URL": "https://api.energent.example.com",
    "_STORAGE_BUCKET": "",
    "_STRIPE_API_KEY_SECRET": "",
    "_STRIPE_WEBHOOK_SECRETS": "",
    "_TRUSTED_HOPS": "2",
    "_PASSWORD_RANGE_URL": "",
    "_SMTP_HOST": "",
    "_SMTP_PORT": "",
    "_SMTP_TLS": "",
    "_SMTP_USER": "",
    "_SMTP_PASSWORD_SECRET": "",
    "_SMTP_FROM": "",
}
"""Every substitution: whoever deploys writes other defaults into the file, and the pipeline tests itself."""
EVENT_SERVICES = {
    "auth-events": "auth-events",
    "billing": "billing-events",
    "tenants-events": "tenant-events",
}
"""Service to topic."""
HTTP_SERVICES = ("auth", "billing-api", "tenants")
SERVICES = (*EVENT_SERVICES, *HTTP_SERVICES)


class Rehearsed(msgspec.Struct, frozen=True):
    """Calls of a project's first deployment and of its second; `prepared` is the project before those,
    `folder` after.
    """

    steps: list[Step]
    setup: list[Call]
    first: list[Call]
    setup_again: list[Call]
    again: list[Call]
    folder: Path
    prepared: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def all(self) -> list[Call]:
        return [*self.setup, *self.first, *self.setup_again, *self.again]

    def copied(self, to: Path, code: str = "") -> Rehearsal:
        """The same project once more, whose stand-ins are as usual but for `code`."""
        shutil.copytree(self.folder, to / "project", symlinks=True)
        stand_ins = to / "stand-ins.bash"
        stand_ins.write_text(f". {STAND_INS}\n{code}\n")
        return Rehearsal(to / "project", stand_ins)


def replacing(function: str, body: str) -> str:
    """Code for a stand-in that does `body`, in which `usual` is the one it replaces."""
    kept = f'eval "usual_$(declare -f {function})"\nusual() {{ usual_{function} "$@"; }}'
    return f"{kept}\n{function}() {{ {body}; }}"


def commands(calls: Iterable[Call], *words: str) -> list[dict[str, str]]:
    """The gcloud commands that begin with `words`: `name` is the first argument after them, flags by name."""
    start = ("gcloud", *words)
    return [_parts(call.command[len(start) :]) for call in calls if call.command[: len(start)] == start]


def _parts(rest: tuple[str, ...]) -> dict[str, str]:
    flags = [word.partition("=") for word in rest if word.startswith("--")]
    name = rest[0] if rest and not rest[0].startswith("--") else ""
    return {"name": name, **{flag: value for flag, _, value in flags}}


def deployed(calls: Iterable[Call], service: str) -> dict[str, str]:
    """The one command that deploys a service."""
    (found,) = [one for one in commands(calls, "functions", "deploy") if one["name"] == full(service)]
    return found


def settings(calls: Iterable[Call], service: str) -> dict[str, str]:
    """The environment that a service is deployed with."""
    text = deployed(calls, service)["--set-env-vars"]
    assert text.startswith("^|^"), "a comma is part of one of the values"
    return dict(line.split("=", 1) for line in text.removeprefix("^|^").split("|"))


def steps(*ids: str, **given: str) -> list[Step]:
    """Some steps, or all; `given` are substitutions without their underscore."""
    every = pipeline.load(GIVEN | {f"_{name}": value for name, value in given.items()}, BUILT_IN)
    return [step for step in every if not ids or step.id in ids]


def full(service: str) -> str:
    return f"energent-{service}-production"


def account(name: str) -> str:
    return f"energent-{name}-production@{PROJECT}.iam.gserviceaccount.com"


def address(service: str) -> str:
    return f"https://{full(service)}-a1b2c3d4e5-uc.a.run.app"
