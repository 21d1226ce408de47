"""What the camera shows, kept as a clip: by `edgekit record`, or for it by a running service."""
