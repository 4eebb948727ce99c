"""Who is told what a client does: observers, and OpenTelemetry."""
