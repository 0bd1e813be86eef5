"""Model files: where they are, what is declared with them, how they are opened, which are loaded."""
