"""Adaptation of eSpeak NG's speech to a speaker, from recordings, without a neural network.

eSpeak NG speaks at the speaker's pitch, and a time-varying filter moves its spectrum to the speaker's. See
``docs/engines/espeak.md``.
"""
