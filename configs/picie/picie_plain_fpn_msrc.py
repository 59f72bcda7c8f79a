# PiCIE as published, without over-clustering: K clusters alone
_base_ = './picie_fpn_msrc.py'
model = dict(over_clustering=[])
