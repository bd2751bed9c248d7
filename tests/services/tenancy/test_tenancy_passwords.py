"""Which passwords are taken, and who waits while others are checked."""

import asyncio
import threading
import unicodedata
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from argon2 import PasswordHasher

from services.errors import ApiError
from services.tenancy.passwords import AT_ONCE, MAX_PASSWORD_BYTES, QUEUE, SHARE, Passwords

GOOD = "tiger lamp kettle"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


async def refused(passwords: Passwords, password: str, *about: str) -> str:
    with pytest.raises(ApiError) as caught:
        await passwords.hash(password, about=about)
    assert (caught.value.status, caught.value.body.param) == (400, "password")
    assert caught.value.body.message
    return caught.value.body.code or ""


@pytest.mark.parametrize(
    "password",
    [
        " " * 10,
        "password1234",
        "qwertyuiop",
        "1234567890",
        "aaaaaaaaaaaa",
        "iloveyou12345",
        "JaiShreeRam",
        "indian123456",
        "hindustan1947",
        "namaste12345",
        "omnamahshivaya",
        "vandemataram1947",
        "नमस्तेदुनिया",
    ],
)
async def test_what_many_choose_is_refused(passwords: Passwords, password: str):
    assert await refused(passwords, password) == "password_too_weak"


@pytest.mark.parametrize(
    "password", ["asha.rao.2024", "ASHA@EXAMPLE.COM1", "nightingale-studios", "asharao123"]
)
async def test_what_is_known_of_its_owner_does_not_count(passwords: Passwords, password: str):
    about = ("asha@example.com", "Asha Rao", "Nightingale Studios")
    assert await refused(passwords, password, *about) == "password_too_weak"


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "correct horse battery staple",
        "aB3$kL9#mQ",
        "नीला हाथी पुराना रेडियो",
        "password password tiger lamp kettle",
    ],
)
async def test_a_good_one_is_taken_and_known_again(passwords: Passwords, password: str):
    kept = await passwords.hash(password, about=("asha@example.com", "Asha Rao"))
    assert kept.startswith("$argon2id$")
    assert await passwords.verify(password, kept)
    assert not await passwords.verify(f"{password}.", kept)
    assert not await passwords.verify(password, None)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("aB3$kL9#m", "password_too_short"),
        ("é" * (MAX_PASSWORD_BYTES // 2) + "x", "password_too_long"),
        ("\ufdfa" * 20, "password_too_long"),
        ("x" * 100_000, "password_too_long"),
    ],
)
async def test_length_is_of_what_is_hashed(passwords: Passwords, password: str, code: str):
    assert await refused(passwords, password) == code


async def test_a_letter_may_be_typed_in_more_than_one_way(passwords: Passwords):
    typed = "café tiger lamp"
    kept = await passwords.hash(unicodedata.normalize("NFC", typed))
    assert await passwords.verify(unicodedata.normalize("NFD", typed), kept)
    early = PasswordHasher().hash(unicodedata.normalize("NFD", typed))
    assert await passwords.verify(unicodedata.normalize("NFD", typed), early)


@asynccontextmanager
async def held(passwords: Passwords) -> AsyncGenerator[None, None]:
    """Nothing that is asked for in the block is done before its end."""
    end = threading.Event()
    holding = [passwords._threads.submit(end.wait) for _ in range(AT_ONCE)]
    try:
        yield
        await asyncio.sleep(0)  # every task has asked by then
    finally:
        end.set()
        await asyncio.gather(*map(asyncio.wrap_future, holding))


async def test_a_flood_from_one_address_is_refused_and_others_are_served():
    passwords = Passwords()
    kept = PasswordHasher(time_cost=1, memory_cost=1_024).hash(GOOD)

    async def one(address: str) -> bool:
        try:
            return await passwords.verify(GOOD, kept, address=address)
        except ApiError as error:
            assert (error.status, error.body.code) == (429, "too_many_logins")
            assert "retry-after" in error.headers
            return False

    def ask(*addresses: str) -> list[asyncio.Task[bool]]:
        return [asyncio.create_task(one(address)) for address in addresses]

    async with held(passwords):
        flood = ask(*["192.0.2.1"] * 50)
        others = ask(*(f"198.51.100.{number}" for number in range(5)))
    assert (await asyncio.gather(*flood)).count(True) == SHARE
    assert all(await asyncio.gather(*others))

    # All addresses of an IPv6 subscriber are one.
    async with held(passwords):
        flood = ask(*(f"2001:db8::{number:x}" for number in range(50)))
    assert (await asyncio.gather(*flood)).count(True) == SHARE

    # All places are taken by a few that have many: they make room.
    async with held(passwords):
        full = ask(*(f"192.0.2.{number % 4}" for number in range(QUEUE)))
        others = ask(*(f"198.51.100.{number}" for number in range(5)))
    assert (await asyncio.gather(*full)).count(False) == 5
    assert all(await asyncio.gather(*others))

    # All places are taken by many that have one each.
    async with held(passwords):
        many = ask(*(f"203.0.113.{number}" for number in range(QUEUE + 10)))
    assert (await asyncio.gather(*many)).count(True) == QUEUE

    # Whoever leaves gives their place back.
    async with held(passwords):
        leaving = ask(*["192.0.2.1"] * SHARE)
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        staying = ask(*["192.0.2.1"] * SHARE)
    assert all(await asyncio.gather(*staying))


async def test_checking_needs_none_of_the_threads_that_others_use(passwords: Passwords):
    done = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, done.wait)
    try:
        async with asyncio.timeout(60):
            assert await passwords.verify(GOOD, await passwords.hash(GOOD))
    finally:
        done.set()
        await busy
