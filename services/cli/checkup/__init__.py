"""The checks of ``awaaztwin doctor``, a module for each part of the machine."""
