"""Where models come from. None of them is trusted: see :mod:`services.models.staging`."""
