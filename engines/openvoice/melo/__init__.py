"""Base voices from weights in MeloTTS's own format: ``config.json`` and ``checkpoint.pth``.

The network is a VITS with a transformer flow, tones, languages and BERT features, as MeloTTS (MyShell, MIT;
its source at commit 2091453) builds it. Its modules are reimplemented here, with the names in its
checkpoints. Only English is supported; MeloTTS has no Hindi. Importing this package imports nothing else.
"""
