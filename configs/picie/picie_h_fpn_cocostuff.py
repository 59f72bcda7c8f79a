# PiCIE+H: one more head, of 100 clusters, weighted by logarithms
_base_ = './picie_fpn_cocostuff.py'
model = dict(over_clustering=[(100, 'log')])
