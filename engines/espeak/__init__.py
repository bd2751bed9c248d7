"""The embedded engine: eSpeak NG in separate worker processes.

Its library is GPL-3.0-or-later and its state is global, so only the workers load it; see
``docs/engines/espeak.md``.
"""
