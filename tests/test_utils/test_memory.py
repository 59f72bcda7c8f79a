from mmseg_unsup.utils import memory


def test_this_machine():
    available = memory.available_memory()
    assert available is None or 2**20 < available < 2**50


def test_the_container_counts_where_it_has_less(tmp_path, monkeypatch):
    (tmp_path / 'memory.max').write_text('1000000\n')
    (tmp_path / 'memory.current').write_text('400000\n')
    monkeypatch.setattr(memory, '_CGROUP', str(tmp_path))
    monkeypatch.setattr(memory, '_free_memory', lambda: 10**9)
    assert memory.available_memory() == 600000
    (tmp_path / 'memory.max').write_text('max\n')
    assert memory.available_memory() == 10**9
    monkeypatch.setattr(memory, '_CGROUP', str(tmp_path / 'nowhere'))
    monkeypatch.setattr(memory, '_free_memory', lambda: None)
    assert memory.available_memory() is None


def test_shared_memory(monkeypatch):
    free = memory.free_shared_memory()
    assert free is None or 0 <= free < 2**50
    monkeypatch.setattr(memory, '_SHARED', '/nowhere')
    assert memory.free_shared_memory() is None


def test_free_memory_of_other_systems(monkeypatch):
    monkeypatch.setattr('builtins.open', lambda *args: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr('os.sysconf', dict(SC_PAGE_SIZE=4096, SC_PHYS_PAGES=1000).__getitem__, raising=False)
    assert memory._free_memory() == 4096000
    monkeypatch.setattr('os.sysconf', lambda name: (_ for _ in ()).throw(ValueError()), raising=False)
    assert memory._free_memory() is None
