"""From files of other code to those of this package and back: checkpoints, backbones, lists, masks.

A module here is the work of a command; nothing else imports it.
"""
