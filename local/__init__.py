"""The suite on one machine: runner, gateway, relay, cluster stand-in, and what they need."""
