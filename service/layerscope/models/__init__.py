"""Models: their files and declarations, the store, the validator of untrusted files, and which versions are loaded."""
