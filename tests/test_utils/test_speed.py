"""Speed options end up in the config, and freed memory stays."""
import platform
import re
import subprocess
import sys
from argparse import Namespace

import pytest
import torch
from mmengine.config import Config

from mmseg_unsup.engine.run_config import apply_speed_arguments
from mmseg_unsup.utils.speed import adapt_loaders, enable_amp
from ..conftest import ROOT

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason='tests a machine without a GPU')

FAULTS = '''
import os, resource, sys, torch
from mmseg_unsup.utils.speed import keep_freed_memory
assert sys.argv[1] == 'plain' or keep_freed_memory()
torch.set_num_threads(1)
def allocate():
    for _ in range(20):
        torch.ones(2**24)  # 64 MiB
allocate()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
allocate()
print('faults', resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
torch.ones(2**27)  # 512 MiB, which is in use no more
def resident():
    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() // 2**20
held = resident()
if os.fork() == 0:  # as data workers begin
    print('handed on', resident(), 'of', held, flush=True)
    os._exit(0)
os.wait()
'''


@no_gpu
@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='another C library')
def test_freed_memory_is_used_again():
    faults, resident = {}, {}
    for mode in ('plain', 'kept'):
        done = subprocess.run([sys.executable, '-c', FAULTS, mode], cwd=ROOT, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        numbers = [int(number) for number in re.findall(r'\d+', done.stdout)]
        faults[mode], resident[mode] = numbers[0], numbers[1:]
    assert faults['kept'] < 0.05 * faults['plain']
    # 512 MiB are kept, but no worker begins with them
    assert resident['kept'][1] > resident['plain'][1] + 400 and resident['kept'][0] < resident['plain'][0] + 100


def config(**kwargs):
    optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam'))
    return Config(dict(optim_wrapper=optim_wrapper, default_hooks={}, **kwargs))


@no_gpu
def test_amp_is_bfloat16_without_a_gpu():
    cfg = config()
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'mmseg_unsup.BFloat16OptimWrapper' and 'loss_scale' not in cfg.optim_wrapper


@pytest.mark.parametrize('capability, expected, loss_scale', [((8, 0), 'mmseg_unsup.BFloat16OptimWrapper', None),
                                                              ((7, 5), 'AmpOptimWrapper', 'dynamic')])
def test_amp_on_a_gpu(monkeypatch, capability, expected, loss_scale):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device=None: capability)
    cfg = config()
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == expected
    assert cfg.optim_wrapper.get('loss_scale') == loss_scale


def test_amp_leaves_a_wrapper_that_has_it_and_refuses_others():
    cfg = config()
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    cfg.optim_wrapper.type = 'ApexOptimWrapper'
    with pytest.raises(ValueError, match="--amp cannot replace optim_wrapper.type='ApexOptimWrapper'"):
        enable_amp(cfg)


def test_compile_adds_its_hook():
    cfg = config()
    apply_speed_arguments(cfg, Namespace(amp=False, compile=True))
    assert cfg.default_hooks.compile.type == 'mmseg_unsup.CompileHook'


@no_gpu
def test_no_memory_is_pinned_without_a_gpu():
    cfg = config(train_dataloader=dict(pin_memory=True), val_dataloader=None, test_dataloader=dict(batch_size=1))
    adapt_loaders(cfg)
    assert cfg.train_dataloader.pin_memory is False and 'pin_memory' not in cfg.test_dataloader


def test_a_loader_without_workers_keeps_none():
    cfg = config(train_dataloader=dict(num_workers=0, persistent_workers=True),
                 val_dataloader=dict(num_workers=2, persistent_workers=True), test_dataloader=None)
    adapt_loaders(cfg)
    assert not cfg.train_dataloader.persistent_workers and cfg.val_dataloader.persistent_workers
