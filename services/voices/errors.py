"""What goes wrong with voices, as a client sees it."""

from services.errors import ApiError, invalid, retry_headers
from services.samples.errors import BadSample
from storage.errors import OverQuota


def bad_sample(error: BadSample, param: str, filename: str | None = None) -> ApiError:
    """A 400 that says what was found in an upload."""
    where = f"{filename[:100]}: " if filename else ""
    return invalid(f"{where}{error.message}", param, error.code)


def busy() -> ApiError:
    """A 503: too many recordings are being looked at."""
    message = "Too many recordings are being examined; try again shortly."
    return ApiError(503, message, kind="server_error", code="examiner_busy", headers=retry_headers(5.0))


def over_quota(error: OverQuota) -> ApiError:
    """A 429: the tenant has as many voices, or bytes, as it may."""
    if error.account.startswith("voices"):
        message = f"The organisation may have {error.limit} voices, and has {error.used}."
    else:
        message = f"The organisation may store {error.limit} bytes; this would exceed it."
    return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota")
