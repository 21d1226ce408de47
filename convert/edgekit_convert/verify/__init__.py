"""Every stage beside the trained network: figures, the gate, what differs."""
