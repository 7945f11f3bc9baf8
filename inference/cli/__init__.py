"""One model from the command line: the service's manager in this process, the model in a child of it."""
