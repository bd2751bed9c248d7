"""Sources of models. All are untrusted: :mod:`services.models.staging` verifies the files."""
