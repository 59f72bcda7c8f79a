"""Annotation files of other programs: maps are written as such, and read back as maps."""
