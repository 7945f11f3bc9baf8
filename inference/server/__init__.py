"""The process of the model service: HTTP in front of the manager. It imports no torch."""
