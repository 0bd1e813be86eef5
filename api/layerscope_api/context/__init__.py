"""The context of requests: settings, the service, worker pools and API keys, which routes and middleware share."""
