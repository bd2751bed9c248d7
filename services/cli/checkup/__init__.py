"""The checks of ``awaaztwin doctor``, one module per part of the machine."""
