"""Context: what routes and middleware share, made once when the application starts."""
