"""Prometheus metrics of a Gateway process. Each process has its own."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from engines.contract import FINISH_REASONS
from engines.lease import EngineState
from services.wire.frames import EngineDescription, Spoken

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 150.0, 300.0)
"""Bucket bounds of the histogram of preparations, in seconds."""

WORDS: Final = 64
"""Maximum number of distinct label values for finish reasons and findings; plug-ins have their own."""


class Metrics:
    """The Gateway's own counters, and gauges from the runners' descriptions. Labels have few values."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.samples = Counter(
            "awaaztwin_samples", "Uploaded recordings examined.", ["outcome"], registry=registry
        )
        self.preparations = Counter(
            "awaaztwin_preparations", "Voices prepared.", ["engine", "outcome"], registry=registry
        )
        self.preparation_seconds = Histogram(
            "awaaztwin_preparation_seconds",
            "Seconds that an engine took to prepare a voice.",
            ["engine"],
            buckets=SECONDS,
            registry=registry,
        )
        self.thrown_away = Counter(
            "awaaztwin_retention", "Items deleted by retention.", ["kind"], registry=registry
        )
        self._sentences = Counter(
            "awaaztwin_sentences",
            "Sentences spoken, by outcome.",
            ["engine", "finish_reason"],
            registry=registry,
        )
        self._findings = Counter(
            "awaaztwin_findings",
            "Sentences in which an engine found a defect, by defect.",
            ["engine", "finding"],
            registry=registry,
        )
        self._retries = Counter(
            "awaaztwin_retries",
            "Retries of a sentence because an engine found a defect.",
            ["engine"],
            registry=registry,
        )
        self._known: set[str] = set(FINISH_REASONS)
        self._state = Gauge(
            "awaaztwin_runner_state",
            "1 for the engine's current state, 0 for the others.",
            ["engine", "state"],
            registry=registry,
        )
        self._runners = {
            name: Gauge(f"awaaztwin_runner_{name}", text, ["engine"], registry=registry)
            for name, text in (
                ("voices_cached", "Prepared voices that a runner holds."),
                ("voice_bytes", "Bytes of the prepared voices that a runner holds."),
                ("voice_hits", "Calls whose voices the runner held, since it started."),
                ("voice_misses", "Calls whose voices the runner did not hold, since it started."),
                ("waiting", "Utterances in a runner's queue."),
                ("running", "Utterances that an engine is speaking."),
                ("loads", "Loads of the engine that succeeded, since its runner started."),
                ("load_failures", "Loads that failed, since the runner started."),
                ("unloads", "Unloads of the engine, since its runner started."),
                ("load_seconds", "Seconds of the last load: the cold start."),
                ("warm_up_seconds", "Seconds of the warm-up after the last load."),
                ("memory_bytes", "Main memory that the engine takes, in bytes, beyond its runner's own."),
                ("vram_bytes", "GPU memory that the engine takes, in bytes."),
                ("process_bytes", "Main memory of the runner and its children, engine included, in bytes."),
                ("last_used", "When the engine was last used, in Unix seconds."),
            )
        }

    def spoken(self, engine: str, sentence: Spoken) -> None:
        """Count a spoken sentence, with its findings and retries."""
        self._sentences.labels(engine, self._label(sentence.finish_reason)).inc()
        for finding in sentence.findings:
            self._findings.labels(engine, self._label(finding)).inc()
        if sentence.retries:
            self._retries.labels(engine).inc(sentence.retries)

    def _label(self, word: str) -> str:
        """Return an engine's word as a label, or ``other`` if there are too many different ones."""
        if len(self._known) < WORDS:
            self._known.add(word)
        return word if word in self._known else "other"

    def exposed(self, engines: Iterable[EngineDescription]) -> bytes:
        """Return all metrics in Prometheus' text format.

        Args:
            engines: Current descriptions of the reachable engines.
        """
        for gauge in (self._state, *self._runners.values()):
            gauge.clear()
        for engine in engines:
            for state in EngineState:
                self._state.labels(engine.name, state).set(engine.state is state)
            for name, gauge in self._runners.items():
                if (value := getattr(engine, name)) is not None:  # not measured yet
                    gauge.labels(engine.name).set(value)
        return generate_latest(self._registry)
