# PiCIE with K clusters alone, without over-clustering; otherwise the default recipe
_base_ = './picie_fpn_msrc.py'
model = dict(over_clustering=[])
