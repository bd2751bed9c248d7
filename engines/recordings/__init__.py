"""What several engines need to make voices of recordings: reading, resampling, spectra, pitch."""
