# Open and writable, for developers: SSH, a shell, a serial console.
profile = "debug"
roles = [
  "base", "agent", "companions", "telemetry", "ssh", "disk", "debug",
  "cleanup", "manifest", "conformance", "seal",
]
companions = ["merod", "traefik", "node_exporter", "vmagent", "vector"]
