"""Signal processing of recordings for several engines: reading, resampling, spectra, pitch."""
