"""The engine OpenVoice V2: a base voice speaks, and its tone colour is converted."""
