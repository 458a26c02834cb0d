# The verified root of the locked profile, with SSH to look at it.
profile = "debug-read-only"
roles = [
  "base", "agent", "companions", "telemetry", "ssh", "read-only", "debug-read-only",
  "cleanup", "manifest", "verity", "boot", "conformance", "seal",
]
companions = ["merod", "traefik", "node_exporter", "vmagent", "vector"]
