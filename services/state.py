"""What the Gateway's routes work with, made once for each app."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from engines.config import EngineConfig
from services.config import LoadedSettings, Settings
from services.counters.contract import Counters
from services.directory import EngineDirectory
from services.gate import DatabaseGate
from services.metrics import Metrics
from services.probe import Probe
from services.quota.meter import UsageMeter
from services.sharing.shares import Shares
from services.sharing.turns import Turns
from services.speech.session import Speaker
from services.stopping import Stopping
from services.tenancy.accounts import Accounts
from services.tenancy.authenticator import Authenticator
from services.tenancy.login_guard import LoginGuard
from services.tenancy.passwords import Passwords
from services.tenancy.sessions import Sessions
from services.tenancy.watch import AccessWatch
from services.tokens import TokenSigner
from services.voices.consents import Consents
from services.voices.library import VoiceLibrary
from services.voices.preparer import VoicePreparer
from services.voices.transfer import Transfer
from storage.objects.contract import ObjectStore

AddressOf: TypeAlias = Callable[[EngineConfig], str]
"""The address of an engine's runner; asked when the app starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """The Gateway's parts.

    Attributes:
        loaded: The settings and where each came from.
        directory: The engines.
        places: The streams served now.
        watchers: Those who watch a voice being prepared.
        spool: Bytes of audio that clients have not read yet.
        turns: Of the processor.
        uploads: Bytes of uploads that are taken in now.
        gate: The database: tenants, keys, usage.
        writes: Whether the database takes changes.
        objects: Finished audio, recordings and prepared voices.
        keeps: Whether there is room for more of them.
        voices: The tenants' own voices.
        consents: What allows those.
        transfer: Voices to and from other servers.
        speaker: Opens the sessions in which requests are spoken.
        preparer: Prepares voices in the engines.
        token_signer: Signs and reads access tokens and URLs.
        authenticator: Says who a request comes from.
        watch: Ends answers whose caller may not have them any more.
        passwords: Makes and checks password hashes.
        sessions: Logins.
        accounts: What people do with their own.
        guard: Slows down guessing at passwords and the like.
        counters: Requests a minute and concurrent streams.
        meter: Books what requests use.
        metrics: What this process counts.
        stopping: Whether this process has been told to stop.
        started: When this process started, Unix seconds.
    """

    loaded: LoadedSettings
    directory: EngineDirectory
    places: Shares
    watchers: Shares
    spool: Shares
    turns: Turns
    uploads: Shares
    gate: DatabaseGate
    writes: Probe
    objects: ObjectStore
    keeps: Probe
    voices: VoiceLibrary
    consents: Consents
    transfer: Transfer
    speaker: Speaker
    preparer: VoicePreparer
    token_signer: TokenSigner
    authenticator: Authenticator
    watch: AccessWatch
    passwords: Passwords
    sessions: Sessions
    accounts: Accounts
    guard: LoginGuard
    counters: Counters
    meter: UsageMeter
    metrics: Metrics
    stopping: Stopping
    started: int

    @property
    def settings(self) -> Settings:
        """The effective settings."""
        return self.loaded.settings


async def _state(connection: HTTPConnection) -> GatewayState:
    # Asynchronous, though it waits for nothing: FastAPI runs other functions in a thread.
    return cast("GatewayState", connection.app.state.gateway)


State: TypeAlias = Annotated[GatewayState, Depends(_state)]
"""Declares a route's parameter as the Gateway's parts."""
