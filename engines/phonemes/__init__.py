"""How text sounds, in IPA: asked of eSpeak NG, which stays in a process of its own."""
