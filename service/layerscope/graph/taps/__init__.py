"""Taps: the values of a network that can be fetched, fed and differentiated by, and how they are named."""
