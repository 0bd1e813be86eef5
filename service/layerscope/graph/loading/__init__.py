"""Loading: models are opened in a process of their own."""
