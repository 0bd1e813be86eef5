"""Jobs of a service: extractions that wait for their turn, run in processes of their own with a lower priority, and go on after a restart."""
