"""`/v1/`: the models of this house for clients that speak OpenAI's API."""
