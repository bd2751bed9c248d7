"""Signal processing of recordings, shared by several engines: resampling, spectra and pitch."""
