"""One run of the suite: prepares the data folder, starts the servers, keeps them, stops them."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console

from local import backend, broker, cluster, first_operator, openapi, relay, report, stripe_keys, suite
from local.backend import Backend
from local.emulators import Missing
from local.files import write_atomically
from local.gateway import envoy_config, placeholders
from local.layout import Layout
from local.logs import Logs
from local.openapi import SpecError
from local.processes import Processes, Server
from local.relay_identity import ensure_keys
from local.stripe_keys import NotATestKey, StripeKeys
from local.suite import ENTRY_POINTS, REPOSITORY, Options
from shared.errors import Unavailable
from shared.store import StoreError

T = TypeVar("T")

LOG_POLL_SECONDS = 0.2
WARM_UP_SECONDS = 60.0


class CannotStart(Exception):
    """The suite cannot be started; the message says what to do."""


class Runner:
    """One run of the suite. `data_dir` is the folder as the person named it."""

    def __init__(self, options: Options, data_dir: str, ready_file: Path | None, console: Console) -> None:
        self._options = options
        self._layout = options.layout
        self._data_dir = data_dir
        self._ready_file = ready_file
        self._console = console
        self._is_ready = False
        self._backend = suite.backend(options)
        self._gateway_url = suite.base_url(options, "gateway")
        self._functions: dict[str, Server] = {}
        self._others: dict[str, Server] = {}
        self._processes = Processes(self.say, self._write_ready_file)

    async def run(self, *, logs: bool) -> None:
        """Until it is cancelled. Raises `CannotStart` or `ServerFailed`."""
        self._forget_ready_file()
        try:
            await self._prepare()
            await self._start()
            self._is_ready = True
            self._write_ready_file()
            report.show(self._console, self._ready(), self._data_dir)
            following = asyncio.create_task(self._follow_logs()) if logs else None
            try:
                await self._processes.run()
            finally:
                if following is not None:
                    following.cancel()
        finally:
            self._console.print("[dim]stopping …[/]")
            await self._processes.stop()
            self._forget_ready_file()

    def say(self, server: str, sentence: str) -> None:
        self._console.print(f"[bold yellow]{server:<9} {sentence}[/]", highlight=False)

    async def _prepare(self) -> None:
        """Everything that has to be there before a function starts."""
        self._progress("staging the functions as they are deployed")
        await asyncio.to_thread(_stage, self._options)
        await self._start_others(*_stand_ins(self._options))
        self._progress("preparing keys, topics and the first operator")
        try:
            ensure_keys(self._layout.root)
            await _warmed_up(lambda: _prepare_topics(self._options))
            await _warmed_up(lambda: first_operator.ensure(self._layout, self._backend, self._gateway_url))
            self._stripe = await _warmed_up(lambda: _stripe_keys(self._backend, self._layout))
        except (StoreError, ValueError, msgspec.MsgspecError) as broken:
            raise CannotStart(f"{self._data_dir} cannot be used ({broken}); --fresh empties it") from broken
        backend.keep(self._backend, self._layout)
        self._configure_gateway()

    def _configure_gateway(self) -> None:
        public_url = self._gateway_url
        try:
            spec = openapi.load(REPOSITORY / "api-spec.yaml", placeholders(public_url))
            config = envoy_config(spec, suite.gateway_settings(self._options))
        except SpecError as refusal:
            raise CannotStart(str(refusal)) from refusal
        write_atomically(self._layout.envoy, json.dumps(config, indent=1))

    async def _start(self) -> None:
        stripe = self._stripe_settings()
        self._functions = {
            name: suite.function(self._options, name, stripe if name == "billing" else {})
            for name in ENTRY_POINTS
        }
        self._progress("starting " + ", ".join(self._functions))
        for server in self._functions.values():
            _make_room(self._layout, server)
        await self._processes.start(*self._functions.values())
        others = [suite.gateway(self._options), suite.relay(self._options), suite.cluster(self._options)]
        if self._stripe.is_stand_in:
            others.append(suite.stripe(self._options))
        await self._start_others(*others)

    def _stripe_settings(self) -> dict[str, str]:
        if not self._stripe.is_stand_in:
            return self._stripe.settings
        return {**self._stripe.settings, "STRIPE_API_BASE": suite.base_url(self._options, "stripe")}

    async def _start_others(self, *servers: Server) -> None:
        if not servers:
            return
        self._progress("starting " + ", ".join(server.name for server in servers))
        for server in servers:
            _make_room(self._layout, server)
            self._others[server.name] = server
        await self._processes.start(*servers)

    async def _follow_logs(self) -> None:
        files = {server.name: server.log for server in (*self._functions.values(), *self._others.values())}
        logs = Logs(files, lambda line: self._console.print(line, highlight=False, soft_wrap=True))
        while True:
            logs.poll()
            await asyncio.sleep(LOG_POLL_SECONDS)

    def _ready(self) -> report.Ready:
        pids = self._processes.pids
        return report.Ready(
            gateway=self._gateway_url,
            runner_pid=os.getpid(),
            watchdog_pid=self._processes.watchdog_pid,
            data_dir=str(self._layout.root),
            operator_file=str(self._layout.operator),
            mailbox=str(self._layout.mailbox),
            functions=report.running(self._functions, pids),
            others=report.running(self._others, pids),
            subscriptions=subscriptions(),
        )

    def _write_ready_file(self) -> None:
        """Again whenever a process is new, so that the ids in it are right."""
        if self._is_ready and self._ready_file is not None:
            write_atomically(self._ready_file, report.as_json(self._ready()))

    def _forget_ready_file(self) -> None:
        if self._ready_file is not None:
            self._ready_file.unlink(missing_ok=True)

    def _progress(self, sentence: str) -> None:
        self._console.print(f"[dim]{sentence} …[/]", highlight=False)


def subscriptions() -> dict[str, str]:
    """Every subscription on the bus and its topic."""
    pushed = [each for function in relay.FUNCTIONS for each in relay.subscriptions(function)]
    return {each.name: each.topic for each in (*pushed, cluster.SUBSCRIPTION)}


async def _warmed_up(step: Callable[[], Awaitable[T]]) -> T:
    """Takes a step that may be taken twice: an emulator's first answers can take seconds."""
    deadline = time.monotonic() + WARM_UP_SECONDS
    while True:
        try:
            return await step()
        except Unavailable as outage:
            if time.monotonic() > deadline:
                raise CannotStart(f"an emulator does not answer: {outage}") from outage
            await asyncio.sleep(0.2)


