"""What Gateway and runner exchange: frames, samples, and the client's side of the connection."""
