"""Speech requests: the script, the audio stream, the response and the stored recording."""
