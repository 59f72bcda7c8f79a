"""Reports on runs, checkpoints, data and machines, which training needs nothing of: tables, pictures, measurements.

A module here is the work of a command of the same name, or serves several of them; nothing else imports it.
"""
