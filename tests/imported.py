"""What tests and tools import, and how it is set for small runs."""
import gc
import importlib

from yapf.yapflib import yapf_api

# mmengine formats the config of a run several times: a third of the time of one that lasts seconds
yapf_api.FormatCode = lambda text, **kwargs: (text, False)

import cv2  # noqa: E402
import matplotlib.pyplot  # noqa: E402, F401
import torch  # noqa: E402
import torch._dynamo  # noqa: E402  by the first optimizer

from mmseg_unsup.utils import register_all_modules  # noqa: E402

for name in ('apis.export', 'apis.segment_work', 'analysis', 'commands.running', 'priors'):
    importlib.import_module(f'mmseg_unsup.{name}')

register_all_modules(init_scope=False)
torch.set_num_threads(1)
cv2.setNumThreads(1)
# MMEngine collects garbage for every data set: a third of a second each, were all that is imported looked at
gc.collect()
gc.freeze()
