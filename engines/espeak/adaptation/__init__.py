"""Adapts eSpeak NG's speech to a speaker, from recordings, without weights.

eSpeak NG speaks at the speaker's pitch; a filter that changes over time moves its spectrum to the
speaker's. See ``docs/engines/espeak.md``.
"""
