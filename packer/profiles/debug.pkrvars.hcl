# Open and writable, for developers: SSH, a shell, a serial console.
profile = "debug"
roles = [
  "base", "agent", "companions", "telemetry", "ssh", "debug",
  "cleanup", "manifest", "boot", "conformance", "seal",
]
companions = ["merod", "traefik", "node_exporter", "vmagent", "vector"]
