"""Opening and closing the parts that the Gateway's routes use."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Final

from services.config import LoadedSettings
from services.counters.choose import open_counters
from services.directory import EngineDirectory
from services.erasure import erase_doomed
from services.gate import DatabaseGate
from services.metrics import Metrics
from services.probe import Probe
from services.quota.accounts import AccountBook
from services.quota.meter import UsageMeter
from services.quota.middleware import SPARE_SECONDS
from services.quota.writer import UsageWriter
from services.retention import run_retention
from services.samples.examine import Examiner
from services.sharing.outbox import SPOOL
from services.sharing.shares import Shares
from services.sharing.turns import Turns
from services.speech.planning import Planner
from services.speech.recording import Recorder
from services.speech.session import Speaker
from services.state import AddressOf, GatewayState
from services.stopping import Stopping
from services.tasks import Chore, running
from services.tenancy.accounts import Accounts
from services.tenancy.authenticator import Authenticator
from services.tenancy.login_guard import LoginGuard
from services.tenancy.passwords import Passwords
from services.tenancy.sessions import Sessions
from services.tenancy.watch import AccessWatch
from services.tokens import TokenSigner
from services.uploads import sweep_folders
from services.voices.casting import Casting
from services.voices.consents import Consents
from services.voices.intake import Intake
from services.voices.library import VoiceLibrary
from services.voices.preparer import VoicePreparer
from services.voices.transaction import VoiceParts
from services.voices.transfer import Transfer
from services.wire.client import EngineClient
from storage.columns import now
from storage.database import Database
from storage.errors import StorageError
from storage.objects.choose import open_object_store
from storage.repositories.invitations import sweep_invitations
from storage.repositories.ledger import sweep_reservations
from storage.repositories.resets import ResetRepository
from storage.repositories.tokens import TokenRepository

logger = logging.getLogger(__name__)

ERASE_SECONDS: Final = 5.0
"""Interval of erasing without a request for it, in seconds."""

MINUTE: Final = 60.0
HOUR: Final = 3_600.0


@asynccontextmanager
async def open_gateway(
    loaded: LoadedSettings, address_of: AddressOf, stopping: Stopping, turns: Turns
) -> AsyncGenerator[GatewayState, None]:
    """Open the Gateway's parts, and close them at the end of the block.

    The Gateway starts even if a runner, the database or Redis is unavailable: its readiness reports that, and
    requests that need the part get a 503 until it is available.
    """
    config = loaded.settings
    redis_url = config.storage.redis_url
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                EngineClient(
                    engine,
                    address_of(engine),
                    first_audio_timeout=config.limits.first_audio_timeout_seconds,
                    stall_timeout=config.limits.stall_timeout_seconds,
                )
            )
            for engine in config.enabled_engines
        ]
        database = await stack.enter_async_context(Database(config.storage.db_url.get_secret_value()))
        counters = await stack.enter_async_context(
            open_counters(redis_url.get_secret_value() if redis_url else None)
        )
        objects = await stack.enter_async_context(open_object_store(config.storage.object_store))
        stack.callback(turns.close)
        planner = Planner()
        stack.push_async_callback(planner.aclose)
        gate = DatabaseGate(database, config)
        writes, keeps = Probe(gate.try_write), Probe(objects.ping)
        stack.push_async_callback(writes.aclose)
        stack.push_async_callback(keeps.aclose)
        signer = TokenSigner(gate, config.auth)
        authenticator = Authenticator(gate, signer, config.auth, default_plan=config.quota.default_plan)
        watch = AccessWatch(authenticator, config.auth)
        passwords = Passwords()
        guard = LoginGuard(counters, config.auth)
        writer = UsageWriter(gate)
        directory = EngineDirectory(clients, config.default_engine_name)
        metrics = Metrics()
        intake = Intake(gate, objects, Examiner(), config.limits, metrics)
        preparer = VoicePreparer(gate, objects, intake, directory, config, metrics)
        erasing = Chore("erasing", partial(erase_doomed, gate, objects), every=ERASE_SECONDS)

        def changed() -> None:
            preparer.wake()
            erasing.wake()

        parts = VoiceParts(
            gate=gate,
            settings=config,
            intake=intake,
            cloning=preparer.cloning,
            changed=changed,
            forget=preparer.forget,
        )
        library, consents = VoiceLibrary(parts), Consents(parts)
        sole = config.auth.mode == "local"
        ttl = config.server.request_timeout_seconds + SPARE_SECONDS
        places = Shares(config.limits.max_concurrent_streams, sole=sole)
        meter = UsageMeter(AccountBook(gate, writer, ttl=ttl), writer)
        state = GatewayState(
            loaded=loaded,
            directory=directory,
            places=places,
            watchers=Shares(config.limits.max_concurrent_streams, sole=sole),
            spool=Shares(SPOOL, sole=sole),
            turns=turns,
            uploads=Shares(config.limits.max_concurrent_upload_bytes, sole=sole),
            gate=gate,
            writes=writes,
            objects=objects,
            keeps=keeps,
            voices=library,
            consents=consents,
            transfer=Transfer(parts, objects, library=library, consents=consents, models=preparer.models),
            speaker=Speaker(
                settings=config,
                casting=Casting(gate, objects, directory, preparer.wake),
                planner=planner,
                places=places,
                recorder=Recorder(objects, gate, config.retention),
                meter=meter,
                metrics=metrics,
                turns=turns,
            ),
            preparer=preparer,
            token_signer=signer,
            authenticator=authenticator,
            watch=watch,
            passwords=passwords,
            accounts=Accounts(
                gate,
                authenticator,
                guard=guard,
                token_guard=LoginGuard(counters, config.auth, realm="one-time"),
                passwords=passwords,
            ),
            sessions=Sessions(gate, signer, config.auth, authenticator, counters, guard, passwords),
            guard=guard,
            counters=counters,
            meter=meter,
            metrics=metrics,
            stopping=stopping,
            started=int(time.time()),
        )
        try:
            await gate.open()
        except StorageError as error:
            logger.error("starting without the database: %s", error)  # noqa: TRY400 - the reason is the message
        preparing = asyncio.create_task(preparer.run(stopping))
        try:
            async with running(directory.chore, watch.chore, writer.chore, erasing, *_chores(state)):
                yield state
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            if writer.waiting:
                logger.error("%d usage records are lost", writer.waiting)


def _chores(state: GatewayState) -> list[Chore]:
    async def give_back() -> None:
        async with state.gate.write() as session:
            given = await sweep_reservations(session, now())
        if given:
            logger.warning("released %d reservations of dead processes", given)

    async def forget_tokens() -> None:
        async with state.gate.write() as session:
            before = now() - timedelta(days=1)
            await TokenRepository(session).sweep(before)
            await ResetRepository(session).sweep(before)
            await sweep_invitations(session, before)

    async def throw_away() -> None:
        done = await run_retention(state.gate, state.objects, state.settings.retention)
        for kind, count in asdict(done).items():
            state.metrics.thrown_away.labels(kind).inc(count)
        if done.outputs or done.recordings:
            logger.info("retention deleted %d outputs and %d recordings", done.outputs, done.recordings)

    async def sweep_uploads() -> None:
        await asyncio.to_thread(sweep_folders)

    return [
        Chore("retention", throw_away, every=MINUTE),
        Chore("requesting voices for the engines' current models", state.preparer.want_current, every=10.0),
        Chore("recording when keys were last used", state.authenticator.flush, every=10.0, at_close=True),
        Chore("releasing reservations of processes that died", give_back, every=MINUTE),
        Chore("removing leftovers from the object store", state.objects.sweep, every=HOUR),
        Chore("removing folders of uploads whose process died", sweep_uploads, every=HOUR, at_once=True),
        Chore("removing expired tokens", forget_tokens, every=HOUR),
    ]
