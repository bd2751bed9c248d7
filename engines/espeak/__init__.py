"""The embedded engine: eSpeak NG in separate worker processes.

The library is GPL-3.0-or-later and has global state, so only the workers load it; see
``docs/engines/espeak.md``.
"""
