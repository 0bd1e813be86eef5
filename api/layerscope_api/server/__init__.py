"""The running service: its application, its processes and its HTTP/1.1."""
