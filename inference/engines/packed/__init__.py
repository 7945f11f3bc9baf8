"""The packed engine: one forward per step carries the tokens of every running request."""
