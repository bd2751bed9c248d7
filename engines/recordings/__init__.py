"""The signal processing of recordings that several engines need: reading, resampling, spectra, pitch."""
