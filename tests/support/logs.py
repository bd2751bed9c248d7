"""What a test logs, apart from what servers of other tests log in threads of the same process."""

import logging
import threading

import pytest


def of_this_thread(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.thread == threading.get_ident()]
