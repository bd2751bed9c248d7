"""Pronunciation in IPA, by eSpeak NG in a separate process."""
