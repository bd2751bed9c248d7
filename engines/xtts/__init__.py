"""XTTS-v2: its checkpoints, its decoder, its vocoder, and the engine made of them."""
