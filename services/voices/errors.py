"""API errors of voices."""

from services.errors import ApiError, invalid, retry_headers
from services.samples.errors import BadSample
from storage.errors import OverQuota


def bad_sample(error: BadSample, param: str, filename: str | None = None) -> ApiError:
    """Return an error with status 400, with what was found in an upload."""
    where = f"{filename[:100]}: " if filename else ""
    return invalid(f"{where}{error.message}", param, error.code)


def busy() -> ApiError:
    """Return an error with status 503: too many recordings are being examined."""
    message = "Too many recordings are being examined; try again shortly."
    return ApiError(503, message, kind="server_error", code="examiner_busy", headers=retry_headers(5.0))


def over_quota(error: OverQuota) -> ApiError:
    """Return an error with status 429: the tenant's limit of voices or of stored bytes is reached."""
    if error.account.startswith("voices"):
        message = f"The organisation may have {error.limit} voices, and has {error.used}."
    else:
        message = f"The organisation has a storage quota of {error.limit} bytes, which this would exceed."
    return ApiError(429, message, kind="insufficient_quota", code="insufficient_quota")
