"""The engine KOKORO: Kokoro-82M, natural speech on the CPU."""
