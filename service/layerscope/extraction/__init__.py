"""Extraction: layers of every image of a data set, written to disk in parts that survive whatever ends the job."""
