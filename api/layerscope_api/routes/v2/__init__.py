"""The Open Inference Protocol. Paths are read by hand and errors are never 422, which its clients do not expect."""
