# The verified root of the locked profile, with SSH to look at it.
profile = "debug-read-only"
roles = [
  "base", "agent", "companions", "telemetry", "ssh", "disk", "debug-read-only",
  "cleanup", "manifest", "conformance", "seal",
]
companions = ["merod", "traefik", "node_exporter", "vmagent", "vector"]
