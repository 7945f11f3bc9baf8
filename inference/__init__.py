"""The model service: deployment layer (engines), service layer (service), its server and its client."""
