"""The parts that the Gateway's routes use, created once for each app."""

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
"""Returns the address of an engine's runner; called when the app starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """The Gateway's parts.

    Attributes:
        loaded: The settings, with the source of each.
        directory: The engines.
        places: Shares of concurrent streams.
        watchers: Shares of the connections that follow a voice's preparation.
        spool: Shares of the memory for audio that clients have not read yet, in bytes.
        turns: Turns on the event loop and in the encoding threads.
        uploads: Shares of concurrent uploads, in bytes.
        gate: The database: tenants, keys, usage.
        writes: Check that the database is writable.
        objects: Object store of finished audio, recordings and prepared voices.
        keeps: Check that the object store can take more objects.
        voices: The tenants' own voices.
        consents: The speakers' consents to those voices.
        transfer: Export and import of voices.
        speaker: Opens the sessions in which requests are spoken.
        preparer: Prepares voices in the engines.
        token_signer: Signs and reads access tokens and URLs.
        authenticator: Identifies the caller of a request.
        watch: Ends responses whose caller has lost access.
        passwords: Creates and checks password hashes.
        sessions: Logins.
        accounts: Account changes that need proof of identity.
        guard: Limits attempts to guess passwords.
        counters: Counters of requests per minute and of concurrent streams.
        meter: Records the usage of requests.
        metrics: Metrics of this process.
        stopping: Whether this process has been told to stop.
        started: Start time of this process, in Unix seconds.
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
    # Asynchronous, since FastAPI runs synchronous dependencies in a thread.
    return cast("GatewayState", connection.app.state.gateway)


State: TypeAlias = Annotated[GatewayState, Depends(_state)]
"""Type of a route's parameter that receives the Gateway's parts."""
