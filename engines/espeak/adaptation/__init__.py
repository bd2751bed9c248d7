"""Bringing eSpeak NG's speech nearer to a speaker's, from recordings, without weights.

eSpeak NG speaks at the speaker's pitch; a filter that changes over time moves its spectrum to the
speaker's. See ``docs/engines/espeak.md``.
"""
