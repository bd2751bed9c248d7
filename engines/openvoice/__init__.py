"""OpenVoice V2: a base voice speaks, and its tone colour becomes another's."""