async def _prepare_topics(options: Options) -> None:
    """Before anybody publishes: a topic keeps nothing for a subscription that comes later."""
    async with broker.opened(suite.broker_options(options)) as to:
        await relay.prepare(to)
        await to.prepare(cluster.SUBSCRIPTION)


async def _stripe_keys(backend: Backend, layout: Layout) -> StripeKeys:
    """In the secret store for billing, and in a file for the stand-in."""
    secrets = backend.open_secrets()
    try:
        keys = await stripe_keys.ensure(secrets, os.environ)
    except NotATestKey as refused:
        raise CannotStart(str(refused)) from refused
    finally:
        await secrets.close()
    layout.stripe.mkdir(mode=0o700, exist_ok=True)
    kept = {"api_key": keys.api_key, "webhook_secrets": [keys.webhook_secret]}
    write_atomically(layout.stripe_secrets, json.dumps(kept))
    return keys


def _stand_ins(options: Options) -> list[Server]:
    try:
        return suite.stand_ins(options)
    except Missing as missing:
        raise CannotStart(str(missing)) from missing


def _make_room(layout: Layout, server: Server) -> None:
    """A home, and an empty log beside the one of the run before."""
    layout.home(server.name).mkdir(parents=True, exist_ok=True)
    server.log.parent.mkdir(exist_ok=True)
    if server.log.exists():
        server.log.replace(server.log.with_suffix(".log.1"))
    server.log.touch()


def _stage(options: Options) -> None:
    done = subprocess.run(  # noqa: S603 - our own module
        suite.stage_command(options), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotStart(f"staging failed:\n{done.stdout}{done.stderr}".rstrip())
